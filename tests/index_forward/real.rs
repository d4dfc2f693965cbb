//! Real senders in front, real targets behind.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use pushring_harness::http::Client;
use pushring_harness::{MetricIndex, Prometheus, VictoriaMetrics, VmAgent, poll_until};
use serde_json::{Value, json};
use tempfile::tempdir;

use super::bodies::{sample, snappy, v1_series};
use super::fixture::{Line, V1, index, indexed, send};

const ALL: &str = "{__name__!=\"\"}";

/// Waits until the catalogue and VictoriaMetrics have the same series, some of them with this name; returns their number.
fn same(index: &MetricIndex, victoria: &VictoriaMetrics, name: &str) -> usize {
    let text = |series: &Value| series.to_string();
    let mut both = (BTreeSet::new(), BTreeSet::new());
    let outcome = poll_until("the same series in both", || {
        let path = "/api/v1/series?limit=0&match[]={__name__!=%22%22}";
        let catalogue: Value = serde_json::from_str(&index.get(path).ok()?).ok()?;
        let catalogue = catalogue["data"].as_array()?.iter().map(text).collect();
        both = (catalogue, victoria.series(ALL).ok()?.iter().map(text).collect());
        let has = both.0.iter().any(|series| series.contains(&format!("\"{name}\"")));
        (has && both.0 == both.1).then_some(both.0.len())
    });
    let differences: Vec<_> = both.0.symmetric_difference(&both.1).take(5).collect();
    outcome.unwrap_or_else(|error| panic!("{error}: {differences:?}"))
}

fn write_url(address: SocketAddr) -> String {
    format!("http://{address}/api/v1/write")
}

#[test]
fn a_write_can_be_read_back_from_victoriametrics() {
    let dir = tempdir().unwrap();
    let victoria = VictoriaMetrics::start(dir.path()).unwrap();
    let (index, _dir) = index(&write_url(victoria.address), &json!({}));
    let now = jiff::Timestamp::now().as_millisecond();
    let body = v1_series(&[("__name__", "probe"), ("job", "a")], &[sample(42.5, now)]);
    assert_eq!(send(&index, &V1, snappy(&body)).status, 204);
    let found = poll_until("the sample", || victoria.query("probe").ok().filter(|found| !found.is_empty()));
    let found = found.unwrap();
    assert_eq!(found[0]["metric"], json!({"__name__": "probe", "job": "a"}));
    assert_eq!(found[0]["value"][1], "42.5");
    indexed(&index, 1);
}

/// Prometheus scrapes the index and writes to it.
fn prometheus(message: &str) {
    let dir = tempdir().unwrap();
    let victoria = VictoriaMetrics::start(dir.path()).unwrap();
    let (index, _dir) = index(&write_url(victoria.address), &json!({}));
    let config = json!({
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [{"job_name": "index", "static_configs": [{"targets": [index.address]}]}],
        "remote_write": [{
            "url": write_url(index.address),
            "protobuf_message": message,
            "queue_config": {"batch_send_deadline": "100ms"},
        }],
    });
    let prometheus = Prometheus::with_config(dir.path(), &config).unwrap();
    let version = Client::new(prometheus.address).unwrap();
    let own = |name: &str| {
        let text = version.get("/metrics").ok()?.text();
        let value = |line: &str| line.rsplit_once(' ')?.1.parse::<f64>().ok();
        Some(text.lines().filter(|line| line.starts_with(name)).filter_map(value).sum::<f64>())
    };
    // All series of its scrapes are there, and those that count the requests of the index change with each.
    poll_until("samples", || (own("prometheus_remote_storage_samples_total")? > 500.0).then_some(()))
        .unwrap();
    assert!(same(&index, &victoria, "up") > 20);
    for failed in ["samples_failed_total", "samples_dropped_total", "exemplars_failed_total"] {
        assert_eq!(own(&format!("prometheus_remote_storage_{failed}")), Some(0.0), "{failed}");
    }
    let up = victoria.query("up{job=\"index\"}").unwrap();
    assert_eq!(up[0]["value"][1], "1");
}

#[test]
fn prometheus_with_version_1() {
    prometheus("prometheus.WriteRequest");
}

#[test]
fn prometheus_with_version_2() {
    prometheus("io.prometheus.write.v2.Request");
}

/// vmagent gets samples and writes them to the index.
fn vmagent(flag: &str, encoding: &str) {
    let dir = tempdir().unwrap();
    let victoria = VictoriaMetrics::start(dir.path()).unwrap();
    let (index, _dir) = index(&write_url(victoria.address), &json!({}));
    let flags = ["-remoteWrite.flushInterval=100ms", flag];
    let agent = VmAgent::start(dir.path(), &write_url(index.address), &flags).unwrap();
    let client = Client::new(agent.address).unwrap();
    let lines: String = (0..1000).map(|number| format!("probe{{number=\"{number}\"}} {number}\n")).collect();
    assert_eq!(client.post("/api/v1/import/prometheus", lines).unwrap().status, 204);
    indexed(&index, 1000);
    assert_eq!(same(&index, &victoria, "probe"), 1000);

    // A target sees which encoding it used.
    let line = Line::start(&json!({}));
    let agent = VmAgent::start(dir.path(), &write_url(line.index.address), &flags).unwrap();
    let answer = Client::new(agent.address).unwrap().post("/api/v1/import/prometheus", "probe 1\n").unwrap();
    assert_eq!(answer.status, 204);
    let request = poll_until("a request", || line.target.requests().into_iter().next()).unwrap();
    assert_eq!(request.headers["content-encoding"], encoding);
}

#[test]
fn vmagent_with_zstd() {
    vmagent("-remoteWrite.forceVMProto=true", "zstd");
}

#[test]
fn vmagent_with_snappy() {
    vmagent("-remoteWrite.forcePromProto=true", "snappy");
}

#[test]
fn vmagent_stands_for_vminsert_with_tenants_in_the_path() {
    let dir = tempdir().unwrap();
    let victoria = VictoriaMetrics::start(dir.path()).unwrap();
    let flags = ["-remoteWrite.flushInterval=100ms", "-enableMultitenantHandlers"];
    let agent = VmAgent::start(dir.path(), &write_url(victoria.address), &flags).unwrap();
    let url = format!("http://{}/insert/1/prometheus/api/v1/write", agent.address);
    let (index, _dir) = index(&url, &json!({}));
    let client = Client::new(index.address).unwrap();
    let now = jiff::Timestamp::now().as_millisecond();
    for (name, path) in [("own", "/api/v1/write"), ("other", "/insert/42/prometheus/api/v1/write")] {
        let body = snappy(&v1_series(&[("__name__", name)], &[sample(1.0, now)]));
        assert_eq!(client.send("POST", path, &V1, body).unwrap().status, 204, "{path}");
    }
    let found = poll_until("both", || victoria.series(ALL).ok().filter(|found| found.len() == 2)).unwrap();
    let account = |name: &str| {
        let series = found.iter().find(|series| series["__name__"] == name).unwrap();
        series["vm_account_id"].clone()
    };
    assert_eq!((account("own"), account("other")), (json!("1"), json!("42")));
}
