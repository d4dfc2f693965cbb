//! The ways to choose the gateway of a push.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use pushring_harness::Mode;
use pushring_router::Router;
use serde_json::{Value, json};

use super::ablation::Part;

/// How the gateway of a push is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One of Envoy's own policies over one cluster, with a hash of `:path`.
    Policy(&'static str),
    /// The client names the cluster; Envoy's header mutation copies the name into the destination header.
    Mutation,
    /// The client sets the destination header; a Wasm filter does nothing. `pruned` restricts it to the shipped list of
    /// capabilities; otherwise Envoy calls every callback of the SDK.
    Noop {
        pruned: bool,
    },
    /// The same with a filter that makes the host calls of a push and decides nothing.
    Calls,
    /// pushring's ring in Lua, by group or by path as received.
    Lua(RouteBy),
    /// pushring as shipped, by group or by decoded path.
    Pushring(Mode, RouteBy),
    /// The same as a dynamic module, by group.
    Native(Mode),
    /// pushring as shipped, with this setting `mirror`.
    Mirror(Mode, &'static str),
    /// The shipped cluster mode with one part left out.
    Without(Part),
    /// The shipped files with blocks of `examples/observability/`, with the shipped statistics by gateway or without.
    Blocks {
        mode: Mode,
        blocks: &'static [&'static str],
        by_gateway: bool,
    },
    Nginx,
    Haproxy,
}

/// The key of the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RouteBy {
    Group,
    Path,
}

/// One row of the comparison.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Variant {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) members: usize,
}

impl Variant {
    /// Returns the header lines that this variant needs for each path. A client that names the gateway names the one
    /// that pushring would choose, so that all variants use the same connections in the same order.
    pub(crate) fn headers(&self, gateways: &[SocketAddr], paths: &[String]) -> Result<Vec<String>> {
        let name = match self.kind {
            Kind::Noop { .. } | Kind::Calls | Kind::Without(Part::Filter) => "x-pushring-destination",
            Kind::Mutation => "x-bench-destination",
            _ => return Ok(vec![String::new(); paths.len()]),
        };
        let gateways = gateways.get(..self.members).context("too few gateways")?;
        let ring = ring(Mode::Cluster, RouteBy::Group, gateways);
        let router = Router::parse(ring.to_string().as_bytes())?;
        let header = |path: &String| {
            let owner = router.owner_of(path.as_bytes()).and_then(|owned| owned.owner).context("no owner")?;
            Ok(format!("{name}: pushgateway-{}\r\n", owner.name))
        };
        paths.iter().map(header).collect()
    }

    /// Returns the status of a successful push.
    pub(crate) fn status(&self) -> u16 {
        if matches!(self.kind, Kind::Pushring(Mode::Redirect, _)) { 307 } else { 200 }
    }
}

/// Returns the filter's configuration with the settings of the shipped `ring.yaml`.
pub(crate) fn ring(mode: Mode, route_by: RouteBy, gateways: &[SocketAddr]) -> Value {
    json!({
        "members": gateways.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "mode": mode.to_string(),
        "route_by": if route_by == RouteBy::Group { "group" } else { "path" },
        "mirror": "deletes", "health": true, "status_path": "/-/pushring",
    })
}
