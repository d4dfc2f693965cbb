//! [`super::Memory`] against a model that remembers the whole history, over random histories.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use fastrand::Rng;

use super::{Limits, Memory, address};
use crate::fleet::registration::{Registration, Registrations};

const GATEWAYS: u8 = 6;
const HISTORIES: u64 = 300;
const STEPS: usize = 60;

#[derive(Clone, Copy, PartialEq)]
enum State {
    Absent,
    Leaving,
    Critical,
    Passing,
}

/// Everything that was seen of one gateway.
#[derive(Default)]
struct Seen {
    /// When it last passed and then did not; `None`: it passes, never passed, or was forgotten.
    stopped: Option<SystemTime>,
    /// Since when it is missing.
    missing: Option<SystemTime>,
    passes: bool,
}

/// Returns what each gateway that counts should show: whether it passes.
fn expected(
    seen: &mut BTreeMap<u8, Seen>,
    states: &[State],
    limits: Limits,
    now: SystemTime,
) -> BTreeMap<u8, bool> {
    // A clock that went back ends nothing.
    let since = |time: SystemTime| now.duration_since(time).unwrap_or_default();
    let mut shown = BTreeMap::new();
    for (gateway, state) in (0..GATEWAYS).zip(states) {
        match state {
            State::Leaving => drop(seen.remove(&gateway)),
            State::Absent => {
                let Some(one) = seen.get_mut(&gateway) else { continue };
                let missing = *one.missing.get_or_insert(now);
                if std::mem::take(&mut one.passes) {
                    one.stopped = Some(now);
                }
                if since(missing) >= limits.forget {
                    seen.remove(&gateway);
                }
            }
            State::Critical | State::Passing => {
                let one = seen.entry(gateway).or_default();
                one.missing = None;
                let passed = std::mem::replace(&mut one.passes, *state == State::Passing);
                match (passed, one.passes) {
                    (_, true) => one.stopped = None,
                    (true, false) => one.stopped = Some(now),
                    (false, false) => {}
                }
            }
        }
        if let Some(one) = seen.get(&gateway) {
            shown.insert(gateway, one.passes || one.stopped.is_some_and(|time| since(time) < limits.hold));
        }
    }
    shown
}

fn snapshot(states: &[State]) -> Registrations {
    let mut found = Vec::new();
    for (gateway, state) in (0..GATEWAYS).zip(states).filter(|(_, state)| **state != State::Absent) {
        let mut one = Registration::new(&format!("10.0.0.{gateway}"), 9091);
        one.leaving = *state == State::Leaving;
        if *state == State::Critical {
            "critical".clone_into(&mut one.status);
        }
        found.push(one);
    }
    found.into()
}

fn gateway(found: &Registration) -> u8 {
    let address = address(found);
    address.trim_start_matches("10.0.0.").trim_end_matches(":9091").parse().unwrap()
}

#[test]
fn agrees_with_a_model_over_random_histories() {
    for seed in 0..HISTORIES {
        let mut rng = Rng::with_seed(seed);
        let limits = Limits {
            forget: Duration::from_secs(rng.u64(0..40)),
            hold: Duration::from_secs(if rng.bool() { 0 } else { rng.u64(0..60) }),
        };
        let mut now = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 30);
        let (mut memory, mut seen) = (Memory::default(), BTreeMap::new());
        let mut states = vec![State::Passing; GATEWAYS.into()];
        for step in 0..STEPS {
            if rng.u8(..4) > 0 {
                let state = [State::Absent, State::Leaving, State::Critical, State::Passing][rng.usize(..4)];
                states[rng.usize(..usize::from(GATEWAYS))] = state;
            } else if rng.u8(..8) == 0 {
                states.fill(State::Absent);
            }
            match rng.u8(..10) {
                0 => now -= Duration::from_secs(rng.u64(0..20)),
                // The very moment at which something ends.
                1 | 2 => now = memory.next_change(limits, now).unwrap_or(now),
                _ => now += Duration::from_secs(rng.u64(0..10)),
            }
            if rng.u8(..5) == 0 {
                let text = serde_json::to_string(&memory).unwrap();
                memory = crate::parse::json(&text).unwrap();
            }
            let (counts, _) = memory.update(&snapshot(&states), limits, now);
            let shown: BTreeMap<u8, bool> =
                counts.found.iter().map(|found| (gateway(found), found.is_passing())).collect();
            assert_eq!(counts.found.len(), shown.len(), "seed {seed}, step {step}: one gateway twice");
            assert_eq!(shown, expected(&mut seen, &states, limits, now), "seed {seed}, step {step}");
            // Whatever vanishes, the share is taken of everything seen.
            let known: BTreeSet<u8> = seen.keys().copied().collect();
            assert_eq!(known, shown.into_keys().collect(), "seed {seed}, step {step}");
        }
    }
}
