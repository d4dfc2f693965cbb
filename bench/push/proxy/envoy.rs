//! Envoy in all its variants, each derived from the shipped `envoy/cluster.yaml`: the same limits, buffering and
//! retries, so that the variants differ only in how the gateway is chosen.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use pushring_harness::{Envoy, Layout, Mode, Module, Ports, tools};
use serde_json::{Value, json};

use super::bootstrap::{
    self, PUSHRING, edit, edit_hcm, filter, keep_client_header, list, push_route, remove_filter, routes,
};
use super::running::{Proxy, Running, made, pinned};
use super::variant::{Kind, RouteBy, ring};
use super::{ablation, lua};

pub(super) fn start(kind: Kind, gateways: &[SocketAddr], dir: &Path) -> Result<Proxy> {
    if let Kind::Blocks { mode, blocks, by_gateway } = kind {
        return run(with_blocks(mode, blocks, by_gateway, gateways, dir)?, dir);
    }
    let (mode, route_by) = match kind {
        Kind::Pushring(mode, route_by) => (mode, route_by),
        Kind::Mirror(mode, _) | Kind::Native(mode) => (mode, RouteBy::Group),
        _ => (Mode::Cluster, RouteBy::Group),
    };
    let module = if matches!(kind, Kind::Native(_)) { Module::Native } else { Module::Wasm };
    let layout = shipped(module, mode, route_by, gateways, dir)?;
    match kind {
        Kind::Noop { pruned } => {
            other_filter(&layout, "noop_filter")?;
            if !pruned {
                ablation::remove(ablation::Part::Pruning, &layout)?;
            }
        }
        Kind::Calls => other_filter(&layout, "calls_filter")?,
        Kind::Without(part) => ablation::remove(part, &layout)?,
        Kind::Mutation => edit_hcm(&layout, copy_client_header)?,
        Kind::Lua(route_by) => edit_hcm(&layout, |hcm| {
            *filter(hcm, PUSHRING)? = lua::filter(route_by, gateways);
            Ok(())
        })?,
        Kind::Policy(policy) => one_cluster(&layout, policy)?,
        Kind::Mirror(mode, mirror) => {
            let mut ring = ring(mode, route_by, gateways);
            ring["mirror"] = json!(mirror);
            layout.write(&ring)?;
        }
        Kind::Pushring(..) | Kind::Native(_) | Kind::Blocks { .. } | Kind::Nginx | Kind::Haproxy => {}
    }
    run(layout, dir)
}

/// Starts the shipped cluster mode with `module` as its filter.
pub(crate) fn start_module(module: &Path, gateways: &[SocketAddr], dir: &Path) -> Result<Proxy> {
    let layout = shipped(Module::Wasm, Mode::Cluster, RouteBy::Group, gateways, dir)?;
    fs::copy(module, layout.module()).with_context(|| module.display().to_string())?;
    run(layout, dir)
}

fn run(layout: Layout, dir: &Path) -> Result<Proxy> {
    let envoy = Envoy::run(pinned(&tools::find("envoy")?)?, &layout.bootstrap(), dir, 1)?;
    Ok(Proxy { push: envoy.push, running: Running::Envoy(Box::new(envoy), layout) })
}

fn shipped(
    module: Module,
    mode: Mode,
    route_by: RouteBy,
    gateways: &[SocketAddr],
    dir: &Path,
) -> Result<Layout> {
    let layout = Layout::with_module(module, dir, mode, Ports::default(), &[])?;
    layout.write(&ring(mode, route_by, gateways))?;
    Ok(layout)
}

/// The statistics by gateway in the shipped files.
const BY_GATEWAY: &str = "track_cluster_stats: { per_endpoint_stats: true }";

fn with_blocks(
    mode: Mode,
    blocks: &[&str],
    by_gateway: bool,
    gateways: &[SocketAddr],
    dir: &Path,
) -> Result<Layout> {
    let layout = Layout::patched(dir, mode, Ports::default(), blocks)?;
    layout.write(&ring(mode, RouteBy::Group, gateways))?;
    if !by_gateway && mode == Mode::Endpoint {
        layout.edit(&[(BY_GATEWAY, "track_cluster_stats: {}")])?;
    } else if !by_gateway {
        let clusters = fs::read_to_string(layout.live().join("clusters.yaml"))?;
        ensure!(clusters.contains(BY_GATEWAY), "the rendered clusters do not have `{BY_GATEWAY}`");
        layout.write_live("clusters.yaml", &clusters.replace(BY_GATEWAY, "track_cluster_stats: {}"))?;
    }
    Ok(layout)
}

/// Replaces the filter by one that does not choose a gateway; the client sets the destination header.
fn other_filter(layout: &Layout, name: &str) -> Result<()> {
    fs::copy(made(&format!("wasm32-unknown-unknown/release/{name}.wasm")), layout.module())?;
    edit_hcm(layout, keep_client_header)
}

/// Replaces the filter by Envoy's header mutation, which copies the client's header into the destination header.
fn copy_client_header(hcm: &mut Value) -> Result<()> {
    remove_filter(hcm, PUSHRING)?;
    list(hcm, "/early_header_mutation_extensions/0/typed_config/mutations")?.push(json!({"append": {
        "header": {"key": "x-pushring-destination", "value": "%REQ(x-bench-destination)%"},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"
    }}));
    Ok(())
}

/// Replaces filter and clusters by one cluster of all gateways; `policy` chooses the gateway by a hash of the path.
fn one_cluster(layout: &Layout, policy: &str) -> Result<()> {
    let clusters = fs::read_to_string(layout.live().join("clusters.yaml"))?;
    let mut clusters: Value = serde_saphyr::from_str(&clusters)?;
    let clusters = list(&mut clusters, "/resources")?;
    let endpoint = |cluster: &Value| cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0].clone();
    let gateways: Vec<Value> = clusters.iter().map(endpoint).collect();
    let mut cluster = clusters.first().context("no cluster")?.clone();
    cluster.as_object_mut().context("a cluster is an object")?.remove("@type");
    cluster["name"] = json!("pushgateway");
    cluster["lb_policy"] = json!(policy);
    cluster["load_assignment"] =
        json!({"cluster_name": "pushgateway", "endpoints": [{"lb_endpoints": gateways}]});
    edit(layout, |bootstrap| {
        bootstrap.as_object_mut().context("the bootstrap is an object")?.remove("dynamic_resources");
        list(bootstrap, "/static_resources/clusters")?.push(cluster);
        let hcm = bootstrap::hcm(bootstrap)?;
        remove_filter(hcm, PUSHRING)?;
        // The shipped route of a push, which now matches every request and leads to the one cluster.
        let mut push = push_route(hcm)?.clone();
        push["match"] = json!({"prefix": "/"});
        let action = push["route"].as_object_mut().context("a route")?;
        action.remove("cluster_header");
        action.insert("cluster".to_owned(), json!("pushgateway"));
        action.insert("hash_policy".to_owned(), json!([{"header": {"header_name": ":path"}}]));
        *routes(hcm)? = vec![push];
        Ok(())
    })
}
