//! The list of dependencies, in the format of CycloneDX.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use pushring_harness::tools;
use regex::bytes::Regex;
use serde_json::Value;

use crate::{VERSION, built, dist, run, unpack};

#[test]
fn is_valid() {
    let check = "import sys; from cyclonedx.schema import SchemaVersion; \
        from cyclonedx.validation.json import JsonStrictValidator; \
        error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1]).read()); \
        sys.exit(repr(error) if error else 0)";
    let python = tools::repository().join("target/tools/dist/bin/python");
    run(Command::new(python).args(["-c", check]).arg(dist(&format!("pushring-{VERSION}.cdx.json"))));
}

/// The messages of panics name files of the crates that the compiler has linked. Each of these crates is in the list, and
/// each entry of the list has the checksum of `Cargo.lock`.
#[test]
fn names_everything_that_ships() {
    let text = fs::read_to_string(dist(&format!("pushring-{VERSION}.cdx.json"))).unwrap();
    let bom: Value = serde_json::from_str(&text).unwrap();
    let listed: BTreeSet<String> = bom["components"]
        .as_array()
        .unwrap()
        .iter()
        .map(|component| format!("{}-{}", text_of(&component["name"]), text_of(&component["version"])))
        .collect();
    let files = [fs::read(dist(&format!("pushring_filter-{VERSION}.wasm"))).unwrap()];
    let files = files.into_iter().chain(built().into_iter().flat_map(|(arch, _)| {
        let dir = tempfile::tempdir().unwrap();
        let root = unpack(arch, dir.path());
        ["bin/pushring", "lib/libpushring_native.so"].map(|file| fs::read(root.join(file)).unwrap())
    }));
    let path = Regex::new(r"/registry/([a-z0-9_-]+-[0-9]+\.[0-9]+\.[0-9]+[^/ ]*)/").unwrap();
    for file in files {
        let linked: BTreeSet<_> =
            path.captures_iter(&file).map(|found| String::from_utf8_lossy(&found[1]).into_owned()).collect();
        assert!(linked.len() >= 2, "{linked:?}");
        assert!(linked.is_subset(&listed), "{:?}", linked.difference(&listed));
    }

    let lock = fs::read_to_string(tools::repository().join("Cargo.lock")).unwrap();
    for component in bom["components"].as_array().unwrap() {
        let (name, version) = (text_of(&component["name"]), text_of(&component["version"]));
        let entry = format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n");
        let (_, rest) =
            lock.split_once(&entry).unwrap_or_else(|| panic!("{name} {version} is not in Cargo.lock"));
        let own = rest.split("\n\n").next().unwrap();
        match component["hashes"][0]["content"].as_str() {
            Some(sum) => assert!(own.contains(&format!("checksum = \"{sum}\"")), "{name}: {sum}"),
            None => assert!(!own.contains("source = "), "{name} has no checksum"),
        }
        assert!(
            component["licenses"].as_array().is_some_and(|list| !list.is_empty()),
            "{name} has no license"
        );
        let edges = bom["dependencies"].as_array().unwrap();
        assert!(edges.iter().any(|edge| edge["ref"] == component["bom-ref"]), "{name}");
    }
}

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap()
}
