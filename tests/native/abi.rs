//! The module declares Envoy's functions by hand, and no compiler compares them: these tests fail with an Envoy that changed them.
//! Before an upgrade, `native/compare_abi.py` compares every type with the header.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use pushring_harness::{EnvoyFixture, Mode, Module, tools};

/// Returns the functions of the interface among the dynamic symbols of a file.
fn symbols(file: &Path, kind: &str) -> BTreeSet<String> {
    let output = Command::new("nm").args(["--dynamic", kind]).arg(file).output().expect("nm, of binutils");
    assert!(output.status.success(), "{}: {}", file.display(), String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let names = text.lines().filter_map(|line| line.split_whitespace().last());
    names.filter(|name| name.starts_with("envoy_dynamic_module_")).map(str::to_owned).collect()
}

#[test]
fn envoy_has_every_function_that_the_module_calls() {
    let called = symbols(&tools::native().unwrap(), "--undefined-only");
    let offered = symbols(&tools::find("envoy").unwrap().canonicalize().unwrap(), "--defined-only");
    assert!(!called.is_empty());
    let missing: Vec<_> = called.difference(&offered).collect();
    assert!(missing.is_empty(), "this Envoy has no {missing:?}");
}

/// Envoy compares the versions when it loads the module, and warns if they differ.
#[test]
fn the_module_has_the_version_of_envoys_interface() {
    let fleet = EnvoyFixture::with_module(Module::Native, Mode::Cluster, 1);
    let log = fleet.envoy.process.log();
    assert!(!log.contains("ABI version"), "{log}");
    assert!(fleet.envoy.admin("/runtime").is_ok(), "Envoy runs");
}
