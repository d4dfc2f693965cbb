//! The answers of all gateways, before they are merged.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::gateway_read::{Contents, GatewayRead};
use super::held;
use super::metric;
use crate::fleet::source::Fleet;
use crate::fleet::survey::locate;
use crate::gateway::api::{Labels, PUSH_TIME};
use crate::gateway::exposition::Family;

/// One reading of the fleet.
pub(super) struct Reading {
    pub(super) fleet: Arc<Fleet>,
    pub(super) fleet_error: Option<String>,
    pub(super) read_at: Timestamp,
    /// The members in the order of the ring's indices, then the others.
    pub(super) gateways: Vec<(Target, Result<GatewayRead, String>)>,
}

/// A gateway to read.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) gateway: crate::gateway::client::Gateway,
    pub(super) on_ring: bool,
}

/// Returns whether the expositions alone do not decide: a group is on several gateways, or not on its owner. Then the time
/// of each family counts, which only the API reports.
pub(super) fn needs_api(fleet: &Fleet, gateways: &[Result<GatewayRead, String>]) -> bool {
    let mut seen = HashSet::new();
    let mut is_elsewhere = |on: usize, labels: &Labels| {
        let owner = locate(&fleet.router, labels).map(|location| location.owner);
        let key = metric::key(labels.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())));
        owner != Some(on) || !seen.insert(key)
    };
    let readable = gateways.iter().enumerate().filter_map(|(on, read)| Some((on, read.as_ref().ok()?)));
    readable.into_iter().any(|(on, read)| match &read.contents {
        Contents::Poisoned(..) => false,
        Contents::Groups(groups) => groups.iter().any(|group| is_elsewhere(on, &group.labels)),
        Contents::Exposed(families) => exposed(families).any(|labels| is_elsewhere(on, &labels)),
    })
}

fn exposed(families: &[Family]) -> impl Iterator<Item = Labels> {
    let pushes = families.iter().filter(|family| family.name() == PUSH_TIME);
    pushes.flat_map(Family::metrics).flatten().map(|metric| held::without_empty_instance(metric.labels))
}

/// Two addresses of one process would show each group twice: only the first one counts.
pub(super) fn without_twins(
    mut gateways: Vec<(Target, Result<GatewayRead, String>)>,
) -> Vec<(Target, Result<GatewayRead, String>)> {
    let mut processes: HashMap<String, String> = HashMap::new();
    for (target, read) in &mut gateways {
        let Ok(GatewayRead { status, .. }) = read else { continue };
        let name = target.gateway.name().to_owned();
        let first = processes.entry(status.start_time.clone()).or_insert_with(|| name.clone());
        if *first != name {
            *read = Err(format!("it is the same process as {first}: they started at the same nanosecond"));
        }
    }
    gateways
}
