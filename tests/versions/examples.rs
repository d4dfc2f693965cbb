//! The bootstrap and the example live files, unchanged except for the folder and the ports.

use std::fs;

use pushring_harness::{Envoy, Layout, Mode, Ports, tools};

use crate::list::envoys;

#[test]
fn every_version_starts_with_the_examples_and_warns_of_nothing_else() {
    for (version, binary) in envoys() {
        for mode in Mode::ALL {
            let dir = tempfile::tempdir().unwrap();
            let layout = Layout::create(dir.path(), mode, Ports::default()).unwrap();
            let examples = tools::repository().join(format!("envoy/live/{mode}"));
            for file in ["ring.yaml"].into_iter().chain(mode.upstream_file()) {
                layout.write_live(file, &fs::read_to_string(examples.join(file)).unwrap()).unwrap();
            }
            Envoy::validate(&layout, &binary).unwrap();
            let envoy = layout.start(&binary, 1).unwrap();
            envoy.wait_members(&["127.0.0.1:19091", "127.0.0.1:19092", "127.0.0.1:19093"]).unwrap();
            // Only 1.40 knows another place for the list of capabilities.
            let log = envoy.process.log();
            let warned = |line: &&str| line.contains("eprecat") || line.contains("[warning]");
            let mut warnings = log.lines().filter(warned);
            assert!(
                warnings.all(|line| line.contains("PluginConfig.capability_restriction_config")),
                "{version} {mode}: {log}"
            );
        }
    }
}
