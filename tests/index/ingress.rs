//! Envoy with the filter and two mirrors, in front of Pushgateways and of a Prometheus that receives writes.

use std::net::SocketAddr;
use std::path::Path;

use pushring_harness::http::Client;
use pushring_harness::{EnvoyFixture, Mode, Prometheus, poll_until};
use serde_json::{Value, json};

use crate::server::{Index, series};

/// All series.
const ALL: &str = "{__name__!=\"\"}";
/// The route of pushes, as shipped.
const PUSHES: &str = "                route:
                  cluster_header: x-pushring-destination
                  timeout: 60s
                  retry_policy: *retry
                request_body_buffer_limit: 16777216
                request_headers_to_add: *mark
                request_headers_to_remove: [x-pushring-destination]
";
/// The route of everything else, as shipped.
const SERVE: &str = "              - name: serve
                match: { safe_regex: { regex: \"(/.*)?/api/.*\" } }
";
const CLUSTERS: &str = "  - name: pushring-serve
";

/// Starts Envoy with mirrors to the index.
fn envoy(receiver: SocketAddr, index: SocketAddr) -> EnvoyFixture {
    let mirror =
        "request_mirror_policies: [{ cluster: metric-index, disable_shadow_host_suffix_append: true }]";
    let pushes = format!(
        "                route:
                  cluster_header: x-pushring-destination
                  {mirror}
                  timeout: 60s
                  retry_policy: *retry
                request_body_buffer_limit: 16777216
                request_headers_to_add: *mark
"
    );
    let writes = format!(
        "              - match: {{ path: /api/v1/write }}
                route:
                  cluster: receiver
                  {mirror}
                  timeout: 60s
                request_body_buffer_limit: 33554432
{SERVE}"
    );
    let cluster = |name: &str, address: SocketAddr| {
        format!(
            "  - name: {name}
    load_assignment:
      cluster_name: {name}
      endpoints: [{{ lb_endpoints: [{{ endpoint: {{ address: {{ socket_address: {{ address: {}, port_value: {} }} }} }} }}] }}]
",
            address.ip(),
            address.port()
        )
    };
    let clusters =
        [cluster("receiver", receiver), cluster("metric-index", index), CLUSTERS.to_owned()].concat();
    EnvoyFixture::edited(Mode::Cluster, 2, &[(PUSHES, &pushes), (SERVE, &writes), (CLUSTERS, &clusters)])
}

/// Starts a Prometheus that scrapes a target and writes it to Envoy.
fn sender(dir: &Path, envoy: SocketAddr, target: SocketAddr, message: &str) -> Prometheus {
    let dir = dir.join(message);
    std::fs::create_dir_all(&dir).unwrap();
    let config = json!({
        "global": {"scrape_interval": "1s", "external_labels": {"sender": message}},
        "scrape_configs": [{"job_name": "gateway", "static_configs": [{"targets": [target]}]}],
        "remote_write": [{"url": format!("http://{envoy}/api/v1/write"), "protobuf_message": message}],
    });
    Prometheus::with_config(&dir, &config).unwrap()
}

#[test]
fn the_catalogue_has_each_series_that_passes_envoy() {
    let dir = tempfile::tempdir().unwrap();
    let index = Index::start(dir.path());
    let flags = ["--web.enable-remote-write-receiver"];
    let receiver = Prometheus::with_flags(dir.path(), &json!({}), &flags).unwrap();
    let fleet = envoy(receiver.address, index.address);
    let received = Client::new(receiver.address).unwrap();
    let target = fleet.gateways[0].address;
    let senders = ["prometheus.WriteRequest", "io.prometheus.write.v2.Request"].map(|message| {
        let sender = sender(dir.path(), fleet.envoy.push, target, message);
        poll_until(&format!("series by {message}"), || {
            let selector = format!("{{__name__=\"pushgateway_build_info\",sender=\"{message}\"}}");
            (!series(&received, &selector).is_empty()).then_some(())
        })
        .unwrap();
        sender
    });
    let same = || {
        // The catalogue may have series that Prometheus gets while it answers, so it is asked last.
        let wanted = series(&received, ALL);
        (wanted.len() > 100 && index.series(ALL) == wanted).then_some(wanted)
    };
    let both = poll_until("the catalogue to have the series that the receiver has", same).unwrap();
    let of = |message: &str| both.iter().filter(|labels| labels.contains(message)).count();
    assert_eq!(of("prometheus.WriteRequest"), of("io.prometheus.write.v2.Request"), "one for each version");
    drop(senders);
}

#[test]
fn a_push_is_known_with_its_owner() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("index.yaml");
    // Each push that comes a second later is recorded again.
    std::fs::write(&file, "metric_store: {cache: {default_expire: 1}}\n").unwrap();
    let index = Index::with(dir.path(), &["--config", file.to_str().unwrap()]);
    let fleet = envoy(index.address, index.address);
    let client = fleet.envoy.client().unwrap();
    let path = "/metrics/job/backup/instance/a";
    let text = "# TYPE bytes histogram\nbytes_bucket{le=\"+Inf\"} 1\nbytes_sum 2\nbytes_count 1\n";
    assert_eq!(client.put(path, text).unwrap().status, 200);
    index.wait("bytes_bucket{job=\"backup\",instance=\"a\",le=\"+Inf\"}");
    let owner = fleet.gateways[fleet.owner(path)].address.to_string();
    let owners = index.data("/api/v1/owners");
    assert!(owners.to_string().contains(&owner), "{owner}: {owners}");
    assert_eq!(index.data("/api/v1/conflicts"), json!([]));
    // Another Envoy, with another ring, sends the group to another gateway in turn.
    let headers = [("x-pushring-destination", "pushgateway-10.9.9.9:9091")];
    let split = || {
        assert_eq!(index.client.send("PUT", path, &headers, text).unwrap().status, 202);
        assert_eq!(client.put(path, text).unwrap().status, 200);
        let conflicts: Value = index.data("/api/v1/conflicts");
        (conflicts != json!([])).then_some(conflicts.to_string())
    };
    let conflicts = poll_until("the conflict", split).unwrap();
    assert!(conflicts.contains("10.9.9.9:9091") && conflicts.contains(&owner), "{conflicts}");
    // Its own series, as scraped: those of the group are in the catalogue.
    let scraped = fleet.gateways[fleet.owner(path)].metrics().unwrap();
    let of_group = |line: &&str| line.contains("job=\"backup\"") && !line.starts_with('#');
    assert_eq!(index.series("{job=\"backup\"}").len(), scraped.lines().filter(of_group).count(), "{scraped}");
}

#[test]
fn without_the_index_nothing_else_changes() {
    let dir = tempfile::tempdir().unwrap();
    let mut index = Index::start(dir.path());
    let fleet = envoy(index.address, index.address);
    index.process.kill();
    let client = fleet.envoy.client().unwrap();
    for push in 0..10 {
        assert_eq!(client.put(&format!("/metrics/job/{push}"), "a 1\n").unwrap().status, 200);
    }
}
