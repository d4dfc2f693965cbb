//! The short form of `make chaos SOURCE=kubernetes`: no push is lost while endpoints change and processes are killed.

use pushring_harness::Mode;
use pushring_harness::chaos::{Settings, Source, run};
use pushring_harness::machine::isolated;

#[test]
fn no_push_is_lost() {
    isolated("chaos::no_push_is_lost", || {
        for mode in Mode::ROUTED {
            let summary = run(Settings::short(Source::Kubernetes, mode), |_| ()).unwrap();
            println!("{}\n{summary}", summary.details());
            assert!(summary.lost.is_empty(), "{:#?}\n{}", summary.lost, summary.envoy_log.display());
        }
    });
}
