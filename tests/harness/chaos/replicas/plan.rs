//! The kills and changes of a run, in random order.

use std::time::Duration;

use fastrand::Rng;

/// Gateways that may join. The ring starts with [`START`] of them.
pub(super) const GATEWAYS: usize = 6;
/// Members at the start.
pub(super) const START: usize = 5;
/// With fewer, no member leaves.
const LEAST: usize = 4;
/// Longest time for which a killed gateway is away, in milliseconds.
const AWAY: u64 = 1500;
/// Longest pause between two steps, in milliseconds.
const PAUSE: u64 = 500;

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// SIGKILL; the gateway stays on the ring and starts again, empty, after this time.
    Kill { gateway: usize, away: Duration },
    /// SIGKILL, and the gateway leaves the ring at once, as after failed health checks. It starts again, empty.
    Crash { gateway: usize },
    /// The gateway leaves the ring, and may join later. `keeps`: its process runs on, with its groups; else an empty one
    /// replaces it.
    Leave { gateway: usize, keeps: bool },
    /// The gateway joins the ring.
    Join { gateway: usize },
}

impl Step {
    /// Returns the gateway that is killed, leaves or joins.
    pub(super) fn gateway(self) -> usize {
        match self {
            Self::Kill { gateway, .. }
            | Self::Crash { gateway }
            | Self::Leave { gateway, .. }
            | Self::Join { gateway } => gateway,
        }
    }
}

/// Draws the steps.
#[derive(Debug)]
pub(super) struct Plan {
    random: Rng,
    kills: usize,
    changes: usize,
    on: Vec<bool>,
}

impl Plan {
    pub(super) fn new(seed: u64, kills: usize, changes: usize) -> Self {
        let on = (0..GATEWAYS).map(|gateway| gateway < START).collect();
        Self { random: Rng::with_seed(seed), kills, changes, on }
    }

    /// Returns which gateways are on the ring after the last step.
    pub(super) fn members(&self) -> &[bool] {
        &self.on
    }

    /// Returns the next step and the pause before it; `None` when all kills and changes were made.
    pub(super) fn next(&mut self) -> Option<(Step, Duration)> {
        let left = self.kills + self.changes;
        let is_kill = self.random.usize(..left.max(1)) < self.kills;
        let step = match (left, is_kill) {
            (0, _) => return None,
            (_, true) => self.kill(),
            (_, false) => self.change(),
        };
        Some((step, Duration::from_millis(self.random.u64(..PAUSE))))
    }

    fn kill(&mut self) -> Step {
        self.kills -= 1;
        let gateway = self.one(true);
        if self.changes > 0 && self.count() > LEAST && self.random.u8(..4) == 0 {
            self.changes -= 1;
            self.on[gateway] = false;
            return Step::Crash { gateway };
        }
        let away = if self.random.bool() { 0 } else { self.random.u64(..AWAY) };
        Step::Kill { gateway, away: Duration::from_millis(away) }
    }

    fn change(&mut self) -> Step {
        self.changes -= 1;
        let count = self.count();
        let leaves = count == GATEWAYS || (count > LEAST && self.random.bool());
        let gateway = self.one(leaves);
        self.on[gateway] = !leaves;
        if leaves { Step::Leave { gateway, keeps: self.random.bool() } } else { Step::Join { gateway } }
    }

    fn count(&self) -> usize {
        self.on.iter().filter(|on| **on).count()
    }

    /// Returns any gateway that is, or is not, on the ring.
    fn one(&mut self, on: bool) -> usize {
        let found: Vec<usize> = (0..GATEWAYS).filter(|gateway| self.on[*gateway] == on).collect();
        found[self.random.usize(..found.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_kills_and_changes_are_made_and_the_ring_stays_large_enough() {
        for seed in 0..200 {
            let (mut plan, mut kills, mut changes) = (Plan::new(seed, 20, 10), 0, 0);
            while let Some((step, _)) = plan.next() {
                kills += usize::from(matches!(step, Step::Kill { .. } | Step::Crash { .. }));
                changes += usize::from(!matches!(step, Step::Kill { .. }));
                assert!((LEAST..=GATEWAYS).contains(&plan.count()), "seed {seed}");
            }
            assert_eq!((kills, changes), (20, 10), "seed {seed}");
        }
    }
}
