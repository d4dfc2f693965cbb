//! Captures index/testdata/captured/: a body of each sender, and the series that the sender itself has.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use hyper::body::Bytes;
use pushring_harness::every_type::every_type;
use pushring_harness::http::{Client, Response};
use pushring_harness::server::{self, Request};
use pushring_harness::{MetricIndex, Prometheus, Pushgateway, VictoriaMetrics, VmAgent, poll_until, proto};
use serde_json::{Value, json};
use tempfile::tempdir;

/// Scrapes with all that a Pushgateway can have, and nothing of its own.
fn scrape(gateway: SocketAddr) -> Value {
    json!([{
        "job_name": "gateway",
        "scrape_interval": "1s",
        "scrape_timeout": "1s",
        "honor_labels": true,
        "static_configs": [{"targets": [gateway]}],
        "metric_relabel_configs": [{"source_labels": ["job"], "regex": "captured", "action": "keep"}],
    }])
}

/// A target that keeps the bodies of each path.
#[derive(Clone, Default)]
struct Bodies(Arc<Mutex<BTreeMap<String, Vec<Request>>>>);

impl Bodies {
    fn serve(&self) -> SocketAddr {
        let of = self.clone();
        let keep = move |request: &Request| {
            of.0.lock().unwrap().entry(request.path.clone()).or_default().push(request.clone());
            Ok(Response { status: 204, ..Response::ok("") })
        };
        server::serve(keep).unwrap()
    }

    /// Returns the first body of which the catalogue gets these series.
    fn whole(&self, path: &str, index: &MetricIndex, series: &BTreeSet<String>) -> Vec<u8> {
        let client = Client::new(index.address).unwrap();
        let mut last = BTreeSet::new();
        let found = poll_until(&format!("a whole body at {path}"), || {
            let requests = self.0.lock().unwrap().get(path).cloned().unwrap_or_default();
            // Prometheus and vmagent send facts about metrics in bodies of their own.
            requests.into_iter().enumerate().find_map(|(number, request)| {
                let tenant = format!("{}-{number}", &path[1..]);
                let header = |name: &str| request.headers.get(name)?.to_str().ok();
                let headers = [
                    ("content-type", header("content-type").unwrap_or_default()),
                    ("content-encoding", header("content-encoding").unwrap_or_default()),
                    ("x-scope-orgid", tenant.as_str()),
                ];
                let answer = client.send("POST", "/api/v1/write", &headers, request.body.clone()).ok()?;
                assert!(answer.status < 300, "{path}: {}", answer.text());
                last = listed(index.address, Some(&tenant))?;
                (last == *series).then(|| request.body.to_vec())
            })
        });
        let differences: Vec<_> = last.symmetric_difference(series).take(5).collect();
        found.unwrap_or_else(|error| panic!("{error}: {differences:?}"))
    }
}

/// Returns the series of a server.
fn listed(server: SocketAddr, tenant: Option<&str>) -> Option<BTreeSet<String>> {
    let path = "/api/v1/series?limit=0&start=0&match[]=%7b__name__!=%22%22%7d";
    let headers: Vec<_> = tenant.iter().map(|tenant| ("x-scope-orgid", *tenant)).collect();
    let answer = Client::new(server).ok()?.send("GET", path, &headers, "").ok()?.json().ok()?;
    Some(answer["data"].as_array()?.iter().map(Value::to_string).collect())
}

/// Waits until a sender has scraped all.
fn scraped(server: SocketAddr, native: bool) -> BTreeSet<String> {
    // Prometheus adds this series last.
    let last = "scrape_series_added";
    let is_whole = |series: &BTreeSet<String>| {
        let has = |name: &str| series.iter().any(|labels| labels.contains(&format!("\"{name}\"")));
        has(last) && has("gauge") && (!native || has("native"))
    };
    poll_until("a scrape", || listed(server, None).filter(is_whole)).unwrap()
}

/// Starts a Pushgateway with a group whose label has letters that are not ASCII and those that the text format escapes.
fn gateway(dir: &Path, content_type: &str, body: impl Into<Bytes>) -> Pushgateway {
    let gateway = Pushgateway::start(dir, &[]).unwrap();
    let path = "/metrics/job/captured/zone@base64/w7wgIiBcIC8";
    let client = gateway.client().unwrap();
    let answer = client.send("PUT", path, &[("content-type", content_type)], body).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    gateway
}

