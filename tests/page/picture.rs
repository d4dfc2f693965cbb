//! Draws docs/page.png: a fleet with replicas in which a gateway has restarted empty and another one is down.

use std::env;
use std::path::PathBuf;

use pushring_harness::{Pushgateway, poll_until};
use serde_json::json;

use crate::fleet::Fleet;

#[test]
fn draws_the_picture() {
    let dir = tempfile::tempdir().unwrap();
    let file = env::var_os("PICTURE").map_or_else(|| dir.path().join("page.png"), PathBuf::from);
    let mut fleet = Fleet::start(true);
    for (job, instances) in [("backup", 12), ("etl-orders", 20), ("nightly-report", 9), ("certificates", 7)] {
        for n in 1..=instances {
            let name = job.replace('-', "_");
            let body = format!(
                "# TYPE {name}_duration_seconds gauge\n# HELP {name}_duration_seconds Time of the last run.\n\
                 {name}_duration_seconds {n}.25\n# TYPE {name}_records_total counter\n\
                 # HELP {name}_records_total Records that the last run wrote.\n{name}_records_total{{table=\"all\"}} {}\n",
                n * 1731
            );
            fleet.push(&format!("/metrics/job/{job}/instance/host-{n:02}"), &body);
        }
    }
    let total = || fleet.gateways.iter().map(|gateway| gateway.groups().unwrap().len()).sum::<usize>();
    poll_until("all copies", || (total() == 2 * 48).then_some(())).unwrap();
    let restarted = fleet.gateways[0].address;
    fleet.gateways[0].process.kill();
    fleet.gateways[0] = Pushgateway::start_at(dir.path(), restarted, &[]).unwrap();
    let mut browser = fleet.browser();
    browser.height = 900;
    let first = ".groups > li:first-child";
    browser.run(json!([
        ["open", "/"],
        ["click", format!("{first} > details > summary")],
        ["click", format!("{first} .family:first-of-type summary")],
        ["picture", file],
    ]));
    let size = std::fs::metadata(&file).unwrap().len();
    assert!((10_000..300_000).contains(&size), "{size} bytes");
}
