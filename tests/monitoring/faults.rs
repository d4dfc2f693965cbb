//! Each alert fires through Alertmanager when its fault happens, and resolves at its end.

use std::time::Instant;

use pushring_harness::{Mode, machine};

use crate::fleet::Fleet;
use crate::{clients, members, rings, runbook};

/// `for: 5m` takes ten seconds.
const FACTOR: u64 = 30;

type Scenario = fn(&mut Fleet);

/// Faults that do not disturb each other happen at once.
const SCENARIOS: [(&str, Scenario); 12] = [
    ("a broken ring.yaml on one Envoy", rings::broken),
    ("a live folder that cannot be written", rings::unwritable),
    ("an Envoy that misses a change", rings::missed),
    ("a filter that crashes", rings::crash),
    ("an Envoy without members", rings::empty),
    ("bad clients", clients::bad),
    ("a client that pushes past the ring", clients::past_the_ring),
    ("a poisoned gateway", clients::poison),
    ("an overloaded member", clients::overload),
    ("a killed member", members::killed),
    ("all members killed", members::all_killed),
    ("a registry that is away", members::registry),
];

#[test]
fn every_alert_fires_and_resolves() {
    machine::isolated("faults::every_alert_fires_and_resolves", || {
        let mut fleet = Fleet::start(Mode::Endpoint, FACTOR);
        fleet.observers.wait_history();
        fleet.observers.assert_healthy();
        fleet.alerts.wait_quiet(&["critical", "warning"]);
        for (name, scenario) in SCENARIOS {
            let began = Instant::now();
            println!("==> {name}");
            scenario(&mut fleet);
            fleet.alerts.wait_quiet(&["critical", "warning"]);
            println!("==> {name}: {} s", began.elapsed().as_secs());
        }
        fleet.observers.assert_healthy();
        // This fleet lacks `pushring serve`, whose alerts have unit tests alone: monitoring/tests/serve.yml.
        let all = fleet.observers.alerts().into_iter().filter(|name| !name.starts_with("PushringServe"));
        let silent: Vec<String> = all.filter(|name| !fleet.alerts.has_resolved(name)).collect();
        assert!(silent.is_empty(), "no scenario makes these fire and resolve: {silent:?}");
    });
}

impl Fleet {
    /// Waits until each alert fires, with this text in a label, and executes the commands of its section in the runbook.
    #[track_caller]
    pub(crate) fn expect(&self, alerts: &[(&str, &str)]) {
        for (name, label) in alerts {
            self.alerts.wait_firing(name, label);
            println!("{name} {label} fires");
        }
        for (name, _) in alerts {
            runbook::run(name);
        }
    }

    #[track_caller]
    pub(crate) fn expect_resolved(&self, alerts: &[&str]) {
        for name in alerts {
            self.alerts.wait_resolved(name);
            println!("{name} has resolved");
        }
    }
}
