//! The shipped `envoy/cluster.yaml`, from which every Envoy of the comparison is derived.

use std::fs;

use anyhow::{Context, Result};
use pushring_harness::Layout;
use serde_json::{Value, json};

/// The HTTP connection manager of the push listener.
const HCM: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";

/// Changes the bootstrap in `layout`.
pub(super) fn edit(layout: &Layout, change: impl FnOnce(&mut Value) -> Result<()>) -> Result<()> {
    let mut bootstrap: Value = serde_saphyr::from_str(&fs::read_to_string(layout.bootstrap())?)?;
    change(&mut bootstrap)?;
    Ok(fs::write(layout.bootstrap(), serde_json::to_vec_pretty(&bootstrap)?)?)
}

/// Changes the HTTP connection manager of the push listener in `layout`.
pub(super) fn edit_hcm(layout: &Layout, change: impl FnOnce(&mut Value) -> Result<()>) -> Result<()> {
    edit(layout, |bootstrap| change(hcm(bootstrap)?))
}

pub(super) fn hcm(bootstrap: &mut Value) -> Result<&mut Value> {
    at(bootstrap, HCM)
}

/// The filter of pushring, by its name in the shipped file.
pub(super) const PUSHRING: &str = "pushring";

/// The HTTP filters of the push listener.
fn filters(hcm: &mut Value) -> Result<&mut Vec<Value>> {
    list(hcm, "/http_filters")
}

/// The HTTP filter called `name`.
pub(super) fn filter<'v>(hcm: &'v mut Value, name: &str) -> Result<&'v mut Value> {
    let mut filters = filters(hcm)?.iter_mut();
    filters.find(|filter| filter["name"] == name).with_context(|| format!("no filter {name}"))
}

/// Removes the HTTP filter called `name`.
pub(super) fn remove_filter(hcm: &mut Value, name: &str) -> Result<()> {
    filter(hcm, name)?;
    filters(hcm)?.retain(|filter| filter["name"] != name);
    Ok(())
}

/// The routes of the push listener.
pub(super) fn routes(hcm: &mut Value) -> Result<&mut Vec<Value>> {
    list(hcm, "/route_config/virtual_hosts/0/routes")
}

/// Whether `route` matches the requests that have the header `name`.
pub(super) fn matches_header(route: &Value, name: &str) -> bool {
    route["match"]["headers"][0]["name"] == name
}

/// The route of a push that is not mirrored.
pub(super) fn push_route(hcm: &mut Value) -> Result<&mut Value> {
    let mut routes = routes(hcm)?.iter_mut();
    routes.find(|route| matches_header(route, "x-pushring-destination")).context("no route of a push")
}

/// Lets the client set the destination header. Envoy removes a header with another name instead, at the same cost.
pub(super) fn keep_client_header(hcm: &mut Value) -> Result<()> {
    let mutations = list(hcm, "/early_header_mutation_extensions/0/typed_config/mutations")?;
    *mutations.first_mut().context("no early header mutation")? = json!({"remove": "x-bench-other"});
    Ok(())
}

pub(super) fn list<'v>(value: &'v mut Value, pointer: &str) -> Result<&'v mut Vec<Value>> {
    at(value, pointer)?.as_array_mut().with_context(|| format!("{pointer} is not a list"))
}

pub(super) fn at<'v>(value: &'v mut Value, pointer: &str) -> Result<&'v mut Value> {
    value.pointer_mut(pointer).with_context(|| format!("the shipped bootstrap has no {pointer}"))
}
