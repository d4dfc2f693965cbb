//! docs/sources.md: from consul-template to `pushring discover`, with clients that push all the time.

use pushring_harness::http::Client;
use pushring_harness::machine;

use crate::installation::{Installation, PUSH, wait_answer};
use crate::traffic::{GROUPS, Traffic};
use crate::walk::Walk;

#[test]
fn document() {
    machine::isolated("sources::document", migrate);
}

fn migrate() {
    let mut installation = Installation::start();
    Installation::install_files();
    installation.register(&[1, 2, 3]);
    let mut processes = Walk::of("docs/operations.md", &installation.repository);
    for _ in 0..2 {
        processes.next("Processes");
    }
    wait_answer(PUSH, "/-/healthy");
    processes.section("Processes");
    installation.wait_members(&[1, 2, 3]);
    let traffic = Traffic::start(PUSH);
    let digest = digest();

    let mut walk = Walk::of("docs/sources.md", &installation.repository);
    let heading = "From consul-template to discover";
    walk.section(heading);
    assert_eq!(self::digest(), digest, "a group moved");
    traffic.round();
    assert_eq!(installation.copies(), GROUPS, "a group was split");

    // Changes are followed as before.
    installation.add_gateway(4);
    installation.register(&[4]);
    installation.wait_members(&[1, 2, 3, 4]);
    let pushed = traffic.stop();
    assert!(pushed.lost.is_empty(), "lost {} of {}: {:?}", pushed.lost.len(), pushed.pushes, pushed.lost);
    installation.assert_stored(&pushed.values);
    walk.finish();
}

/// Returns the digest of the active ring.
fn digest() -> String {
    let status = Client::new(PUSH.parse().unwrap()).unwrap().get("/-/pushring").unwrap().json().unwrap();
    status["digest"].as_str().unwrap().to_owned()
}
