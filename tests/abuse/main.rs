//! The short form of `make abuse`: every kind of hostile input in each mode, and no honest push is lost.

use std::sync::atomic::AtomicBool;

use pushring_harness::Mode;
use pushring_harness::abuse::{Settings, run};

/// The same inputs in every run; `make abuse` draws others.
const SEED: u64 = 17;

#[test]
fn no_honest_push_is_lost_under_every_kind_of_abuse() {
    for mode in Mode::ROUTED {
        // Two decks: each kind at least twice.
        let settings = Settings { mode, seed: SEED, rounds: Some(48), time: None };
        let summary = run(settings, &AtomicBool::new(false), |line| println!("{line}")).unwrap();
        println!("{summary}");
        assert!(summary.violations.is_empty(), "{:#?}\n{}", summary.violations, summary.logs.display());
        assert!(summary.ended > 0, "{mode}: no gateway ended, so the pushes that end one did not arrive");
    }
}
