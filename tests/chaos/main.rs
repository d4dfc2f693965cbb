//! The short form of `make chaos`: no push is lost over 100 changes, 50 in each mode.

use pushring_harness::Mode;
use pushring_harness::chaos::{Settings, run};

/// The same changes in every run; `make chaos` draws others.
const SEED: u64 = 12;

#[test]
fn no_push_is_lost_over_50_changes_in_each_mode() {
    for mode in Mode::ROUTED {
        let summary = run(Settings { mode, changes: 50, seed: SEED }, |line| println!("{line}")).unwrap();
        println!("{}\n{summary}", summary.details());
        assert!(summary.lost.is_empty(), "{:#?}\n{}", summary.lost, summary.envoy_log.display());
    }
}
