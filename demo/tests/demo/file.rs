//! `make run`: the members come from a file that the user edits.

use std::fs;
use std::path::PathBuf;

use pushring_harness::http::Client;
use rustix::process::Signal;

use crate::running::{Running, shell};
use crate::{check_table_and_curl_lines, end_in_order};

#[test]
fn follows_changes_of_members() {
    let mut demo = Running::start(&[]);
    check_table_and_curl_lines(&mut demo);
    let add = demo.command("echo '- ");
    let file: PathBuf = add.rsplit(' ').next().unwrap().into();
    let next = demo.spare();

    shell(&add);
    demo.wait(&format!("member {next} added"));
    let line = demo.wait("ring now 4 members, ");
    assert!(line.contains("% of groups moved, live in ") && line.ends_with(" ms"), "{line}");
    let status: serde_json::Value =
        serde_json::from_str(&shell(demo.commands("/-/pushring").last().unwrap())).unwrap();
    assert_eq!(status["members"].as_array().unwrap().len(), 4, "printed before it was true");
    // The demo's groups are on their owners, or left behind by the new ring (exit code 1).
    let groups = shell(&format!("{}; true", demo.command("pushring groups")));
    assert_eq!(groups.lines().filter(|line| line.starts_with(" {job=")).count(), 10, "{groups}");
    let sweep = shell(&format!("{}; true", demo.command("pushring sweep")));
    assert!(sweep.contains(" in place, 0 deleted, "), "{sweep}");
    let refused = shell(&format!("{} 2>&1; true", demo.command("pushring drain")));
    assert!(refused.contains("ring"), "a member was drained: {refused}");

    // Writes a file that is no list, and replaces it, as editors do.
    let good = fs::read_to_string(&file).unwrap();
    fs::write(&file, "- [").unwrap();
    demo.wait("source away; the ring stays: ");
    let other = file.with_extension("other");
    fs::write(&other, good).unwrap();
    fs::rename(&other, &file).unwrap();
    demo.wait("source back");

    shell(&demo.command("leaving: true"));
    demo.wait(&format!("{next} left"));
    demo.wait(&format!("member {next} removed"));
    demo.wait("ring now 3 members, ");
    shell(&demo.command(&format!("/{next}/d")));
    let drained = shell(&demo.command("pushring drain"));
    assert!(drained.contains(" holds 0 groups now"), "{drained}");
    let held = Client::new(next).unwrap().get("/api/v1/metrics").unwrap().json().unwrap();
    assert_eq!(held["data"].as_array().unwrap().len(), 0, "{held}");

    let [.., last] = demo.gateways()[..] else { panic!("no gateways") };
    shell(&demo.commands("kill ")[0]);
    demo.wait(&format!("pushgateway {last} ended"));
    end_in_order(&mut demo, Signal::INT, 4);
}
