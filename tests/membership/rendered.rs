//! Recorded answers of Consul -> what the templates render -> a real Envoy that takes it.
//!
//! The expected files are in consul-template/fixtures/<case>/. After a wanted change write them anew with
//! `BLESS=1 cargo test -p pushring-harness --test membership rendered` and read the difference.

use std::fs;
use std::path::Path;

use pushring::ring_file::RingFile;
use pushring_harness::{Envoy, Layout, Mode, Ports, Templates, tools};

use crate::replay;

type Answers = &'static [(&'static str, &'static str)];
type Edits = &'static [(&'static str, &'static str)];

fn check(case: &str, mode: Mode, answers: Answers, edits: Edits) {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::create(&dir.path().join("pushring"), mode, Ports::default()).unwrap();
    let templates = Templates::install(&layout, edits).unwrap();
    let said = templates.once(replay::consul(answers)).unwrap();

    let expected = tools::repository().join("consul-template/fixtures").join(case);
    for file in ["clusters.yaml", "endpoints.yaml", "ring.yaml", "rendered.txt"] {
        compare(&layout, file, &expected.join(file));
    }
    // Each skipped registration is in consul-template's log, through publish.
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    for line in fs::read_to_string(expected.join("rendered.txt")).unwrap().lines().skip(1) {
        assert!(said.contains(line), "{case}: {line:?} is not in {said}");
    }

    Envoy::validate(&layout).unwrap();
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

/// The time in rendered.txt and the folder of the test do not count.
fn compare(layout: &Layout, file: &str, expected: &Path) {
    let text = fs::read_to_string(layout.staged().join(file)).unwrap();
    let dir = layout.live().parent().unwrap().to_str().unwrap().to_owned();
    let text = text.replace(&dir, "/etc/pushring");
    let text = match text.strip_prefix("rendered ").and_then(|rest| rest.split_once(';')) {
        Some((_, rest)) => format!("rendered <time>;{rest}"),
        None => text,
    };
    if std::env::var_os("BLESS").is_some() {
        fs::create_dir_all(expected.parent().unwrap()).unwrap();
        fs::write(expected, &text).unwrap();
    }
    let wanted = fs::read_to_string(expected).unwrap();
    assert!(text == wanted, "{} is not what was rendered:\n{text}", expected.display());
}

const ODD: Answers = &[("dc1", "odd.json")];

#[test]
fn odd_registrations_in_every_mode() {
    check("odd-cluster", Mode::Cluster, ODD, &[]);
    check("odd-endpoint", Mode::Endpoint, ODD, &[]);
    check("odd-redirect", Mode::Redirect, ODD, &[]);
}

#[test]
fn nothing_registered() {
    check("empty-cluster", Mode::Cluster, &[("dc1", "empty.json")], &[]);
    check("empty-endpoint", Mode::Endpoint, &[("dc1", "empty.json")], &[]);
}

#[test]
fn two_datacenters() {
    let edits = &[("datacenters: []", "datacenters: [dc1, dc2]")];
    check("datacenters", Mode::Cluster, &[("dc1", "odd.json"), ("dc2", "dc2.json")], edits);
}

#[test]
fn only_those_with_a_tag() {
    check("tags", Mode::Cluster, ODD, &[("tags: []", "tags: [prod, eu]")]);
}

#[test]
fn the_placement_of_dynamic_sharding_and_other_settings() {
    let edits = &[
        ("route_by: group", "route_by: path"),
        ("{ type: ring, points: 1024 }", "{ type: dynamic-sharding }"),
        ("min_members_share: 0.3333", "min_members_share: 0.5"),
        ("path_prefix: \"\"", "path_prefix: /pushgateway"),
        ("utf8_names: false", "utf8_names: true"),
    ];
    check("settings", Mode::Cluster, ODD, edits);
}

/// The part of the ring file that is Envoy's is written twice: in the template and in the shipped example.
#[test]
fn the_ring_template_is_the_shipped_example() {
    let read = |file: &str| fs::read_to_string(tools::repository().join(file)).unwrap();
    let frame = |text: &str| {
        let from = text.find("resources:\n").unwrap();
        text[from..=text.find("value: |\n").unwrap()].to_owned()
    };
    let template = frame(&read("consul-template/ring.yaml.ctmpl"));
    assert_eq!(template, frame(&read("envoy/live/cluster/ring.yaml")));
}

/// What decides about members must be the same in all templates, or their files contradict each other.
#[test]
fn all_templates_begin_alike() {
    let dir = tools::repository().join("consul-template");
    let beginning = |file: &str| {
        let text = fs::read_to_string(dir.join(file)).unwrap();
        text[..text.find("| parseJSON -}}\n").unwrap()].to_owned()
    };
    let wanted = beginning("ring.yaml.ctmpl");
    for file in ["clusters.yaml.ctmpl", "endpoints.yaml.ctmpl", "rendered.txt.ctmpl"] {
        assert_eq!(beginning(file), wanted, "{file}");
    }
}
