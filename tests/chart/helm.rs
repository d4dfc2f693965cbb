//! `helm` over the chart.

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use pushring_harness::{process, tools};
use serde_json::Value;

/// The namespace of a release in the tests.
pub(crate) const NAMESPACE: &str = "monitoring";

/// Returns the folder of the chart.
pub(crate) fn chart() -> PathBuf {
    tools::repository().join("deploy/helm/pushring")
}

/// Returns the examples of values: file name and path.
pub(crate) fn examples() -> Vec<(String, PathBuf)> {
    let files = fs::read_dir(chart().join("ci")).unwrap();
    let mut all: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    all.sort();
    assert!(all.len() >= 8, "{all:?}");
    all.into_iter().map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), path)).collect()
}

/// Runs `helm` with files of its own.
pub(crate) fn helm(args: &[&str]) -> Output {
    let home = tempfile::tempdir().unwrap();
    let mut command = process::command(&tools::find("helm").expect("run `make kubernetes-tools`"));
    for kind in ["CACHE", "CONFIG", "DATA"] {
        command.env(format!("HELM_{kind}_HOME"), home.path().join(kind));
    }
    command.args(args).output().unwrap()
}

/// Renders the chart as the release `pushring`.
pub(crate) fn render(args: &[&str]) -> Result<String, String> {
    let chart = chart();
    let fixed = ["template", "pushring", chart.to_str().unwrap(), "--namespace", NAMESPACE];
    let output = helm(&[&fixed, args].concat());
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// Returns the objects of a rendered chart.
pub(crate) fn objects(text: &str) -> Vec<Value> {
    let all = text.split("\n---\n").map(|one| serde_saphyr::from_str::<Value>(one).unwrap());
    all.filter(|one| !one.is_null()).collect()
}

/// Returns a file in a rendered ConfigMap.
pub(crate) fn data(objects: &[Value], name: &str, key: &str) -> String {
    let found = objects.iter().find(|one| one["kind"] == "ConfigMap" && one["metadata"]["name"] == name);
    let text = found.and_then(|one| one["data"][key].as_str());
    text.unwrap_or_else(|| panic!("no {key} in ConfigMap {name}")).to_owned()
}
