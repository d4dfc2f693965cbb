//! Envoy in all its variants. All have the listener of the shipped `envoy/cluster.yaml`: same limits, same buffering,
//! same retries, so that what differs is how the gateway is chosen.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use pushring_tests::{Envoy, Layout, Mode, Ports, tools};
use serde_json::{Value, json};

use super::{Kind, Part, Proxy, RouteBy, Running, ablation, lua, made, pinned};

pub(super) const HCM: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";

pub(super) fn start(kind: Kind, gateways: &[SocketAddr], dir: PathBuf) -> Result<Proxy> {
    let layout = match kind {
        Kind::Pushring(mode, route_by) => Some(pushring(mode, route_by, gateways, &dir)?),
        Kind::Noop { pruned } => {
            let layout = other_filter("noop_filter", gateways, &dir)?;
            if !pruned {
                ablation::leave_out(Part::Pruning, &layout)?;
            }
            Some(layout)
        }
        Kind::Calls => Some(other_filter("calls_filter", gateways, &dir)?),
        Kind::Without(part) => {
            let layout = pushring(Mode::Cluster, RouteBy::Group, gateways, &dir)?;
            ablation::leave_out(part, &layout)?;
            Some(layout)
        }
        _ => None,
    };
    let bootstrap = match &layout {
        Some(layout) => layout.bootstrap(),
        None => native(kind, gateways, &dir)?,
    };
    let envoy = Envoy::run(pinned(&tools::find("envoy")?)?, &bootstrap, &dir, 1)?;
    Ok(Proxy { push: envoy.push, running: Running::Envoy(Box::new(envoy)), layout })
}

/// As shipped.
fn pushring(mode: Mode, route_by: RouteBy, gateways: &[SocketAddr], dir: &Path) -> Result<Layout> {
    let layout = Layout::create(dir, mode, Ports::default())?;
    layout.write(&ring(mode, route_by, gateways))?;
    Ok(layout)
}

/// The settings of the shipped ring.yaml.
pub(crate) fn ring(mode: Mode, route_by: RouteBy, gateways: &[SocketAddr]) -> Value {
    json!({
        "members": gateways.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "mode": mode.to_string(),
        "route_by": if route_by == RouteBy::Group { "group" } else { "path" },
        "mirror_deletes": true, "health": true, "status_path": "/-/pushring",
    })
}

/// As shipped, but with another filter, and the client's own header left alone.
fn other_filter(name: &str, gateways: &[SocketAddr], dir: &Path) -> Result<Layout> {
    let layout = pushring(Mode::Cluster, RouteBy::Group, gateways, dir)?;
    fs::copy(made(&format!("wasm32-unknown-unknown/release/{name}.wasm")), dir.join("pushring_filter.wasm"))?;
    let text = fs::read_to_string(layout.bootstrap())?;
    fs::write(
        layout.bootstrap(),
        text.replace("- remove: x-pushring-destination\n", "- remove: x-bench-other\n"),
    )?;
    Ok(layout)
}

/// Without a filter in Wasm: static clusters.
fn native(kind: Kind, gateways: &[SocketAddr], dir: &Path) -> Result<PathBuf> {
    let text = fs::read_to_string(tools::repository().join("envoy/cluster.yaml"))?;
    let mut bootstrap: Value = serde_saphyr::from_str(&text)?;
    let root = bootstrap.as_object_mut().context("the bootstrap is an object")?;
    root.remove("dynamic_resources");
    *at(&mut bootstrap, "/admin/address/socket_address/port_value")? = json!(0);
    let listeners = at(&mut bootstrap, "/static_resources/listeners")?.as_array_mut().context("listeners")?;
    listeners.truncate(1);
    *at(&mut bootstrap, "/static_resources/listeners/0/address/socket_address")? =
        json!({"address": "127.0.0.1", "port_value": 0});
    let filters = at(&mut bootstrap, &format!("{HCM}/http_filters"))?.as_array_mut().context("filters")?;
    filters.remove(0);
    let routes = format!("{HCM}/route_config/virtual_hosts/0/routes");
    if matches!(kind, Kind::Mutation | Kind::Lua(_)) {
        if let Kind::Lua(route_by) = kind {
            let filters =
                at(&mut bootstrap, &format!("{HCM}/http_filters"))?.as_array_mut().context("filters")?;
            filters.insert(0, lua::filter(route_by, gateways));
        } else {
            let mutations = format!("{HCM}/early_header_mutation_extensions/0/typed_config/mutations");
            let mutations = at(&mut bootstrap, &mutations)?.as_array_mut().context("mutations")?;
            mutations.push(json!({"append": {
                "header": {"key": "x-pushring-destination", "value": "%REQ(x-bench-destination)%"},
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"
            }}));
        }
        let clusters = gateways.iter().map(|gateway| {
            cluster(&format!("pushgateway-{gateway}"), "ROUND_ROBIN", std::slice::from_ref(gateway))
        });
        bootstrap["static_resources"]["clusters"] = clusters.collect();
    } else {
        // The route of a push, with a cluster instead of the header; the routes that match on headers go.
        let list = at(&mut bootstrap, &routes)?.as_array_mut().context("routes")?;
        let mut push = list.remove(1);
        push["match"] = json!({"prefix": "/"});
        let action = push["route"].as_object_mut().context("a route")?;
        action.remove("cluster_header");
        action.insert("cluster".to_owned(), json!("pushgateway"));
        action.insert("hash_policy".to_owned(), json!([{"header": {"header_name": ":path"}}]));
        *list = vec![push];
        let policy = match kind {
            Kind::RingHash => "RING_HASH",
            Kind::Maglev => "MAGLEV",
            _ => "ROUND_ROBIN",
        };
        bootstrap["static_resources"]["clusters"] = json!([cluster("pushgateway", policy, gateways)]);
    }
    let path = dir.join("envoy.json");
    fs::write(&path, serde_json::to_vec_pretty(&bootstrap)?)?;
    Ok(path)
}

/// As in the shipped clusters.yaml.
pub(crate) fn cluster(name: &str, policy: &str, gateways: &[SocketAddr]) -> Value {
    let most = 10_000;
    let limits = json!({"max_connections": most, "max_pending_requests": most, "max_requests": most, "max_retries": most});
    json!({
        "name": name, "type": "STATIC", "connect_timeout": "1s", "lb_policy": policy,
        "circuit_breakers": {"thresholds": [limits]},
        "load_assignment": load_assignment(name, gateways),
    })
}

pub(crate) fn load_assignment(name: &str, gateways: &[SocketAddr]) -> Value {
    let endpoint = |gateway: &SocketAddr| {
        let address = json!({"address": gateway.ip().to_string(), "port_value": gateway.port()});
        json!({"endpoint": {"address": {"socket_address": address}}})
    };
    json!({
        "cluster_name": name,
        "endpoints": [{"lb_endpoints": gateways.iter().map(endpoint).collect::<Vec<_>>()}],
    })
}

pub(crate) fn at<'v>(value: &'v mut Value, pointer: &str) -> Result<&'v mut Value> {
    value.pointer_mut(pointer).with_context(|| format!("the shipped bootstrap has no {pointer}"))
}
