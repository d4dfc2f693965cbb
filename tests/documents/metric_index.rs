//! docs/index/README.md: the settings of the unit and the quick start of metric-index, with a real Prometheus.

use pushring_harness::http::Client;
use pushring_harness::{machine, poll_until, tools};

use crate::installation::wait_answer;
use crate::walk::Walk;

const INDEX: &str = "127.0.0.1:7001";

#[test]
fn document() {
    tools::metric_index().unwrap();
    machine::isolated("metric_index::document", quick_start);
}

fn quick_start() {
    let dir = tempfile::tempdir().unwrap();
    let mut walk = Walk::of("docs/index/README.md", dir.path());
    walk.section("Install");
    let heading = "Quick start";
    walk.next(heading);
    wait_answer(INDEX, "/-/ready");
    walk.next(heading);
    walk.next(heading);
    walk.next(heading);
    let client = Client::new(INDEX.parse().unwrap()).unwrap();
    for series in ["up", "backup_bytes"] {
        let path = format!("/api/v1/series?match[]={series}");
        let is_there = || client.get(&path).ok().filter(|answer| answer.text().contains(series)).map(drop);
        poll_until(&format!("the series {series}"), is_there).unwrap();
    }
    walk.rest().finish();
}
