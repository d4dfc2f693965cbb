//! `make run REPLICAS=2`: the demo kills an owner, and no group is gone.

use pushring_harness::http::Client;
use rustix::process::Signal;

use crate::end_in_order;
use crate::running::{Running, shell};

#[test]
fn the_death_of_an_owner_loses_nothing() {
    let mut demo = Running::start(&["--replicas", "2", "--mode", "endpoint"]);
    demo.wait("10 groups, 140 pushes: each group is on exactly two pushgateways.");
    demo.wait("Kill an owner, and look: nothing is gone");
    demo.wait("has all 10 groups, 140 pushes ... ready");
    demo.wait("restores its groups ... ready");
    let page = demo.wait("page, API and /metrics of all");
    let address = page.split("http://").nth(1).unwrap().split('/').next().unwrap();
    demo.wait("Running. Press Ctrl-C to stop.");
    let client = Client::new(address.parse().unwrap()).unwrap();
    let groups = client.get("/api/v1/metrics").unwrap().json().unwrap();
    assert_eq!(groups["data"].as_array().unwrap().len(), 10, "{groups}");
    // All copies are good again: exit code 0.
    let listed = shell(&demo.command("pushring groups"));
    assert_eq!(listed.lines().filter(|line| line.starts_with(" {job=")).count(), 20, "{listed}");
    end_in_order(&mut demo, Signal::INT, 8);
}

#[test]
fn rejects_replicas_that_cannot_be() {
    for args in [["--mode", "redirect"], ["--gateways", "1"]] {
        let mut demo = Running::start(&[&["--replicas", "2"], &args[..]].concat());
        demo.wait("The demo failed");
        assert_eq!(demo.exit_code(), Some(1), "{args:?}");
    }
}
