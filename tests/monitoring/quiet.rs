//! Planned changes of members fire no alert that wakes someone.

use std::env;
use std::thread;
use std::time::{Duration, Instant};

use pushring_harness::{Mode, machine};

use crate::fleet::Fleet;

const CHANGES: u64 = 20;
/// Minutes of the shipped durations in which the changes happen.
const SHIPPED_MINUTES: u64 = 10;
const SEVERE: [&str; 2] = ["critical", "warning"];

/// In `PUSHRING_MINUTES` (default 2) instead of ten minutes, with all durations shortened by the same factor.
#[test]
fn changes_of_members_fire_nothing() {
    machine::isolated("quiet::changes_of_members_fire_nothing", || {
        let minutes = env::var("PUSHRING_MINUTES").ok().and_then(|text| text.parse().ok()).unwrap_or(2);
        let mut fleet = Fleet::start(Mode::Cluster, SHIPPED_MINUTES / minutes);
        fleet.observers.wait_history();
        fleet.observers.assert_healthy();
        let between = Duration::from_secs(60 * minutes) / CHANGES as u32;
        let began = Instant::now();
        for change in 0..CHANGES {
            // A gateway joins, and leaves; the first three stay.
            if change % 2 == 0 {
                fleet.add_gateway(4 + (change / 2 % 3) as u8);
                fleet.wait_members(4);
            } else {
                fleet.gateways.pop().unwrap().leave();
                fleet.wait_members(3);
            }
            thread::sleep((between * (change as u32 + 1)).saturating_sub(began.elapsed()));
        }
        let fired = fleet.alerts.fired(&SEVERE);
        assert!(fired.is_empty(), "{CHANGES} changes in {minutes} minutes fired {fired:#?}");
    });
}
