//! The rings of the recent past: who owned a group when a gateway stored a copy of it.
//!
//! A gateway that joined a minute ago lacks the groups that it took over until their next push. Its answer must not count as
//! a deletion: a merge of copies depends on the time since which a member owns the group.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use pushring_router::Router;

use super::source::Fleet;
use super::survey::locate;
use crate::gateway::api::Labels;

/// Envoys adopt a ring one after the other, and a push that one of them accepted under the former ring ends later.
const ADOPTION: SignedDuration = SignedDuration::from_secs(5);
/// Rings that are kept. The oldest is forgotten first, and copies of its time then have no known owner.
const MOST: usize = 64;

/// The rings that one process saw, oldest first. It lives in memory only: before its first ring, the past is unknown.
#[derive(Debug, Default)]
pub(crate) struct RingHistory {
    rings: VecDeque<Era>,
}

/// A ring, in force until the next one.
#[derive(Debug)]
struct Era {
    since: Timestamp,
    router: Router,
}

/// Names of the members that held a group under one ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holders {
    pub(crate) owner: String,
    /// The first successor, whether or not pushes were mirrored to it.
    pub(crate) successor: Option<String>,
}

impl RingHistory {
    /// Adds the ring of a fleet that was just read, unless it is the newest one already. The first ring is in force since its
    /// file was written, or, without a file, since now.
    pub(crate) fn observe(&mut self, fleet: &Fleet) {
        let now = Timestamp::now();
        if self.rings.back().is_some_and(|newest| newest.router.digest() == fleet.router.digest()) {
            return;
        }
        let changed = fleet.changed.and_then(|changed| Timestamp::try_from(changed).ok());
        // A file may be written in one moment and read much later: its time is the best estimate of when Envoy adopted it.
        let since = changed.unwrap_or(now).min(now);
        if self.rings.len() == MOST {
            self.rings.pop_front();
        }
        self.rings.push_back(Era { since, router: fleet.router.clone() });
    }

    /// Returns the holders of a group under every known ring that may have routed a push at this time, by our clock. Empty: the
    /// push is older than the first known ring.
    pub(crate) fn holders(&self, labels: &Labels, pushed: Timestamp) -> Vec<Holders> {
        let (from, to) = (earlier(pushed, ADOPTION), pushed.checked_add(ADOPTION).unwrap_or(pushed));
        if self.rings.front().is_none_or(|oldest| oldest.since > pushed) {
            return Vec::new();
        }
        let ends = self.rings.iter().skip(1).map(|next| next.since).chain([Timestamp::MAX]);
        let routing = self.rings.iter().zip(ends).filter(|(era, end)| era.since <= to && *end > from);
        // A ring without an owner of the group makes the answer as uncertain as a missing ring.
        routing.map(|(era, _)| holders(&era.router, labels)).collect::<Option<_>>().unwrap_or_default()
    }
}

fn holders(router: &Router, labels: &Labels) -> Option<Holders> {
    let location = locate(router, labels)?;
    let key = router.group(location.path.as_bytes())?.key;
    let name = |index: usize| router.config().members.get(index).map(|member| member.name.clone());
    let successor = router.ring().clockwise(&key).nth(1).and_then(name);
    Some(Holders { owner: name(location.owner)?, successor })
}

fn earlier(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.checked_sub(by).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::{Duration, SystemTime};

    use super::*;

    fn fleet(members: &[&str], seconds_ago: Option<u64>) -> Fleet {
        let json = serde_json::json!({ "members": members }).to_string();
        Fleet {
            router: Router::parse(json.as_bytes()).unwrap(),
            registered: Vec::new(),
            schemes: BTreeMap::new(),
            skipped: Vec::new(),
            changed: seconds_ago.map(|ago| SystemTime::now() - Duration::from_secs(ago)),
        }
    }

    fn ago(seconds: i64) -> Timestamp {
        earlier(Timestamp::now(), SignedDuration::from_secs(seconds))
    }

    fn owners(history: &RingHistory, seconds_ago: i64) -> Vec<String> {
        let labels = Labels::from([("job".to_owned(), "backup".to_owned())]);
        history.holders(&labels, ago(seconds_ago)).into_iter().map(|holders| holders.owner).collect()
    }

    #[test]
    fn knows_the_owner_of_each_time() {
        let mut history = RingHistory::default();
        assert!(owners(&history, 0).is_empty());
        history.observe(&fleet(&["10.0.0.1:9091"], Some(100)));
        history.observe(&fleet(&["10.0.0.1:9091"], Some(60)));
        history.observe(&fleet(&["10.0.0.2:9091"], Some(30)));
        assert_eq!(history.rings.len(), 2, "an equal ring is no change");
        assert!(owners(&history, 200).is_empty(), "before the first ring");
        assert_eq!(owners(&history, 98), ["10.0.0.1:9091"]);
        assert_eq!(owners(&history, 50), ["10.0.0.1:9091"]);
        assert_eq!(owners(&history, 33), ["10.0.0.1:9091", "10.0.0.2:9091"]);
        assert_eq!(owners(&history, 27), ["10.0.0.1:9091", "10.0.0.2:9091"]);
        assert_eq!(owners(&history, 10), ["10.0.0.2:9091"]);
    }

    #[test]
    fn a_ring_without_a_file_counts_from_now() {
        let mut history = RingHistory::default();
        history.observe(&fleet(&["10.0.0.1:9091"], None));
        assert!(owners(&history, 10).is_empty());
        assert_eq!(owners(&history, -6), ["10.0.0.1:9091"]);
    }

    #[test]
    fn names_the_first_successor() {
        let mut history = RingHistory::default();
        history.observe(&fleet(&["10.0.0.1:9091", "10.0.0.2:9091"], Some(100)));
        let labels = Labels::from([("job".to_owned(), "backup".to_owned())]);
        let [holders] = history.holders(&labels, ago(50)).try_into().unwrap();
        let mut both = [holders.owner, holders.successor.unwrap()];
        both.sort();
        assert_eq!(both, ["10.0.0.1:9091", "10.0.0.2:9091"]);
    }

    #[test]
    fn forgets_the_oldest_rings() {
        let mut history = RingHistory::default();
        for port in 0..100 {
            let member = format!("10.0.0.1:{}", 9000 + port);
            history.observe(&fleet(&[&member], Some(10_000 - 100 * port)));
        }
        assert_eq!(history.rings.len(), MOST);
        assert!(owners(&history, 9950).is_empty());
        assert_eq!(owners(&history, 150), ["10.0.0.1:9098"]);
    }
}
