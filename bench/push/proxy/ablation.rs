//! The shipped cluster mode with one part left out or changed: what each part costs.

use std::fs;

use anyhow::{Context, Result};
use pushring_tests::Layout;
use serde_json::{Value, json};

use super::envoy::{HCM, at};

/// What differs from the shipped files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// No filter; the client's own destination header is what counts.
    Filter,
    /// The client's destination headers are not removed before routing.
    EarlyRemoval,
    /// No buffer filter: bodies stream through.
    Buffer,
    /// No route for mirrored DELETEs before that of pushes.
    MirrorRoute,
    Retries,
    /// No timeouts of headers, requests and streams.
    Timeouts,
    /// No x-request-id.
    RequestId,
    /// The router adds no x-envoy-* headers.
    EnvoyHeaders,
    /// The router keeps no statistics by cluster.
    RouterStatistics,
    /// All callbacks of the SDK are called: no list of capabilities.
    Pruning,
}

/// Changes the files of `layout`.
pub(super) fn leave_out(part: Part, layout: &Layout) -> Result<()> {
    let mut document: Value = serde_saphyr::from_str(&fs::read_to_string(layout.bootstrap())?)?;
    change(part, at(&mut document, HCM)?)?;
    fs::write(layout.bootstrap(), serde_json::to_vec_pretty(&document)?)?;
    if part == Part::Pruning {
        let ring = layout.live().join("ring.yaml");
        let mut document: Value = serde_saphyr::from_str(&fs::read_to_string(&ring)?)?;
        unpruned(at(&mut document, "/resources/0/typed_config")?)?;
        layout.write_live("ring.yaml", &document.to_string())?;
    }
    Ok(())
}

fn change(part: Part, hcm: &mut Value) -> Result<()> {
    match part {
        Part::Filter => {
            // Another name, so that it costs what it did.
            *at(hcm, "/early_header_mutation_extensions/0/typed_config/mutations/0")? =
                json!({"remove": "x-bench-other"});
            filters(hcm)?.remove(0);
        }
        Part::EarlyRemoval => remove(hcm, "", "early_header_mutation_extensions")?,
        Part::Buffer => drop(filters(hcm)?.remove(1)),
        Part::MirrorRoute => {
            let routes = at(hcm, "/route_config/virtual_hosts/0/routes")?;
            routes.as_array_mut().context("routes")?.remove(0);
        }
        Part::Retries => remove(hcm, "/route_config/virtual_hosts/0/routes/1/route", "retry_policy")?,
        Part::Timeouts => {
            for name in ["request_headers_timeout", "request_timeout", "stream_idle_timeout"] {
                hcm[name] = json!("0s");
            }
            *at(hcm, "/route_config/virtual_hosts/0/routes/1/route/timeout")? = json!("0s");
        }
        Part::RequestId => hcm["generate_request_id"] = json!(false),
        Part::EnvoyHeaders => {
            at(hcm, "/http_filters/2/typed_config")?["suppress_envoy_headers"] = json!(true)
        }
        Part::RouterStatistics => at(hcm, "/http_filters/2/typed_config")?["dynamic_stats"] = json!(false),
        Part::Pruning => unpruned(at(hcm, "/http_filters/0/config_discovery/default_config")?)?,
    }
    Ok(())
}

fn unpruned(filter: &mut Value) -> Result<()> {
    remove(filter, "/config/vm_config", "capability_restriction_config")
}

fn filters(hcm: &mut Value) -> Result<&mut Vec<Value>> {
    at(hcm, "/http_filters")?.as_array_mut().context("filters")
}

fn remove(value: &mut Value, pointer: &str, field: &str) -> Result<()> {
    let object = at(value, pointer)?.as_object_mut().with_context(|| pointer.to_owned())?;
    object.remove(field).with_context(|| format!("the shipped configuration has no {pointer}/{field}"))?;
    Ok(())
}
