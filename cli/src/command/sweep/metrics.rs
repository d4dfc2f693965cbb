//! The metrics of watch mode.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::PrometheusHandle;

use super::repair::report::changed;
use super::report::{PassResult, Report};
use crate::cleanup::copy::{DeletionResult, deleted};
use crate::command::expire::report::Report as ExpireReport;
use crate::metrics_server::MetricsServer;

const ACTIVE: &str = "pushring_sweep_active";
const LAST: &str = "pushring_sweep_last_pass_timestamp_seconds";
const PASSES: &str = "pushring_sweep_passes_total";
const DURATION: &str = "pushring_sweep_pass_duration_seconds";
const DELETED: &str = "pushring_sweep_deleted_total";
const EXPIRED: &str = "pushring_sweep_expired_total";
const HEALED: &str = "pushring_sweep_healed_total";
const REPAIRED: &str = "pushring_sweep_repaired_total";
const UNREPAIRED: &str = "pushring_sweep_unrepaired";
const KEPT: &str = "pushring_sweep_kept";
const UNREADABLE: &str = "pushring_sweep_unreadable_gateways";
const MEMBERS: &str = "pushring_sweep_members";
const SETTLING: &str = "pushring_sweep_settling";

/// Values of the label `reason` of [`KEPT`].
const REASONS: [&str; 6] = ["left-behind", "lacking", "not-newer", "unreplicated", "doubt", "failed"];
/// Values of the label `reason` of [`UNREPAIRED`].
const DIFFERENCES: [&str; 4] = ["conflict", "doubt", "failed", "stale-replica"];
/// Upper bounds of the histogram of durations, in seconds; the limit for a pass is 10 s.
const BUCKETS: [f64; 9] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

pub(super) struct Metrics {
    handle: PrometheusHandle,
}

impl Metrics {
    /// Serves `/metrics` in its own thread. Also returns the address, because port 0 selects a free port.
    pub(super) fn serve(address: SocketAddr) -> anyhow::Result<(Self, SocketAddr)> {
        let server = MetricsServer::bind(address)?;
        let address = server.address();
        let handle = server.start(&BUCKETS, || true, String::new)?;
        describe();
        Ok((Self { handle }, address))
    }

    /// Resets the metrics of the fleet on standby, so that they do not show former passes.
    pub(super) fn active(&self, active: bool) {
        gauge!(ACTIVE).set(if active { 1.0 } else { 0.0 });
        if !active {
            self.found(&Report::default(), &ExpireReport::default());
            gauge!(MEMBERS).set(0.0);
            gauge!(SETTLING).set(0.0);
        }
    }

    pub(super) fn pass(&self, ended: PassResult, took: Duration) {
        counter!(PASSES, "result" => ended.word()).increment(1);
        histogram!(DURATION).record(took);
        self.handle.run_upkeep();
        if ended != PassResult::Failed {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            gauge!(LAST).set(now.as_secs_f64());
        }
    }

    pub(super) fn fleet(&self, members: usize, settling: bool) {
        gauge!(MEMBERS).set(members as f64);
        gauge!(SETTLING).set(if settling { 1.0 } else { 0.0 });
    }

    pub(super) fn found(&self, swept: &Report, expired: &ExpireReport) {
        if !swept.dry_run {
            counter!(DELETED).increment(deleted(&swept.misplaced) as u64);
            counter!(HEALED).increment(deleted(swept.stubs()) as u64);
            counter!(REPAIRED).increment(changed(swept.repaired()) as u64);
            counter!(EXPIRED).increment(deleted(&expired.groups) as u64);
        }
        for class in REASONS {
            let count =
                swept.misplaced.iter().filter(|copy| kept_reason(&copy.result) == Some(class)).count();
            gauge!(KEPT, "reason" => class).set(count as f64);
        }
        for class in DIFFERENCES {
            let count = swept.repaired().iter().filter(|line| line.result.kind() == Some(class)).count();
            gauge!(UNREPAIRED, "reason" => class).set(count as f64);
        }
        gauge!(UNREADABLE).set(swept.unreadable.len() as f64);
    }
}

fn kept_reason(result: &DeletionResult) -> Option<&'static str> {
    match result {
        DeletionResult::Deleted { .. } => None,
        DeletionResult::Kept { reason } => Some(reason.kind()),
        DeletionResult::Failed { .. } => Some("failed"),
    }
}

/// Also initializes every counter to 0, because `increase()` ignores the first value of a series.
fn describe() {
    describe_gauge!(ACTIVE, "1 on the active sweeper, 0 on a standby.");
    describe_gauge!(LAST, "End of the last pass that did not fail, in seconds since 1970.");
    describe_counter!(PASSES, "Passes by result: done, held (a dry run), failed.");
    describe_histogram!(DURATION, "Duration of a pass.");
    describe_counter!(DELETED, "Copies deleted from gateways that do not own them.");
    describe_counter!(EXPIRED, "Groups deleted because their last push was older than their expiry time.");
    describe_counter!(HEALED, "Stubs deleted because they made their gateway reject every push (--heal).");
    describe_counter!(REPAIRED, "Groups copied to, or removed from, their owner or replica (--repair).");
    describe_gauge!(
        UNREPAIRED,
        "Groups that differ on owner and replica after the last pass, by reason (--repair)."
    );
    describe_gauge!(KEPT, "Copies that the last pass kept on gateways that do not own them, by reason.");
    describe_gauge!(UNREADABLE, "Gateways that the last pass could not read.");
    describe_gauge!(MEMBERS, "Members on the ring.");
    describe_gauge!(SETTLING, "1 while passes are dry runs because members or settings changed recently.");
    for ended in [PassResult::Completed, PassResult::Paused, PassResult::Failed] {
        counter!(PASSES, "result" => ended.word()).absolute(0);
    }
    for name in [DELETED, EXPIRED, HEALED, REPAIRED] {
        counter!(name).absolute(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cleanup::copy::KeepReason;
    use crate::reason::Code;

    #[test]
    fn counts_every_reason_to_keep_a_copy() {
        let all = [
            KeepReason::LeftBehind,
            KeepReason::Lacking(Vec::new()),
            KeepReason::NotNewer(Vec::new()),
            KeepReason::Unreplicated(Code::Unreplicated.because("")),
            KeepReason::Uncertain(Code::Changed.because("")),
        ];
        for kept in all {
            assert!(REASONS.contains(&kept.kind()), "{kept:?}");
        }
    }
}
