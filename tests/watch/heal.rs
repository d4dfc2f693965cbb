//! `--heal`.

use pushring_harness::poll_until;

use crate::fixture::WatchFixture;

#[test]
fn deletes_stubs_that_poison() {
    let fixture = WatchFixture::start();
    let client = fixture.gateways[0].client().unwrap();
    client.put("/metrics/job/honest", "m 1\n").unwrap();
    assert_eq!(client.put("/metrics/job/bad%ff", "m 1\n").unwrap().status, 400);
    // Off by default.
    let mut sweeper = fixture.watch("sweeper", &["--settle", "0s", "--single"]);
    sweeper.wait("pass", 2);
    assert_eq!((sweeper.stop(), fixture.counts()[0]), (Some(0), 2));
    let mut sweeper = fixture.watch("healing", &["--settle", "0s", "--single", "--heal"]);
    let healed = sweeper.wait("healed", 1).remove(0);
    assert_eq!(healed["on"], fixture.addresses()[0].to_string());
    assert!(healed["poison"].as_str().unwrap().contains("utf8"), "{healed}");
    poll_until("the counter", || (sweeper.metrics()["pushring_sweep_healed_total"] == 1.0).then_some(()))
        .unwrap();
    assert_eq!(sweeper.logged("pass")[0]["healed"], 1);
    assert_eq!(client.put("/metrics/job/honest", "m 2\n").unwrap().status, 200);
    assert_eq!(fixture.counts()[0], 1);
}
