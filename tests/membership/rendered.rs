//! Recorded answers of Consul -> registrations -> the live files -> a real Envoy that accepts them.
//!
//! The expected files are in consul-template/fixtures/<case>/. After an intended change, write them with
//! `BLESS=1 cargo test -p pushring-harness --test membership rendered` and review the difference.

use std::fs;
use std::path::Path;

use pushring::fleet::ring_file::RingFile;
use pushring_harness::{Envoy, Layout, Mode, Module, Ports, Templates, tools};

use crate::replay;

type Answers = &'static [(&'static str, &'static str)];
type Edits = &'static [(&'static str, &'static str)];

fn check(case: &str, mode: Mode, answers: Answers, edits: Edits) {
    let dir = tempfile::tempdir().unwrap();
    // The fixtures name the Wasm filter.
    let root = dir.path().join("pushring");
    let layout = Layout::with_module(Module::Wasm, &root, mode, Ports::default(), &[]).unwrap();
    let templates = Templates::install(&layout, edits).unwrap();
    let output = templates.once(replay::consul(answers)).unwrap();

    let expected = tools::repository().join("consul-template/fixtures").join(case);
    for file in ["ring.yaml"].into_iter().chain(mode.upstream_file()) {
        compare(&fs::read_to_string(layout.live().join(file)).unwrap(), &layout, &expected.join(file));
    }
    // publish writes each skipped registration to consul-template's log.
    let log = String::from_utf8_lossy(&output.stderr);
    let skipped = log.lines().filter_map(|line| Some(line.split_once("skipped: ")?.1.to_owned() + "\n"));
    compare(&skipped.collect::<String>(), &layout, &expected.join("skipped.txt"));

    Envoy::validate(&layout, &tools::find("envoy").unwrap()).unwrap();
    let envoy = Envoy::start(&layout, 1).unwrap();
    let ring = RingFile::read(&layout.live().join("ring.yaml")).unwrap();
    let names: Vec<&str> = ring.config.members.iter().map(|member| member.name.as_str()).collect();
    envoy.wait_members(&names).unwrap();
    let listed = envoy.admin("/clusters").unwrap();
    for member in &ring.config.members {
        let upstream = match mode {
            Mode::Cluster => format!("pushgateway-{}::", member.name),
            _ => format!("pushgateway::{}::", member.address),
        };
        assert!(mode == Mode::Redirect || listed.contains(&upstream), "{case}: no {upstream} in {listed}");
    }
    for stat in ["cluster_manager.cds.update_rejected", "cluster_manager.cds.update_failure"] {
        assert_eq!(envoy.stat(stat).unwrap().unwrap_or(0), 0, "{case}: {stat}");
    }
}

/// Compares all but the folder of the test.
fn compare(text: &str, layout: &Layout, expected: &Path) {
    let dir = layout.live().parent().unwrap().to_str().unwrap().to_owned();
    let text = text.replace(&dir, "/etc/pushring");
    if std::env::var_os("BLESS").is_some() {
        fs::create_dir_all(expected.parent().unwrap()).unwrap();
        fs::write(expected, &text).unwrap();
    }
    let wanted = fs::read_to_string(expected).unwrap();
    assert!(text == wanted, "{} differs:\n{text}", expected.display());
}

const ODD: Answers = &[("dc1", "odd.json")];

#[test]
fn renders_odd_registrations_in_every_mode() {
    check("odd-cluster", Mode::Cluster, ODD, &[]);
    check("odd-endpoint", Mode::Endpoint, ODD, &[]);
    check("odd-redirect", Mode::Redirect, ODD, &[]);
}

#[test]
fn renders_an_empty_fleet() {
    check("empty-cluster", Mode::Cluster, &[("dc1", "empty.json")], &[]);
    check("empty-endpoint", Mode::Endpoint, &[("dc1", "empty.json")], &[]);
}

#[test]
fn renders_two_datacenters() {
    let edits = &[("datacenters: []", "datacenters: [dc1, dc2]")];
    check("datacenters", Mode::Cluster, &[("dc1", "odd.json"), ("dc2", "dc2.json")], edits);
}

#[test]
fn renders_only_services_with_a_tag() {
    check("tags", Mode::Cluster, ODD, &[("tags: []", "tags: [prod, eu]")]);
}

#[test]
fn renders_other_settings() {
    let edits = &[
        ("route_by: group", "route_by: path"),
        ("{ type: ring, points: 1024 }", "{ type: dynamic-sharding }"),
        ("min_members_share: 0.5", "min_members_share: 0.75"),
        ("path_prefix: \"\"", "path_prefix: /pushgateway"),
        ("utf8_names: false", "utf8_names: true"),
    ];
    check("settings", Mode::Cluster, ODD, edits);
}
