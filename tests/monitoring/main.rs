//! The files in monitoring/ on a running fleet: etcd with agents, two Envoys with `pushring discover`, Pushgateways, a sweeper,
//! the oldest and the newest Prometheus, Alertmanager, and a receiver of its messages.
//!
//! Each alert is made to fire and to resolve by a fault and its end, and the commands of docs/runbook.md run as printed in
//! between. Durations are shortened by a fixed factor: see `shorten.rs`. `make e2e-monitoring` runs the tests, `cargo test`
//! alone leaves this suite out.

mod alerts;
#[path = "../documents/blocks.rs"]
#[expect(dead_code, reason = "the marks that no runbook needs")]
mod blocks;
mod clients;
mod dashboard;
mod discovery;
mod envoys;
mod faults;
mod fleet;
mod load;
mod members;
mod observers;
mod quiet;
mod rings;
mod runbook;
mod shorten;
mod tracing;
