//! `make run` as a new user sees it: the tests read what it prints, run the printed commands, and check that nothing
//! is left when it ends. Needs curl.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // a panic is how a test fails

mod consul;
mod dns;
mod etcd;
mod file;
mod replicas;
mod running;

use std::collections::BTreeSet;

use pushring_harness::http::Client;
use running::{Running, assert_gone, shell};
use rustix::process::Signal;

/// Checks the table against the Pushgateways and runs every curl line.
fn check_table_and_curl_lines(demo: &mut Running) {
    demo.wait("10 groups, 140 pushes: each group is on exactly one pushgateway.");
    demo.wait("Running. Press Ctrl-C to stop.");
    let mut groups = BTreeSet::new();
    for gateway in demo.gateways() {
        let held = Client::new(gateway).unwrap().get("/api/v1/metrics").unwrap().json().unwrap();
        for group in held["data"].as_array().unwrap() {
            assert!(groups.insert(group["labels"].to_string()), "{} occurs twice", group["labels"]);
        }
    }
    assert_eq!(groups.len(), 10, "{groups:?}");
    let rows = demo.said().lines().filter(|line| line.starts_with("   job=")).count();
    assert_eq!(rows, 10, "{}", demo.said());

    // A line can be longer only because of one long word, such as a path.
    let fits = |line: &str| line.chars().count() <= 80 || line.split(' ').any(|word| word.len() > 50);
    assert!(demo.said().lines().all(fits), "{:?}", demo.said().lines().find(|line| !fits(line)));

    let pushes = demo.commands("--data-binary");
    assert_eq!(pushes.len(), 2);
    assert!(pushes.iter().all(|push| shell(push).trim() == "200"));
    let lookups = demo.commands(r"curl -w '\n'");
    let [text, json, status] = lookups.as_slice() else { panic!("{lookups:?}") };
    let owner = shell(text).trim().replace("nextUrl:http://", "");
    let json: serde_json::Value = serde_json::from_str(&shell(json)).unwrap();
    assert!(owner.starts_with(json["owner"]["address"].as_str().unwrap()), "{owner} {json}");
    let status: serde_json::Value = serde_json::from_str(&shell(status)).unwrap();
    assert_eq!(status["members"].as_array().unwrap().len(), demo.gateways().len());
    assert_eq!(shell(&demo.command("-X DELETE")).trim(), "202");
    for operator in demo.commands("x-pushring-gateway") {
        assert!(shell(&operator).contains("pushgateway_build_info"), "{operator}");
    }
}

fn end_in_order(demo: &mut Running, signal: Signal, least: usize) {
    let children = demo.children();
    assert!(children.len() >= least, "{children:?}");
    let mut addresses = demo.gateways();
    addresses.push(demo.spare());
    let envoy =
        demo.commands("-X DELETE")[0].split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned();
    addresses.push(envoy.parse().unwrap());
    assert_eq!(demo.end(signal), Some(0));
    assert_gone(&children, &addresses);
    demo.wait("Stopped: all processes have ended");
}

#[test]
fn works_in_other_modes_with_more_gateways() {
    for mode in ["endpoint", "redirect"] {
        let mut demo = Running::start(&["--mode", mode, "--gateways", "5"]);
        check_table_and_curl_lines(&mut demo);
        shell(&demo.command("echo '- "));
        demo.wait("ring now 6 members, ");
        shell(&demo.command("leaving: true"));
        demo.wait("ring now 5 members, ");
        end_in_order(&mut demo, Signal::TERM, 8);
    }
}

#[test]
fn ends_when_envoy_dies() {
    let mut demo = Running::start(&["--gateways", "1"]);
    demo.wait("Running. Press Ctrl-C to stop.");
    let children = demo.children();
    let said = demo.said();
    let envoy = said.lines().find(|line| line.starts_with("  Envoy        http://")).unwrap();
    shell(&format!("kill -KILL {}", envoy.rsplit(' ').next().unwrap()));
    demo.wait("Envoy ended (signal: 9");
    assert_eq!(demo.exit_code(), Some(1));
    assert_gone(&children, &demo.gateways());
}

#[test]
fn rejects_a_used_port_and_a_used_folder() {
    let dir = tempfile::tempdir().unwrap();
    let mut demo = Running::start_in(dir.path(), &["--port", "0", "--gateways", "1"]);
    demo.wait("Running. Press Ctrl-C to stop.");
    let port = demo.commands("-X DELETE")[0].split("127.0.0.1:").nth(1).unwrap()[..5].to_owned();
    let other = tempfile::tempdir().unwrap();
    let mut second = Running::start_in(other.path(), &["--port", &port]);
    second.wait(&format!("port {port} (for pushes) is in use by envoy (process "));
    assert_eq!(second.exit_code(), Some(1));
    let mut third = Running::start_in(dir.path(), &["--port", "0"]);
    third.wait("another demo uses it (process ");
    assert_eq!(third.exit_code(), Some(1));
    end_in_order(&mut demo, Signal::HUP, 4);
}

/// Linux only: other systems do not kill the children of a killed process.
#[cfg(target_os = "linux")]
#[test]
fn leaves_no_process_when_killed() {
    let mut demo = Running::start(&[]);
    demo.wait("Running. Press Ctrl-C to stop.");
    let children = demo.children();
    assert_eq!(children.len(), 7, "gateways, Envoy, discover and serve");
    assert_eq!(demo.end(Signal::KILL), None);
    assert_gone(&children, &demo.gateways());
}
