//! The short forms of `make chaos`: no push is lost over 50 changes in each mode.

use pushring_harness::Mode;
use pushring_harness::chaos::{Settings, Source, run};

/// The same changes in every run; `make chaos` draws others.
const SEED: u64 = 12;

fn check(source: Source) {
    for mode in Mode::ROUTED {
        let settings = Settings { source, mode, changes: 50, seed: SEED };
        let summary = run(settings, |line| println!("{line}")).unwrap();
        println!("{}\n{summary}", summary.details());
        assert!(summary.lost.is_empty(), "{:#?}\n{}", summary.lost, summary.envoy_log.display());
    }
}

#[test]
fn consul_template() {
    check(Source::ConsulTemplate);
}

#[test]
fn discover_from_etcd() {
    check(Source::Etcd);
}

#[test]
fn discover_from_a_file() {
    check(Source::File);
}
