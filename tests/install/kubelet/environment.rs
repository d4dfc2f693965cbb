//! Environment variables of containers, and `$(NAME)` in their commands.

use std::fmt::Write as _;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{Api, list, text};

/// The time limits of the command for busy machines, as in all tests.
const LIMITS: [&str; 4] = [
    "PUSHRING_MAX_DECISION_AGE=60s",
    "PUSHRING_SLOW_API=60s",
    "PUSHRING_MAX_DELETE_TIME=60s",
    "PUSHRING_MAX_ANSWER_TIME=60s",
];

/// Returns the variables of a container as `NAME=value`, in their order.
pub(crate) fn variables(
    api: &Api,
    pod: &Value,
    container: &Value,
    ip: &str,
) -> Result<Vec<(String, String)>> {
    ensure!(container["envFrom"].is_null(), "envFrom is not supported");
    let mut all: Vec<(String, String)> = [
        ("PATH", "/usr/local/bin:/usr/bin:/bin".to_owned()),
        ("HOSTNAME", text(&pod["metadata"]["name"])),
        ("KUBERNETES_SERVICE_HOST", "10.0.1.1".to_owned()),
        ("KUBERNETES_SERVICE_PORT", pushring_harness::kubernetes::SERVER_PORT.to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec();
    all.extend(LIMITS.iter().filter_map(|limit| limit.split_once('=')).map(|(a, b)| (a.into(), b.into())));
    for variable in list(&container["env"]) {
        let name = text(&variable["name"]);
        let value = match &variable["valueFrom"] {
            Value::Null => expand(&text(&variable["value"]), &all),
            source => from(api, pod, source, ip).with_context(|| format!("env {name}"))?,
        };
        all.push((name, value));
    }
    Ok(all)
}

/// Replaces `$(NAME)` by the value of a variable.
pub(crate) fn expand(word: &str, variables: &[(String, String)]) -> String {
    let mut word = word.to_owned();
    for (name, value) in variables {
        word = word.replace(&format!("$({name})"), value);
    }
    word
}

/// Returns the value of a field of the pod.
pub(crate) fn field(pod: &Value, path: &str, ip: &str) -> Result<String> {
    let found = match path {
        "status.podIP" => return Ok(ip.to_owned()),
        "metadata.labels" | "metadata.annotations" => {
            let map = &pod.pointer(&format!("/{}", path.replace('.', "/"))).context("no such map")?;
            let mut lines = String::new();
            for (key, value) in map.as_object().into_iter().flatten() {
                writeln!(lines, "{key}={:?}", text(value))?;
            }
            return Ok(lines);
        }
        _ => pod.pointer(&format!("/{}", path.replace('.', "/"))),
    };
    Ok(text(found.with_context(|| format!("the pod has no field {path}"))?))
}

fn from(api: &Api, pod: &Value, source: &Value, ip: &str) -> Result<String> {
    if let Some(path) = source["fieldRef"]["fieldPath"].as_str() {
        return field(pod, path, ip);
    }
    for (reference, kind) in [("configMapKeyRef", "configmaps"), ("secretKeyRef", "secrets")] {
        let reference = &source[reference];
        if reference.is_null() {
            continue;
        }
        let (name, key) = (text(&reference["name"]), text(&reference["key"]));
        let object = api.get(&object_path(pod, kind, &name))?.with_context(|| format!("no {kind} {name}"))?;
        let value = object["data"][&key].as_str().with_context(|| format!("{kind} {name}: no key {key}"))?;
        return Ok(if kind == "secrets" {
            String::from_utf8(STANDARD.decode(value)?)?
        } else {
            value.into()
        });
    }
    bail!("not supported: {source}")
}

/// Returns the path of an object in the namespace of a pod.
pub(crate) fn object_path(pod: &Value, kind: &str, name: &str) -> String {
    format!("/api/v1/namespaces/{}/{kind}/{name}", text(&pod["metadata"]["namespace"]))
}
