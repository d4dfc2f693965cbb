//! `make bench-placement`: the groups that move needlessly when members change, and the spread of the groups.
//!
//! Five placements have the same groups and the same members. The router computes the owners of pushring's and
//! dynamic-sharding's rings; a real Envoy with the filter must agree with the former. For Envoy's own RING_HASH and MAGLEV
//! each group is sent through a real Envoy. The program counts moves and measures no time, so every run has
//! the same result.

mod changes;
mod groups;
mod native;
mod probe;
mod pushring;
mod report;
mod upstream;
use pushring_vectors as vectors;

use anyhow::{Result, ensure};
use indicatif::ProgressBar;
use serde_json::{Value, json};

use changes::{Member, Moves};
use native::{CLUSTERS, Native};
use pushring::Filter;
use report::{COUNTED, Change, PLACEMENTS, Report, Spread};

/// Numbers of members with which the exact shares are computed, in all fleets.
const EXACT: [usize; 6] = [2, 3, 5, 10, 30, 100];
/// Number of names in `testdata/fleets.tsv`.
const MEMBERS: usize = 100;

/// The id of the owner of each group, by placement; `None` if the placement does not support such members.
type Owners = [Option<Vec<usize>>; PLACEMENTS.len()];

struct Bench {
    paths: Vec<String>,
    native: Native,
    filter: Filter,
    bar: ProgressBar,
}

fn main() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let addresses = upstream::start(MEMBERS)?;
    let steps = changes::stages().len() * (1 + CLUSTERS.len()) + COUNTED.0.len() * COUNTED.1 * CLUSTERS.len();
    let bench = Bench {
        paths: groups::paths(),
        native: Native::start(&dir.path().join("native"), &addresses)?,
        filter: Filter::start(&dir.path().join("pushring"), &addresses)?,
        bar: pushring_bench::progress("placement", steps),
    };
    let report = Report {
        envoy: bench.native.version()?,
        changes: bench.changes()?,
        counted: bench.counted()?,
        exact: exact()?,
    };
    bench.bar.finish_and_clear();
    report.print();
    pushring_bench::write("placement", &report.lines())
}

impl Bench {
    /// Counts the moved groups in the series of changes, with the names of the first fleet.
    fn changes(&self) -> Result<Vec<Change>> {
        let names = &vectors::fleets()[0];
        let mut changes = Vec::new();
        let mut last: Option<(Vec<Member>, Owners)> = None;
        for stage in changes::stages() {
            let owners = self.owners(&stage.members, names)?;
            self.bar.set_message(format!("{} members through the filter", stage.members.len()));
            let through = self.filter.owners(&stage.members, names, &self.paths)?;
            ensure!(Some(through) == owners[0], "the filter and the router disagree on {:?}", stage.members);
            self.bar.inc(1);
            if let (false, Some((members, before))) = (stage.change.is_empty(), &last) {
                let moves = std::array::from_fn(|placement| {
                    let owners = before[placement].as_ref().zip(owners[placement].as_ref())?;
                    Some(Moves::new([members, &stage.members], [owners.0, owners.1]))
                });
                changes.push(Change { change: stage.change, moves });
            }
            last = Some((stage.members, owners));
        }
        Ok(changes)
    }

    /// Counts the groups on the fullest member relative to the mean.
    fn counted(&self) -> Result<Vec<Spread<{ PLACEMENTS.len() }>>> {
        let (sizes, fleets) = COUNTED;
        let spread = |size| {
            let mut sum = [0.0; PLACEMENTS.len()];
            for names in vectors::fleets().iter().take(fleets) {
                let owners = self.owners(&changes::first(size), names)?;
                for (sum, owners) in sum.iter_mut().zip(owners) {
                    *sum += changes::max_to_mean(&owners.unwrap_or_default(), size);
                }
            }
            Ok(Spread { members: size, max_to_mean: sum.map(|sum| sum / fleets as f64) })
        };
        sizes.into_iter().map(spread).collect()
    }

    fn owners(&self, members: &[Member], names: &[&str]) -> Result<Owners> {
        let pushring = pushring::router(&json!({}), members, names)?;
        let mut owners = [const { None }; PLACEMENTS.len()];
        owners[0] = Some(pushring::owners(&pushring, names, &self.paths)?);
        if members.iter().all(|member| member.weight == 1) {
            let router = pushring::router(&pushring::dynamic_sharding(), members, names)?;
            owners[1] = Some(pushring::owners(&router, names, &self.paths)?);
        }
        self.native.set(members, names)?;
        for (owners, cluster) in owners[2..].iter_mut().zip(CLUSTERS) {
            self.bar.set_message(format!("{} members through {cluster}", members.len()));
            *owners = Some(self.native.owners(cluster, &self.paths)?);
            self.bar.inc(1);
        }
        Ok(owners)
    }
}

/// Computes the largest share of the ring relative to the mean, for pushring and dynamic-sharding.
fn exact() -> Result<Vec<Spread<2>>> {
    let fleets = vectors::fleets();
    let mean = |settings: &Value, size: usize| {
        let mut sum = 0.0;
        for names in &fleets {
            let router = pushring::router(settings, &changes::first(size), names)?;
            sum += router.ring().shares().into_iter().fold(0.0, f64::max) * size as f64;
        }
        anyhow::Ok(sum / fleets.len() as f64)
    };
    let spread = |size| {
        let max_to_mean = [mean(&json!({}), size)?, mean(&pushring::dynamic_sharding(), size)?];
        Ok(Spread { members: size, max_to_mean })
    };
    EXACT.into_iter().map(spread).collect()
}
