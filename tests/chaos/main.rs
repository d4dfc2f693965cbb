//! The short forms of `make chaos`: no push is lost while members change and processes are killed.

use pushring_harness::Mode;
use pushring_harness::chaos::{Settings, Source, run};

fn check(source: Source) {
    for mode in Mode::ROUTED {
        let summary = run(Settings::short(source, mode), |_| ()).unwrap();
        println!("{}\n{summary}", summary.details());
        assert!(summary.lost.is_empty(), "{:#?}\n{}", summary.lost, summary.envoy_log.display());
    }
}

#[test]
fn consul_template() {
    check(Source::ConsulTemplate);
}

#[test]
fn discover_from_consul() {
    check(Source::Consul);
}

#[test]
fn discover_from_etcd() {
    check(Source::Etcd);
}

#[test]
fn discover_from_dns() {
    check(Source::Dns);
}

#[test]
fn discover_from_a_file() {
    check(Source::File);
}
