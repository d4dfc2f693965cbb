//! The variants: every way to spread pushes, and the shipped cluster mode with one part left out at a time.

use std::time::Duration;

use anyhow::{Result, ensure};
use pushring_harness::Mode::{self, Cluster, Endpoint, Redirect};

use crate::proxy::Kind::{
    self, Calls, Haproxy, Lua, Mirror, Mutation, Native, Nginx, Noop, Policy, Pushring, Without,
};
use crate::proxy::{Part, RouteBy, Variant};
use crate::rounds::{self, Body, Plan};
use crate::summary::{self, Line};

const fn variant(name: &'static str, kind: Kind, members: usize) -> Variant {
    Variant { name, kind, members }
}

const VARIANTS: &[Variant] = &[
    variant("round robin", Policy("ROUND_ROBIN"), 10),
    variant("ring_hash", Policy("RING_HASH"), 10),
    variant("ring_hash, 100", Policy("RING_HASH"), 100),
    variant("maglev", Policy("MAGLEV"), 10),
    variant("header mutation", Mutation, 10),
    variant("Lua", Lua(RouteBy::Group), 10),
    variant("Lua, path", Lua(RouteBy::Path), 10),
    variant("no-op Wasm", Noop { pruned: true }, 10),
    variant("host calls only", Calls, 10),
    variant("no-op Wasm, 100", Noop { pruned: true }, 100),
    variant("pushring cluster, 3", Pushring(Cluster, RouteBy::Group), 3),
    variant("pushring cluster, 10", Pushring(Cluster, RouteBy::Group), 10),
    variant("pushring cluster, 100", Pushring(Cluster, RouteBy::Group), 100),
    variant("pushring cluster, path, 3", Pushring(Cluster, RouteBy::Path), 3),
    variant("pushring cluster, path, 100", Pushring(Cluster, RouteBy::Path), 100),
    variant("pushring endpoint, 3", Pushring(Endpoint, RouteBy::Group), 3),
    variant("pushring endpoint, 100", Pushring(Endpoint, RouteBy::Group), 100),
    variant("pushring endpoint, path, 3", Pushring(Endpoint, RouteBy::Path), 3),
    variant("pushring endpoint, path, 100", Pushring(Endpoint, RouteBy::Path), 100),
    variant("pushring redirect, 3", Pushring(Redirect, RouteBy::Group), 3),
    variant("pushring redirect, 100", Pushring(Redirect, RouteBy::Group), 100),
    variant("pushring redirect, path, 3", Pushring(Redirect, RouteBy::Path), 3),
    variant("pushring redirect, path, 100", Pushring(Redirect, RouteBy::Path), 100),
    variant("native cluster, 10", Native(Cluster), 10),
    variant("native cluster, 100", Native(Cluster), 100),
    variant("native endpoint, 100", Native(Endpoint), 100),
    variant("nginx", Nginx, 10),
    variant("HAProxy", Haproxy, 10),
];
/// The shipped cluster mode, whole and with one part left out, and the other filters for comparison.
const ABLATION: &[Variant] = &[
    variant("ring_hash", Policy("RING_HASH"), 10),
    variant("no-op Wasm", Noop { pruned: true }, 10),
    variant("no-op Wasm, not pruned", Noop { pruned: false }, 10),
    variant("host calls only", Calls, 10),
    variant("as shipped", Pushring(Cluster, RouteBy::Group), 10),
    variant("native", Native(Cluster), 10),
    variant("no filter", Without(Part::Filter), 10),
    variant("not pruned", Without(Part::Pruning), 10),
    variant("no early removal", Without(Part::EarlyRemoval), 10),
    variant("no buffer", Without(Part::Buffer), 10),
    variant("no mirror route", Without(Part::MirrorRoute), 10),
    variant("no retries", Without(Part::Retries), 10),
    variant("no timeouts", Without(Part::Timeouts), 10),
    variant("no request id", Without(Part::RequestId), 10),
    variant("no x-envoy headers", Without(Part::EnvoyHeaders), 10),
    variant("no router statistics", Without(Part::RouterStatistics), 10),
];
const fn blocks(mode: Mode, blocks: &'static [&'static str], by_gateway: bool) -> Kind {
    Kind::Blocks { mode, blocks, by_gateway }
}

