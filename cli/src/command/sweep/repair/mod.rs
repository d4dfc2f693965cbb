//! `--repair`: makes each group whole on its owner and on its replica.
//!
//! An owner that restarted without its groups gets them back from the replica; a replica that missed a push gets it from the
//! owner. [`Authority`](crate::fleet::authority::Authority) decides which copy of a family counts; `decide` says what to do
//! about a group, `act` sends it, and `rounds` reads the gateways again right before, and again after it.

mod act;
mod decide;
mod families;
mod forecast;
mod owner;
mod place;
mod pushed;
mod readings;
mod replica;
pub(super) mod report;
mod restored;
mod rounds;
mod sightings;
mod task;

use std::time::Duration;

use anyhow::ensure;
use pushring_router::{Config, Mirror};

use crate::cleanup::safety_check::SafetyCheck;
use crate::error::BadInput;
use crate::fleet::past::Past;
use crate::fleet::source::Fleet;
use crate::gateway::pool::Gateways;
use readings::Cache;
use report::Repaired;

/// The context of one repair.
pub(super) struct Repair<'a> {
    pub(super) fleet: &'a Fleet,
    pub(super) gateways: &'a Gateways,
    pub(super) safety: &'a SafetyCheck,
    pub(super) past: &'a Past,
    /// The longest time that a push may be in flight (`--settle`).
    pub(super) settle: Duration,
}

/// Requires that the fleet has replicas.
///
/// # Errors
/// [`BadInput`]: pushes are not mirrored.
pub(super) fn require_replicas(config: &Config) -> anyhow::Result<()> {
    ensure!(
        config.mirror == Mirror::All,
        BadInput(
            "--repair: requires replicas, so `mirror: all` (modes cluster and endpoint); set it in settings.yaml, \
             publish it to every Envoy, then run again"
                .to_owned()
        )
    );
    Ok(())
}

/// Repairs all groups once. With `dry_run` it only reports what it would copy. `progress` gets the number of finished groups
/// and the total.
pub(super) fn repair(run: &Repair<'_>, dry_run: bool, progress: impl Fn(usize, usize)) -> Repaired {
    let cache = Cache::read(run);
    let mut repaired = Repaired { unreadable: cache.unreadable(), ..Repaired::default() };
    repaired.lines = if dry_run { forecast::forecast(run, cache) } else { rounds::run(run, cache, progress) };
    repaired
}
