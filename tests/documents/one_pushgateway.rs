//! docs/one-pushgateway.md: three gateways take the place of one, with its groups, at its address; then the owner of a group dies.

use std::fs;
use std::net::SocketAddr;

use pushring_harness::{Pushgateway, machine};
use rustix::process::Signal;

use crate::installation::{Installation, wait_answer};
use crate::walk::Walk;

/// The folder of the old Pushgateway's file; /var/lib belongs to this machine.
const FOLDER: &str = "/run/pushgateway";
/// The owner of the group in the document, 10.0.0.3:9091.
const OWNER: usize = 2;
const FILE: &str = "--persistence.file=/run/pushgateway/metrics";

#[test]
fn document() {
    machine::isolated("one_pushgateway::document", replace_one_pushgateway);
}

fn replace_one_pushgateway() {
    let mut installation = Installation::start();
    Installation::install_files();
    fs::create_dir_all(FOLDER).unwrap();
    let mut walk = Walk::of("docs/one-pushgateway.md", &installation.repository)
        .replace(&[("/var/lib/pushgateway", FOLDER)]);
    let old = SocketAddr::from(([10, 0, 1, 1], 9091));
    let mut pushgateway = Pushgateway::start_at(installation.folder(), old, &[FILE]).unwrap();
    let pushed = pushgateway.client().unwrap().put("/metrics/job/report", "report_rows 7\n").unwrap();
    assert_eq!(pushed.status, 200);

    walk.section("1. The ring");
    walk.section("2. One page, one API, one /metrics");
    let heading = "3. The address";
    pushgateway.process.stop(Signal::TERM).unwrap();
    walk.next(heading);
    wait_answer("127.0.0.1:19090", "/-/ready");
    walk.section(heading);
    wait_answer("10.0.1.1:9091", "/metrics");
    walk.section("4. Push, and look");
    let owners = installation.stored_on("backup");
    assert_eq!(owners.len(), 2, "{owners:?}");

    let heading = "5. Kill the owner";
    // The document names its address.
    installation.gateways[OWNER].process.kill();
    walk.next(heading);
    installation.restart_gateway(OWNER);
    walk.rest().finish();
}
