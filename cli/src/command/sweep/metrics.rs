//! What a sweeper that goes on tells Prometheus.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, SystemTime};

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tiny_http::{Header, Response, Server};

use super::report::{PassResult, Report};
use crate::cleanup::copy::{DeletionResult, deleted};
use crate::command::expire::report::Report as ExpireReport;
use crate::error::BadInput;

const ACTIVE: &str = "pushring_sweep_active";
const LAST: &str = "pushring_sweep_last_pass_timestamp_seconds";
const PASSES: &str = "pushring_sweep_passes_total";
const DURATION: &str = "pushring_sweep_pass_duration_seconds";
const DELETED: &str = "pushring_sweep_deleted_total";
const EXPIRED: &str = "pushring_sweep_expired_total";
const KEPT: &str = "pushring_sweep_kept";
const UNREADABLE: &str = "pushring_sweep_unreadable_gateways";
const MEMBERS: &str = "pushring_sweep_members";
const SETTLING: &str = "pushring_sweep_settling";

/// The reasons of [`KEPT`].
const REASONS: [&str; 5] = ["left-behind", "lacking", "not-newer", "doubt", "failed"];
/// Upper bounds of the durations: a pass is to take 10 s at most.
const BUCKETS: [f64; 9] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

pub(super) struct Metrics {
    handle: PrometheusHandle,
}

impl Metrics {
    /// Serves `/metrics` in a thread of its own. Returns the address, too: port 0 becomes a free one.
    pub(super) fn serve(address: SocketAddr) -> anyhow::Result<(Self, SocketAddr)> {
        let bad = |error: &dyn std::fmt::Display| BadInput(format!("--listen {address}: {error}"));
        let server = Server::http(address).map_err(|error| bad(&error))?;
        let address = server.server_addr().to_ip().unwrap_or(address);
        let handle = PrometheusBuilder::new().set_buckets(&BUCKETS)?.install_recorder()?;
        let metrics = Self { handle: handle.clone() };
        thread::Builder::new().name("metrics".to_owned()).spawn(move || answer(&server, &handle))?;
        describe();
        Ok((metrics, address))
    }

    /// One that stands by shows nothing of former passes as if it were so now.
    pub(super) fn active(&self, active: bool) {
        gauge!(ACTIVE).set(if active { 1.0 } else { 0.0 });
        if !active {
            self.found(&Report::default(), &ExpireReport::default());
            gauge!(MEMBERS).set(0.0);
            gauge!(SETTLING).set(0.0);
        }
    }

    /// A pass took `took`.
    pub(super) fn pass(&self, ended: PassResult, took: Duration) {
        counter!(PASSES, "result" => ended.word()).increment(1);
        histogram!(DURATION).record(took);
        self.handle.run_upkeep();
        if ended != PassResult::Failed {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            gauge!(LAST).set(now.as_secs_f64());
        }
    }

    /// Members, and whether they settle.
    pub(super) fn fleet(&self, members: usize, settling: bool) {
        gauge!(MEMBERS).set(members as f64);
        gauge!(SETTLING).set(if settling { 1.0 } else { 0.0 });
    }

    /// What a pass found and did.
    pub(super) fn found(&self, swept: &Report, expired: &ExpireReport) {
        if !swept.dry_run {
            counter!(DELETED).increment(deleted(&swept.misplaced) as u64);
            counter!(EXPIRED).increment(deleted(&expired.groups) as u64);
        }
        for class in REASONS {
            let count =
                swept.misplaced.iter().filter(|copy| kept_reason(&copy.result) == Some(class)).count();
            gauge!(KEPT, "reason" => class).set(count as f64);
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

/// Also shows every counter from the beginning: a rise from nothing is no rise for `increase()`.
fn describe() {
    describe_gauge!(ACTIVE, "1 where this sweeper works, 0 where it stands by.");
    describe_gauge!(LAST, "When the last pass without an error ended, in seconds since 1970.");
    describe_counter!(PASSES, "Passes by result: done, held (nothing was touched), failed.");
    describe_histogram!(DURATION, "How long a pass took.");
    describe_counter!(DELETED, "Copies deleted from gateways that do not own them.");
    describe_counter!(EXPIRED, "Groups deleted because their last push was too long ago.");
    describe_gauge!(
        KEPT,
        "Copies on gateways that do not own them which the last pass left there, by reason."
    );
    describe_gauge!(UNREADABLE, "Gateways about which the last pass could tell nothing.");
    describe_gauge!(MEMBERS, "Members on the ring.");
    describe_gauge!(SETTLING, "1 while nothing is touched because members or settings changed just now.");
    for ended in [PassResult::Completed, PassResult::Paused, PassResult::Failed] {
        counter!(PASSES, "result" => ended.word()).absolute(0);
    }
    for name in [DELETED, EXPIRED] {
        counter!(name).absolute(0);
    }
}

fn answer(server: &Server, handle: &PrometheusHandle) {
    for request in server.incoming_requests() {
        let answer = if request.url().split('?').next() == Some("/metrics") {
            let form = "Content-Type: text/plain; version=0.0.4; charset=utf-8".parse::<Header>().ok();
            let answer = Response::from_string(handle.render());
            form.into_iter().fold(answer, Response::with_header)
        } else {
            Response::from_string("see /metrics\n").with_status_code(404)
        };
        // The one who asked may have gone.
        let _ = request.respond(answer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cleanup::copy::KeepReason;

    #[test]
    fn every_reason_to_keep_a_copy_is_counted() {
        let all = [
            KeepReason::LeftBehind,
            KeepReason::Lacking(Vec::new()),
            KeepReason::NotNewer(Vec::new()),
            KeepReason::Uncertain(String::new()),
        ];
        for kept in all {
            assert!(REASONS.contains(&kept.kind()), "{kept:?}");
        }
    }
}
