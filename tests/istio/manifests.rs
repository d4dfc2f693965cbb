//! The shipped resources are ones that Istio accepts.

use std::fs;

use pushring_harness::machine::isolated;

use super::mesh::{Mesh, istioctl};

/// The one warning that is accepted: every EnvoyFilter has it.
const ACCEPTED: &str = "EnvoyFilter exposes internal implementation details";

#[test]
fn istio_finds_no_fault() {
    isolated("manifests::istio_finds_no_fault", || {
        let mesh = Mesh::start();
        let file = mesh.dir.path().join("resources.yaml");
        fs::write(&file, mesh.resources()).unwrap();
        let (code, text) = istioctl(&mesh, &["validate", "-f", file.to_str().unwrap()]);
        assert_eq!(code, Some(0), "{text}");
        mesh.kubectl(&["label", "namespace", "pushring", "istio-injection=enabled"]);
        let (code, text) = istioctl(&mesh, &["analyze", "--namespace", "pushring"]);
        assert_eq!(code, Some(0), "{text}");
        let found: Vec<&str> = text.lines().filter(|line| line.contains(" [")).collect();
        assert!(found.len() == 1 && found[0].contains(ACCEPTED), "{text}");
        // It does find faults.
        let wrong = fs::read_to_string(&file).unwrap().replace("istio: pushring-gateway", "istio: nothing");
        mesh.servers.kubectl(&["apply", "-f", "-"], &wrong).unwrap();
        let (_, text) = istioctl(&mesh, &["analyze", "--namespace", "pushring"]);
        assert!(text.contains("Referenced selector not found"), "{text}");
    });
}
