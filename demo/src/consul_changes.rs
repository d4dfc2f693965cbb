//! Joins changes in Consul with changes of the ring into lines for the user.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::change::{Change, count};

/// After this time a ring that did not follow Consul was kept on purpose.
const PATIENCE: Duration = Duration::from_secs(3);

/// With the shipped settings a ring needs one passing member for each of this number of registered ones, rounded up.
const REGISTERED_PER_PASSING: usize = 2;

/// Status (`passing`, `warning`, `critical`) by address.
pub(crate) type Health = BTreeMap<String, String>;

/// The printed state, and the changes that are not printed yet.
#[derive(Debug)]
pub(crate) struct ConsulChanges {
    health: Health,
    unreported: Vec<String>,
    since: Instant,
}

impl ConsulChanges {
    /// Starts with this health, which is not printed.
    pub(crate) fn new(health: Health) -> Self {
        Self { health, unreported: Vec::new(), since: Instant::now() }
    }

    /// Records the current health.
    pub(crate) fn health(&mut self, now: Instant, health: Health) {
        let mut news = Vec::new();
        for (address, status) in &health {
            match self.health.get(address) {
                Some(old) if old == status => {}
                Some(_) => news.push(format!("pushgateway {address} {status}")),
                None => news.push(format!("pushgateway {address} registered, {status}")),
            }
        }
        let gone = self.health.keys().filter(|address| !health.contains_key(*address));
        news.extend(gone.map(|address| format!("pushgateway {address} deregistered")));
        if !news.is_empty() && self.unreported.is_empty() {
            self.since = now;
        }
        self.unreported.append(&mut news);
        self.health = health;
    }

    /// Returns the line for a ring that became live.
    pub(crate) fn ring(&mut self, change: &Change) -> String {
        let why = if self.unreported.is_empty() {
            change.to_string()
        } else {
            std::mem::take(&mut self.unreported).join(", ")
        };
        format!("{why}, {}", change.ring())
    }

    /// Returns the line for changes that do not affect the ring, once that is certain.
    pub(crate) fn without_ring(&mut self, now: Instant, on_ring: &BTreeSet<String>) -> Option<String> {
        let passing: BTreeSet<String> = self.passing().cloned().collect();
        let as_it_should_be = passing == *on_ring;
        if self.unreported.is_empty() || (!as_it_should_be && now.duration_since(self.since) < PATIENCE) {
            return None;
        }
        let mut line = std::mem::take(&mut self.unreported).join(", ");
        line += &format!(", ring stays at {}", count(on_ring.len(), "member"));
        if !as_it_should_be {
            let (passing, registered) = (passing.len(), self.health.len());
            line += &if passing < registered.max(1).div_ceil(REGISTERED_PER_PASSING) {
                format!(": {passing} of {registered} passing is too few for another (min_members_share)")
            } else {
                " so far; see the log of consul-template".to_owned()
            };
        }
        Some(line)
    }

    fn passing(&self) -> impl Iterator<Item = &String> {
        self.health.iter().filter(|(_, status)| *status == "passing").map(|(address, _)| address)
    }
}

#[cfg(test)]
mod tests {
    use pushring_router::Router;

    use super::*;

    fn health(all: &[(&str, &str)]) -> Health {
        all.iter().map(|(address, status)| ((*address).to_owned(), (*status).to_owned())).collect()
    }

    fn change(old: &str, new: &str) -> Change {
        let router = |list: &str| Router::parse(format!(r#"{{"members": [{list}]}}"#).as_bytes()).unwrap();
        Change::between(&router(old), &router(new))
    }

    #[test]
    fn reports_a_critical_member_that_leaves() {
        let now = Instant::now();
        let mut changes = ConsulChanges::new(health(&[("a:1", "passing"), ("b:1", "passing")]));
        changes.health(now, health(&[("a:1", "passing"), ("b:1", "critical")]));
        let both = BTreeSet::from(["a:1".to_owned(), "b:1".to_owned()]);
        assert_eq!(changes.without_ring(now, &both), None, "the ring may still follow");
        let line = changes.ring(&change(r#""a:1", "b:1""#, r#""a:1""#));
        assert!(line.starts_with("pushgateway b:1 critical, ring now 1 member, "), "{line}");
        assert!(line.ends_with("% of groups moved"), "{line}");
        assert_eq!(changes.without_ring(now + PATIENCE, &both), None, "printed already");
    }

    #[test]
    fn reports_a_registration_that_does_not_change_the_ring() {
        let now = Instant::now();
        let mut changes = ConsulChanges::new(health(&[("a:1", "passing")]));
        changes.health(now, health(&[("a:1", "passing"), ("b:1", "critical")]));
        let line = changes.without_ring(now, &BTreeSet::from(["a:1".to_owned()])).unwrap();
        assert_eq!(line, "pushgateway b:1 registered, critical, ring stays at 1 member");
        changes.health(now, health(&[("a:1", "passing")]));
        let line = changes.without_ring(now, &BTreeSet::from(["a:1".to_owned()])).unwrap();
        assert_eq!(line, "pushgateway b:1 deregistered, ring stays at 1 member");
    }

    #[test]
    fn explains_a_ring_that_is_kept_on_purpose() {
        let now = Instant::now();
        let mut changes = ConsulChanges::new(health(&[("a:1", "passing")]));
        changes.health(now, health(&[("a:1", "critical")]));
        let ring = BTreeSet::from(["a:1".to_owned()]);
        assert_eq!(changes.without_ring(now, &ring), None);
        let line = changes.without_ring(now + PATIENCE, &ring).unwrap();
        assert!(line.contains("a:1 critical, ring stays at 1 member: 0 of 1 passing is too few"), "{line}");
        changes.health(now, health(&[("a:1", "critical"), ("b:1", "passing")]));
        let line = changes.without_ring(now + PATIENCE, &ring).unwrap();
        assert!(line.ends_with(
            "b:1 registered, passing, ring stays at 1 member so far; see the log of consul-template"
        ));
    }

    #[test]
    fn too_few_are_fewer_than_half() {
        let now = Instant::now();
        let three = |second| [("a:1", "passing"), ("b:1", second), ("c:1", "critical")];
        let ring = BTreeSet::from(["c:1".to_owned()]);
        let line = |second| {
            let mut changes = ConsulChanges::new(Health::new());
            changes.health(now, health(&three(second)));
            changes.without_ring(now + PATIENCE, &ring).unwrap()
        };
        assert!(line("critical").ends_with("1 of 3 passing is too few for another (min_members_share)"));
        assert!(line("passing").ends_with("so far; see the log of consul-template"));
    }

    #[test]
    fn reports_a_ring_change_without_a_change_in_consul() {
        let mut changes = ConsulChanges::new(Health::new());
        let line = changes.ring(&change(r#""a:1""#, r#""a:1", "b:1""#));
        assert!(line.starts_with("member b:1 added, ring now 2 members, "), "{line}");
    }
}
