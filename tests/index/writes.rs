//! A Prometheus that writes through Envoy to another one: the catalogue has the series that both have.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use pushring_harness::{MetricIndex, Mode, Prometheus, poll_until};
use serde_json::json;

use crate::fixture::{data, ingress, series};

/// All series.
const ALL: &str = "{__name__!=\"\"}";
const VERSIONS: [&str; 2] = ["prometheus.WriteRequest", "io.prometheus.write.v2.Request"];

/// Starts a Prometheus that scrapes a target and writes it to Envoy.
fn sender(dir: &Path, envoy: SocketAddr, target: SocketAddr, message: &str) -> Prometheus {
    let dir = dir.join(message);
    fs::create_dir_all(&dir).unwrap();
    let config = json!({
        "global": {"scrape_interval": "1s", "external_labels": {"sender": message}},
        "scrape_configs": [
            {"job_name": "gateway", "honor_labels": true, "static_configs": [{"targets": [target]}]},
        ],
        "remote_write": [{"url": format!("http://{envoy}/api/v1/write"), "protobuf_message": message}],
    });
    Prometheus::with_config(&dir, &config).unwrap()
}

#[test]
fn the_catalogue_has_each_series_of_both_versions() {
    let dir = tempfile::tempdir().unwrap();
    let index = MetricIndex::start(dir.path(), "index", &json!({})).unwrap();
    let receiver =
        Prometheus::with_flags(dir.path(), &json!({}), &["--web.enable-remote-write-receiver"]).unwrap();
    let fleet = ingress(Mode::Cluster, index.address, receiver.address);
    let gateway = &fleet.gateways[0];
    let body = "# TYPE runs counter\nruns{step=\"a\"} 1\nruns{step=\"b \\\"quoted\\\" ü\"} 2\n";
    assert_eq!(gateway.client().unwrap().put("/metrics/job/direct/zone/z", body).unwrap().status, 200);
    let _senders = VERSIONS.map(|message| sender(dir.path(), fleet.envoy.push, gateway.address, message));
    for message in VERSIONS {
        let selector = format!("{{__name__=\"scrape_samples_post_metric_relabeling\",sender=\"{message}\"}}");
        poll_until(&format!("the series of a scrape by {message}"), || {
            (!series(receiver.address, &selector).is_empty()).then_some(())
        })
        .unwrap();
    }
    let mut last = String::new();
    let both = poll_until("the catalogue to have the series that the receiver has", || {
        // The catalogue may have series that Prometheus gets while it answers, so it is asked last.
        let wanted = series(receiver.address, ALL);
        let found = series(index.address, ALL);
        last = format!("{:?}", wanted.symmetric_difference(&found).take(5).collect::<Vec<_>>());
        (wanted.len() > 100 && found == wanted).then_some(wanted)
    });
    let both = both.unwrap_or_else(|error| panic!("{error}: {last}"));
    let of = |message: &str| {
        let with_own = both.iter().filter(|labels| labels.contains(message));
        with_own.map(|labels| labels.replace(message, "")).collect::<Vec<_>>()
    };
    assert_eq!(of(VERSIONS[0]), of(VERSIONS[1]), "one for each version");
    assert!(both.iter().any(|labels| labels.contains("b \\\"quoted\\\" ü") && labels.contains("direct")));
    let owners = data(&index, "/api/v1/owners");
    assert_eq!(owners[0]["kind"], "write", "{owners}");
    assert_eq!(owners[0]["senders"], 1, "the address that both senders have, and not Envoy's: {owners}");
}