/// The blocks of `examples/observability/`, and the shipped files without the statistics by gateway.
const OPTIONS: &[Variant] = &[
    variant("as shipped", blocks(Cluster, &[], true), 10),
    variant("cluster, not by gateway", blocks(Cluster, &[], false), 10),
    variant("cluster, stats", blocks(Cluster, &["stats"], true), 10),
    variant("cluster, failovers", blocks(Cluster, &["failovers"], true), 10),
    variant("cluster, zipkin", blocks(Cluster, &["zipkin"], true), 10),
    variant("cluster, opentelemetry", blocks(Cluster, &["opentelemetry"], true), 10),
    // The number of members assigns the variants of a mode to its reference.
    variant("as shipped, 9", blocks(Endpoint, &[], true), 9),
    variant("endpoint, not by gateway", blocks(Endpoint, &[], false), 9),
    variant("endpoint, stats", blocks(Endpoint, &["stats"], true), 9),
    variant("endpoint, failovers", blocks(Endpoint, &["failovers"], true), 9),
    variant("endpoint, zipkin", blocks(Endpoint, &["zipkin"], true), 9),
    variant("endpoint, opentelemetry", blocks(Endpoint, &["opentelemetry"], true), 9),
];

/// The shipped files with each setting `mirror`: `as shipped` has `deletes`, which copies no PUT.
const REPLICAS: &[Variant] = &[
    variant("as shipped", Mirror(Cluster, "deletes"), 10),
    variant("cluster, none", Mirror(Cluster, "none"), 10),
    variant("cluster, all", Mirror(Cluster, "all"), 10),
    // The number of members assigns the variants of a mode to its reference.
    variant("as shipped, 9", Mirror(Endpoint, "deletes"), 9),
    variant("endpoint, none", Mirror(Endpoint, "none"), 9),
    variant("endpoint, all", Mirror(Endpoint, "all"), 9),
];
const SMALL: Body = Body { name: "90 B", bytes: 90, slices: 10 };
const LARGE: Body = Body { name: "20 KB", bytes: 20_000, slices: 5 };

/// Measures all ways to spread pushes.
pub(crate) fn variants(rounds: Option<u32>, only: &[String]) -> Result<Vec<Line>> {
    let plan = Plan {
        variants: chosen(VARIANTS, only)?,
        bodies: &[SMALL, LARGE],
        rounds: rounds.unwrap_or(10),
        latency: Some(Duration::from_millis(400)),
    };
    run(&plan)
}

/// Measures the shipped cluster mode with one part left out at a time.
pub(crate) fn ablation(rounds: Option<u32>, only: &[String]) -> Result<Vec<Line>> {
    let plan = Plan {
        variants: chosen(ABLATION, only)?,
        bodies: &[SMALL],
        rounds: rounds.unwrap_or(10),
        latency: None,
    };
    run(&plan)
}

/// Measures the shipped files with each block of `examples/observability/`.
pub(crate) fn options(rounds: Option<u32>, only: &[String]) -> Result<Vec<Line>> {
    let plan = Plan {
        variants: chosen(OPTIONS, only)?,
        bodies: &[SMALL],
        rounds: rounds.unwrap_or(10),
        latency: None,
    };
    run(&plan)
}

/// Measures the shipped files with each setting `mirror`.
pub(crate) fn replicas(rounds: Option<u32>, only: &[String]) -> Result<Vec<Line>> {
    let plan = Plan {
        variants: chosen(REPLICAS, only)?,
        bodies: &[SMALL, LARGE],
        rounds: rounds.unwrap_or(10),
        latency: Some(Duration::from_millis(400)),
    };
    run(&plan)
}

fn run(plan: &Plan) -> Result<Vec<Line>> {
    let lines = summary::lines(rounds::run(plan)?, plan.bodies);
    summary::show(&lines);
    Ok(lines)
}

fn chosen(all: &'static [Variant], only: &[String]) -> Result<Vec<&'static Variant>> {
    let chosen = |variant: &&Variant| only.is_empty() || only.iter().any(|name| name == variant.name);
    let variants: Vec<&Variant> = all.iter().filter(chosen).collect();
    let names: Vec<_> = all.iter().map(|variant| variant.name).collect();
    ensure!(!variants.is_empty(), "--only: found {only:?}, expected one of {names:?}");
    Ok(variants)
}
