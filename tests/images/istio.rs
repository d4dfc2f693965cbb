//! The filter's image as the agent of Istio fetches it for a WasmPlugin.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use pushring_harness::tools;

use crate::registry::{Registry, VERSION, dist, succeeds};

fn fetch(registry: &Registry, image: &str, checksum: &[&str]) -> Output {
    let cache = tempfile::tempdir_in(registry.dir.path()).unwrap().keep();
    let mut command = Command::new(tools::find("istio-fetch").unwrap());
    command.arg(format!("oci://{image}")).arg(cache).args(checksum);
    // No credentials of the machine.
    command.env("DOCKER_CONFIG", registry.dir.path()).output().unwrap()
}

/// Asserts that a fetch gave the module of the release.
#[track_caller]
fn assert_module(fetched: &Output) {
    assert!(fetched.status.success(), "{}", String::from_utf8_lossy(&fetched.stderr));
    let path = String::from_utf8(fetched.stdout.clone()).unwrap();
    let module = fs::read(dist(&format!("pushring_filter-{VERSION}.wasm"))).unwrap();
    // Istio's code logs to standard output, too.
    let path = path.lines().last().unwrap();
    assert!(fs::read(Path::new(path)).unwrap() == module);
}

#[test]
fn fetches_the_module() {
    let registry = Registry::with_images();
    let image = registry.reference("pushring-filter");
    assert_module(&fetch(&registry, &image, &[]));
    // Istio compares with the digest of the manifest that it chooses, not of the index.
    let manifest = registry.crane(&["digest", "--platform", "linux/amd64", &image]);
    let pinned = format!("{}/pushring/pushring-filter@{manifest}", registry.address);
    assert_module(&fetch(&registry, &pinned, &[]));
    assert_module(&fetch(&registry, &image, &[manifest.trim_start_matches("sha256:")]));
}

#[test]
fn refuses_other_images() {
    let registry = Registry::with_images();
    let refused = |image: &str, checksum: &[&str]| {
        let fetched = fetch(&registry, image, checksum);
        assert_eq!(fetched.status.code(), Some(1), "{image}");
        String::from_utf8(fetched.stderr).unwrap()
    };
    let image = registry.reference("pushring-filter");
    let error = refused(&image, &[&"0".repeat(64)]);
    assert!(error.contains("checksum"), "{error}");
    let error = refused(&registry.reference("pushring"), &[]);
    assert!(error.contains("plugin.wasm not found"), "{error}");
    // The module under its own name.
    let folder = registry.dir.path();
    let module = dist(&format!("pushring_filter-{VERSION}.wasm"));
    fs::copy(module, folder.join("pushring_filter.wasm")).unwrap();
    succeeds(Command::new("tar").args(["-cf", "layer.tar", "pushring_filter.wasm"]).current_dir(folder));
    let wrong = format!("{}/wrong:1", registry.address);
    registry.crane(&["append", "--oci-empty-base", "-f", "layer.tar", "-t", &wrong]);
    let error = refused(&wrong, &[]);
    assert!(error.contains("plugin.wasm not found"), "{error}");
}
