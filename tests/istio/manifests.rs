//! The shipped resources are ones that Istio accepts.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use pushring_harness::machine::isolated;
use pushring_harness::{poll_until, tools};

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
        let with_serve = mesh.dir.path().join("with-serve.yaml");
        fs::write(&with_serve, mesh.resources_with_serve()).unwrap();
        let (code, text) = istioctl(&mesh, &["validate", "-f", with_serve.to_str().unwrap()]);
        assert_eq!(code, Some(0), "{text}");
        mesh.apply_with_serve();
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

/// The example for Envoy Gateway has only fields and values that its resource definitions have.
#[test]
fn the_example_for_envoy_gateway_is_accepted() {
    isolated("manifests::the_example_for_envoy_gateway_is_accepted", || {
        let mesh = Mesh::start();
        let path = |path: &str| tools::repository().join(path).to_str().unwrap().to_owned();
        mesh.kubectl(&["apply", "--server-side", "-f", &path("target/tools/envoy-gateway-crds.yaml")]);
        for kind in ["gatewayclasses", "gateways", "httproutes"] {
            let file = format!("target/tools/crds/gateway.networking.k8s.io_{kind}.yaml");
            mesh.kubectl(&["apply", "--server-side", "-f", &path(&file)]);
        }
        let example = fs::read_to_string(path("deploy/envoy-gateway/pushring.yaml")).unwrap();
        let apply = |text: &str| mesh.servers.kubectl(&["apply", "--dry-run=server", "-f", "-"], text);
        let accepted = poll_until("the definitions", || apply(&example).ok()).unwrap();
        assert_eq!(accepted.lines().filter(|line| line.ends_with("created (server dry run)")).count(), 6);
        for (right, wrong) in
            [("type: Image", "type: Picture"), ("extractFrom", "extractOf"), ("failOpen", "failShut")]
        {
            assert!(apply(&example.replace(right, wrong)).is_err(), "{wrong}");
        }
    });
}

/// The overlay of docs/install/istio.md sets both images.
#[test]
fn the_overlay_of_the_page_sets_the_images() {
    let dir = tempfile::tempdir().unwrap();
    let page = fs::read_to_string(tools::repository().join("docs/install/istio.md")).unwrap();
    let (_, block) = page.split_once("```yaml\n# kustomization.yaml\n").unwrap();
    let (overlay, _) = block.split_once("```").unwrap();
    symlink(tools::repository(), dir.path().join("pushring")).unwrap();
    fs::create_dir(dir.path().join("overlay")).unwrap();
    fs::write(dir.path().join("overlay/kustomization.yaml"), overlay).unwrap();
    let mut kubectl = Command::new(tools::find("kubectl").unwrap());
    let output = kubectl.arg("kustomize").arg(dir.path().join("overlay")).output().unwrap();
    let built = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for line in [
        "image: registry.example.com/pushring/pushring:0.2.0",
        "url: oci://registry.example.com/pushring/pushring-filter:0.2.0",
    ] {
        assert!(built.contains(line), "{line}\n{built}");
    }
    assert!(!built.contains("ghcr.io"), "{built}");
}
