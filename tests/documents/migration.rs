//! docs/migration.md, from dynamic-sharding to canonical keys, with clients that push all the time.

use std::env;
use std::path::PathBuf;

use pushring_harness::http::Client;
use pushring_harness::{Process, machine, process, tools};

use crate::installation::{Installation, PUSH, wait_answer};
use crate::traffic::Traffic;
use crate::walk::Walk;

const DYNAMIC_SHARDING: &str = "10.0.1.1:9292";

#[test]
fn to_cluster() {
    machine::isolated("migration::to_cluster", || migrate(&[]));
}

#[test]
fn to_endpoint() {
    let endpoint = [
        ("cluster.yaml", "endpoint.yaml"),
        ("clusters.yaml", "endpoints.yaml"),
        ("mode: cluster", "mode: endpoint"),
    ];
    machine::isolated("migration::to_endpoint", || migrate(&endpoint));
}

fn migrate(replacements: &[(&str, &str)]) {
    let installation = Installation::start();
    let mut walk = Walk::of("docs/migration.md", &installation.repository).replace(replacements);
    walk.next("Before you start");
    let mut original = dynamic_sharding(&installation);
    wait_answer(DYNAMIC_SHARDING, "/metrics/job/x");
    installation.wait_passing(3);
    walk.section("Before you start");
    let traffic = Traffic::start(DYNAMIC_SHARDING);
    let owners = next_urls(DYNAMIC_SHARDING);

    let heading = "1. Same placement, same redirects, next to it";
    walk.next(heading);
    walk.next(heading);
    walk.next(heading);
    wait_answer(PUSH, "/-/ready");
    walk.section(heading);
    assert_eq!(next_urls(PUSH), owners);

    walk.section("2. Registrations that do not flap");
    installation.wait_members(&[1, 2, 3]);
    assert_eq!(next_urls(PUSH), owners);

    // Step 3 has no commands.
    traffic.move_to(PUSH);
    original.kill();

    let heading = "4. Proxy instead of redirect";
    walk.next(heading);
    installation.wait_status("mode", if replacements.is_empty() { "cluster" } else { "endpoint" });
    walk.section(heading);
    traffic.round();
    assert_eq!(next_urls(PUSH), owners, "no group has moved");
    for (path, owner) in &owners {
        push(path);
        assert_eq!(installation.stored_on(job(path)), [owner.parse().unwrap()]);
    }

    let heading = "5. Canonical keys";
    walk.next(heading);
    installation.wait_status("route_by", "group");
    traffic.outdate();
    for (path, _) in &owners {
        push(path);
    }
    traffic.round();
    walk.section(heading);
    let pushed = traffic.stop();
    assert!(pushed.lost.is_empty(), "lost {} of {}: {:?}", pushed.lost.len(), pushed.pushes, pushed.lost);
    installation.assert_stored(&pushed.values);
    for (path, owner) in next_urls(PUSH) {
        let stored = installation.stored_on(job(&path));
        assert_eq!(stored, [owner.parse().unwrap()], "the sweep deletes the copy on the former owner");
    }
    walk.finish();
}

/// Returns 40 paths of different groups and the owner of each, by a lookup as dynamic-sharding's scripts do it.
fn next_urls(server: &str) -> Vec<(String, String)> {
    let client = Client::new(server.parse().unwrap()).unwrap();
    let owner = |index| {
        let labels = ["", "/instance/i", "/a/1/b/2", "/b/2/a/1"][index % 4];
        let path = format!("/metrics/job/job{index}{labels}");
        let answer = client.get(&path).unwrap().text();
        let answer = if answer.starts_with("nextUrl:") {
            answer
        } else {
            client.get(&format!("/-/pushring/owner?path={path}")).unwrap().text()
        };
        let owner = answer.strip_prefix("nextUrl:http://").and_then(|url| url.strip_suffix(path.as_str()));
        let owner = owner.unwrap_or_else(|| panic!("{path}: {answer}")).to_owned();
        (path, owner)
    };
    (0..40_usize).map(owner).collect()
}

fn job(path: &str) -> &str {
    path.split('/').nth(3).unwrap()
}

fn push(path: &str) {
    let client = Client::new(PUSH.parse().unwrap()).unwrap();
    assert_eq!(client.put(path, "x 1\n").unwrap().status, 200, "{path}");
}

/// Starts dynamic-sharding with the file of the document. It is in no registry, so a program of the tests replaces it, unless
/// the environment variable `DYNAMIC_SHARDING` names the real one.
fn dynamic_sharding(installation: &Installation) -> Process {
    let config = format!("--config.file={}", installation.repository.join("dynamic-sharding.yml").display());
    let mut command = match env::var_os("DYNAMIC_SHARDING") {
        Some(real) => process::command(&PathBuf::from(real)),
        None => {
            let mut command = process::command(&tools::python().unwrap());
            command.arg(tools::repository().join("tests/documents/dynamic_sharding.py"));
            command
        }
    };
    command.arg(config).current_dir(&installation.repository);
    Process::start("dynamic-sharding", command, installation.folder()).unwrap()
}