/// A counter, a histogram and some gauges. VictoriaMetrics, whose list judges vmagent, drops series with NaN only.
fn text() -> String {
    let mut text =
        "# HELP counter_total Help of counter_total.\n# TYPE counter_total counter\ncounter_total 42.5\n"
            .to_owned();
    text += "# TYPE untyped untyped\nuntyped -1\n# TYPE classic histogram\n";
    text += "classic_bucket{le=\"0.1\"} 2\nclassic_bucket{le=\"+Inf\"} 5\nclassic_sum 3.5\nclassic_count 5\n# TYPE gauge gauge\n";
    (0..40).for_each(|n| text += &format!("gauge{{value=\"number {n} of forty\"}} {}\n", f64::from(n) * 1e9));
    text
}

fn save(dir: &Path, name: &str, content: impl AsRef<[u8]>) {
    let length = content.as_ref().len();
    assert!((200..20_000).contains(&length), "{name}: {length} bytes");
    fs::write(dir.join(name), content).unwrap();
}

fn save_series(dir: &Path, name: &str, series: &BTreeSet<String>) {
    let lines: Vec<&str> = series.iter().map(String::as_str).collect();
    save(dir, name, format!("[\n{}\n]\n", lines.join(",\n")));
}

#[test]
fn each_sender_writes_the_series_that_it_has() {
    let dir = tempdir().unwrap();
    let into = std::env::var_os("CAPTURE").map_or_else(|| dir.path().to_owned(), PathBuf::from);
    let types = gateway(dir.path(), proto::CONTENT_TYPE, every_type().concat());
    let bodies = Bodies::default();
    let target = bodies.serve();
    let index = MetricIndex::start(dir.path(), "index", &json!({})).unwrap();

    let remote = |path: &str, message: &str| {
        json!({
            "url": format!("http://{target}/{path}"),
            "protobuf_message": message,
            "send_exemplars": true,
            "send_native_histograms": true,
            "metadata_config": {"send_interval": "1s"},
            "queue_config": {"max_shards": 1, "batch_send_deadline": "2s"},
        })
    };
    let mut config = json!({
        "scrape_configs": scrape(types.address),
        "remote_write": [
            remote("prometheus-1", "prometheus.WriteRequest"),
            remote("prometheus-2", "io.prometheus.write.v2.Request"),
        ],
    });
    config["scrape_configs"][0]["scrape_native_histograms"] = json!(true);
    config["scrape_configs"][0]["always_scrape_classic_histograms"] = json!(true);
    // Facts about metrics are in 2.0 only with the second.
    let flags = ["--enable-feature=exemplar-storage,metadata-wal-records"];
    let prometheus = Prometheus::with_flags(dir.path(), &config, &flags).unwrap();
    let series = scraped(prometheus.address, true);
    save_series(&into, "prometheus.json", &series);
    for path in ["prometheus-1", "prometheus-2"] {
        save(&into, &format!("{path}.snappy"), bodies.whole(&format!("/{path}"), &index, &series));
    }

    let victoria = VictoriaMetrics::start(dir.path()).unwrap();
    let file = dir.path().join("scrape.yml");
    let types = gateway(dir.path(), "text/plain", text());
    fs::write(&file, json!({"scrape_configs": scrape(types.address)}).to_string()).unwrap();
    let flags = [
        format!("-remoteWrite.url=http://{target}/vmagent-snappy"),
        format!("-remoteWrite.url=http://{}/api/v1/write", victoria.address),
        "-remoteWrite.forceVMProto=true,false,false".to_owned(),
        "-remoteWrite.forcePromProto=false,true,false".to_owned(),
        "-remoteWrite.flushInterval=100ms".to_owned(),
        format!("-promscrape.config={}", file.display()),
    ];
    let flags = flags.each_ref().map(String::as_str);
    let agent = VmAgent::start(dir.path(), &format!("http://{target}/vmagent-zstd"), &flags).unwrap();
    let series = scraped(victoria.address, false);
    save_series(&into, "vmagent.json", &series);
    for encoding in ["zstd", "snappy"] {
        let body = bodies.whole(&format!("/vmagent-{encoding}"), &index, &series);
        save(&into, &format!("vmagent.{encoding}"), body);
    }
    drop(agent);
}
