//! The shipped cluster mode with one part left out or changed.

use std::fs;

use anyhow::{Context, Result};
use pushring_harness::Layout;
use serde_json::{Value, json};

use super::bootstrap::{
    PUSHRING, at, edit_hcm, filter, keep_client_header, matches_header, push_route, remove_filter, routes,
};

const BUFFER: &str = "envoy.filters.http.buffer";
const ROUTER: &str = "envoy.filters.http.router";

/// A part of the shipped configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The Wasm filter; Envoy routes by the client's own destination header.
    Filter,
    /// The removal of the client's destination headers.
    EarlyRemoval,
    /// The buffer filter; without it bodies are streamed.
    Buffer,
    /// The route for mirrored DELETEs, which Envoy tries before the route for pushes.
    MirrorRoute,
    Retries,
    /// The timeouts of headers, requests and streams.
    Timeouts,
    /// The header x-request-id.
    RequestId,
    /// The x-envoy-* headers, which the router filter adds.
    EnvoyHeaders,
    /// The statistics by cluster, which the router filter keeps.
    RouterStatistics,
    /// The list of capabilities; without it Envoy calls every callback of the SDK.
    Pruning,
}

/// Removes `part` from the files of `layout`.
pub(super) fn remove(part: Part, layout: &Layout) -> Result<()> {
    edit_hcm(layout, |hcm| remove_from_hcm(part, hcm))?;
    if part == Part::Pruning {
        let ring = layout.live().join("ring.yaml");
        let mut document: Value = serde_saphyr::from_str(&fs::read_to_string(&ring)?)?;
        remove_pruning(at(&mut document, "/resources/0/typed_config")?)?;
        layout.write_live("ring.yaml", &document.to_string())?;
    }
    Ok(())
}

fn remove_from_hcm(part: Part, hcm: &mut Value) -> Result<()> {
    match part {
        Part::Filter => {
            keep_client_header(hcm)?;
            remove_filter(hcm, PUSHRING)?;
        }
        Part::EarlyRemoval => remove_field(hcm, "", "early_header_mutation_extensions")?,
        Part::Buffer => remove_filter(hcm, BUFFER)?,
        Part::MirrorRoute => {
            routes(hcm)?.retain(|route| !matches_header(route, "x-pushring-destination-mirror"));
        }
        Part::Retries => remove_field(push_route(hcm)?, "/route", "retry_policy")?,
        Part::Timeouts => {
            for name in ["request_headers_timeout", "request_timeout", "stream_idle_timeout"] {
                hcm[name] = json!("0s");
            }
            push_route(hcm)?["route"]["timeout"] = json!("0s");
        }
        Part::RequestId => hcm["generate_request_id"] = json!(false),
        Part::EnvoyHeaders => filter(hcm, ROUTER)?["typed_config"]["suppress_envoy_headers"] = json!(true),
        Part::RouterStatistics => filter(hcm, ROUTER)?["typed_config"]["dynamic_stats"] = json!(false),
        Part::Pruning => remove_pruning(at(filter(hcm, PUSHRING)?, "/config_discovery/default_config")?)?,
    }
    Ok(())
}

fn remove_pruning(filter: &mut Value) -> Result<()> {
    remove_field(filter, "/config", "capability_restriction_config")
}

fn remove_field(value: &mut Value, pointer: &str, field: &str) -> Result<()> {
    let object = at(value, pointer)?.as_object_mut().with_context(|| pointer.to_owned())?;
    object.remove(field).with_context(|| format!("the shipped configuration has no {pointer}/{field}"))?;
    Ok(())
}
