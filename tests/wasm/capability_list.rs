//! The capability list of the shipped Envoy configurations.

use std::collections::BTreeSet;
use std::fs;

use pushring_harness::tools;

/// Returns the list of `envoy/cluster.yaml`.
pub(crate) fn shipped() -> BTreeSet<String> {
    let path = tools::repository().join("envoy/cluster.yaml");
    let text = fs::read_to_string(path).expect("envoy/cluster.yaml");
    let names = entries(&text);
    assert!(!names.is_empty(), "envoy/cluster.yaml has no capability list");
    names
}

/// Returns the capabilities that a configuration lists.
pub(crate) fn entries(yaml: &str) -> BTreeSet<String> {
    let names = yaml.lines().filter_map(|line| line.trim().strip_suffix(": {}"));
    names.filter(|name| name.starts_with("proxy_")).map(str::to_owned).collect()
}
