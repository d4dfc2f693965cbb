//! Names of services: a hosts file that all containers see, instead of a DNS server.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use pushring_harness::kubernetes::NAMESPACE;
use serde_json::{Value, json};

use super::{Api, list, text};
use crate::endpoints;

/// Returns the folder with the file `hosts`.
pub(crate) fn folder(node: &Path) -> PathBuf {
    node.join("names")
}

/// Writes the addresses of all services, if they changed.
pub(crate) fn write(api: &Api, node: &Path) -> Result<()> {
    let slices = api.get("/apis/discovery.k8s.io/v1/endpointslices")?.context("no endpoint slices")?;
    let mut services: BTreeMap<(String, String), Vec<Value>> = BTreeMap::new();
    for slice in list(&slices["items"]) {
        let metadata = &slice["metadata"];
        let service = text(&metadata["labels"]["kubernetes.io/service-name"]);
        services.entry((text(&metadata["namespace"]), service)).or_default().push(slice.clone());
    }
    let mut hosts = "127.0.0.1 localhost\n".to_owned();
    for ((namespace, service), slices) in services {
        let name = format!("{service}.{namespace}");
        // All containers have the same file, so only one namespace has names without its own.
        let short = if namespace == NAMESPACE { service.as_str() } else { "" };
        for address in endpoints::ready(&json!({"items": slices})).values() {
            writeln!(hosts, "{} {name}.svc.cluster.local {name}.svc {name} {short}", address.ip())?;
        }
    }
    let file = folder(node).join("hosts");
    if fs::read_to_string(&file).is_ok_and(|old| old == hosts) {
        return Ok(());
    }
    fs::create_dir_all(folder(node))?;
    fs::write(file.with_extension("new"), hosts)?;
    Ok(fs::rename(file.with_extension("new"), file)?)
}
