//! Draws docs/index/page.png: a catalogue with a conflict.

use std::env;
use std::path::PathBuf;

use serde_json::json;

use crate::catalogue::Catalogue;

#[test]
fn draws_the_picture() {
    let dir = tempfile::tempdir().unwrap();
    let file = env::var_os("PICTURE").map_or_else(|| dir.path().join("page.png"), PathBuf::from);
    let catalogue = Catalogue::start();
    let mut all: Vec<Vec<(String, String)>> = Vec::new();
    for (metric, job, instances, codes) in [
        ("http_requests_total", "api", 40, 6),
        ("http_request_duration_seconds_bucket", "api", 40, 12),
        ("node_cpu_seconds_total", "node", 32, 8),
        ("node_filesystem_avail_bytes", "node", 32, 3),
        ("grpc_server_handled_total", "ledger", 12, 5),
        ("queue_depth", "worker", 18, 2),
        ("up", "web", 9, 1),
    ] {
        for instance in 0..instances {
            for code in 0..codes {
                let labels = [
                    ("__name__", metric.to_owned()),
                    ("job", job.to_owned()),
                    ("instance", format!("10.0.{}.{instance}:9100", metric.len())),
                    ("code", (200 + code).to_string()),
                ];
                all.push(labels.map(|(name, value)| (name.to_owned(), value)).into());
            }
        }
    }
    let borrowed: Vec<Vec<(&str, &str)>> = all
        .iter()
        .map(|labels| labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect())
        .collect();
    catalogue.write("", &borrowed.iter().map(Vec::as_slice).collect::<Vec<_>>());
    for n in 1..=12 {
        catalogue.push(
            &format!("/metrics/job/backup/instance/db{n}"),
            "10.0.0.3:9091",
            "# TYPE rows gauge\nrows{table=\"orders\"} 1\n",
        );
    }
    catalogue.split("/metrics/job/backup/instance/db1");
    let mut browser = catalogue.browser();
    browser.height = 1100;
    browser.run(json!([["open", "/"], ["picture", file]]));
    let size = std::fs::metadata(&file).unwrap().len();
    assert!((10_000..400_000).contains(&size), "{size} bytes");
}
