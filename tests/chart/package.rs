//! The packaged chart and the plain manifests.

use std::fs;
use std::path::Path;
use std::process::Command;

use pushring_harness::tools;

use super::helm::helm;

/// Returns the folders that `kubectl kustomize` builds, from the root of the repository.
pub(crate) fn overlays() -> Vec<String> {
    let folder = "deploy/kubernetes/overlays";
    let overlays = fs::read_dir(tools::repository().join(folder)).unwrap();
    let name = |entry: fs::DirEntry| format!("{folder}/{}", entry.file_name().to_str().unwrap());
    let mut all: Vec<String> = overlays.map(|entry| name(entry.unwrap())).collect();
    all.extend(["cluster", "endpoint"].map(|mode| format!("deploy/kubernetes/{mode}")));
    all
}

#[test]
fn the_plain_manifests_are_those_of_the_chart() {
    let folder = tools::repository().join("deploy/kubernetes");
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(folder.join("render.sh"));
    let output = command.arg(dir.path()).env("HELM", tools::find("helm").unwrap()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let rendered = files(dir.path());
    assert_eq!(rendered.len(), 6, "{rendered:?}");
    for file in rendered {
        let shipped = fs::read_to_string(folder.join(&file)).unwrap_or_default();
        let now = fs::read_to_string(dir.path().join(&file)).unwrap();
        assert!(shipped == now, "deploy/kubernetes/{file} is old: run `make manifests`");
    }
}

#[test]
fn the_package_is_the_chart_and_the_same_each_time() {
    let dir = tempfile::tempdir().unwrap();
    let package = || {
        let folder = dir.path().join(fastrand::u64(..).to_string());
        let file = folder.join("pushring.tgz");
        let script = tools::repository().join("deploy/helm/package.sh");
        let output = Command::new(script).arg(&file).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        file
    };
    let file = package();
    assert!(fs::read(&file).unwrap() == fs::read(package()).unwrap());

    let file = file.to_str().unwrap();
    let lint = helm(&["lint", "--strict", file]);
    assert!(lint.status.success(), "{}", String::from_utf8_lossy(&lint.stdout));
    let of_package = helm(&["template", "pushring", file, "--namespace", "monitoring"]);
    assert!(String::from_utf8(of_package.stdout).unwrap() == super::helm::render(&[]).unwrap());
}

/// Returns all files in a folder, with their path in it.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(one) = folders.pop() {
        for entry in fs::read_dir(one).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else {
                found.push(entry.strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found
}
