//! The pages of the commands, on the machines of the operations guide.

use std::fs;
use std::path::Path;

use pushring_harness::{machine, tools};

use crate::installation::{Installation, PUSH, wait_answer};
use crate::walk::Walk;

#[test]
fn pages() {
    machine::isolated("commands::pages", walk);
}

fn walk() {
    let mut installation = Installation::start();
    Installation::install_files();
    installation.register(&[1, 2, 3]);
    installation.wait_passing(3);
    let mut operations = Walk::of("docs/operations.md", &installation.repository);
    operations.next("Processes");

    // As before the first publication.
    fs::remove_dir_all("/etc/pushring/live").unwrap();
    fs::create_dir("/etc/pushring/live").unwrap();
    page("publish").finish();

    operations.next("Processes");
    wait_answer(PUSH, "/-/healthy");
    operations.section("Processes");
    installation.wait_members(&[1, 2, 3]);
    for name in ["check", "owner", "plan", "groups", "expire", "delete"] {
        page(name).finish();
    }
    let sweep = page("sweep");
    wait_answer("127.0.0.1:9089", "/metrics");
    sweep.finish();

    installation.add_gateway(4);
    installation.register(&[4]);
    installation.wait_members(&[1, 2, 3, 4]);
    // Writes dynamic-sharding.yml.
    Walk::of("docs/migration.md", Path::new("/etc/pushring")).next("Before you start");
    page("register").finish();
    page("deregister").finish();
    installation.wait_members(&[1, 2, 3]);
    page("drain").finish();
    Walk::of("docs/configuration.md", &installation.repository).rest().finish();
}

/// Walks through the page of a command; its files are in /etc/pushring.
fn page(name: &str) -> Walk {
    assert!(tools::repository().join(format!("docs/command/{name}.md")).exists(), "{name}");
    Walk::of(&format!("docs/command/{name}.md"), Path::new("/etc/pushring")).rest()
}
