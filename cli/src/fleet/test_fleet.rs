//! Fleets for tests.

use std::collections::BTreeMap;
use std::time::SystemTime;

use jiff::{SignedDuration, Timestamp};
use pushring_router::Router;

use super::source::Fleet;
use super::survey::locate;
use crate::gateway::api::Labels;
use crate::gateway::clock::Clock;

/// Returns a fleet with these members and replicas whose file was written at this time.
pub(super) fn fleet(members: &[&str], changed: Option<Timestamp>) -> Fleet {
    let json = serde_json::json!({
        "members": members, "mirror": "all", "placement": {"type": "ring", "points": 32},
    });
    Fleet {
        router: Router::parse(json.to_string().as_bytes()).unwrap(),
        registered: Vec::new(),
        schemes: BTreeMap::new(),
        skipped: Vec::new(),
        changed: changed.map(SystemTime::from),
    }
}

pub(super) fn labels() -> Labels {
    Labels::from([("job".to_owned(), "backup".to_owned())])
}

/// Returns the names of the members in the order of the ring, clockwise from the owner.
pub(super) fn clockwise(fleet: &Fleet, labels: &Labels) -> Vec<String> {
    let location = locate(&fleet.router, labels).unwrap();
    let key = fleet.router.group(location.path.as_bytes()).unwrap().key;
    let members = &fleet.router.config().members;
    fleet.router.ring().clockwise(&key).map(|index| members[index].name.clone()).collect()
}

pub(super) fn ago(seconds: i64) -> Timestamp {
    Timestamp::now() - SignedDuration::from_secs(seconds)
}

/// Returns the clock of a gateway that is ahead of ours, as its `Date` shows it at this time.
pub(super) fn clock(now: Timestamp, ahead: SignedDuration) -> Clock {
    let printer = jiff::fmt::rfc2822::DateTimePrinter::new();
    Clock::new(&printer.timestamp_to_rfc9110_string(&(now + ahead)).unwrap(), now, now).unwrap()
}
