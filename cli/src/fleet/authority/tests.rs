use jiff::SignedDuration;

use super::super::source::Fleet;
use super::super::test_fleet::{self, ago, clock, clockwise};
use super::*;

const NAMES: [&str; 4] = ["10.0.0.1:9091", "10.0.0.2:9091", "10.0.0.3:9091", "10.0.0.4:9091"];

/// Four gateways that started an hour ago, and a ring of all that is 30 minutes old. Times are seconds ago.
struct Case {
    labels: Labels,
    /// Gateways in the order of the ring, clockwise from the owner.
    order: Vec<usize>,
    witnesses: Vec<Option<Witness>>,
    past: Past,
    mode: Mode,
    now: Timestamp,
}

fn fleet(members: &[&str], seconds_ago: i64) -> Fleet {
    test_fleet::fleet(members, Some(ago(seconds_ago)))
}

fn order(fleet: &Fleet, labels: &Labels) -> Vec<usize> {
    let index = |name: String| NAMES.iter().position(|known| *known == name).unwrap();
    clockwise(fleet, labels).into_iter().map(index).collect()
}

impl Case {
    fn new() -> Self {
        let (labels, all) = (test_fleet::labels(), fleet(&NAMES, 1800));
        let now = Timestamp::now();
        let witness = |name: &&str| {
            let (clock, started) = (clock(now, SignedDuration::ZERO), Some(ago(3600)));
            Some(Witness { name: (*name).to_owned(), clock, started, read: now })
        };
        let mut past = Past::default();
        past.observe(&all);
        let (order, witnesses) = (order(&all, &labels), NAMES.iter().map(witness).collect());
        Self { labels, order, witnesses, past, mode: Mode::Cluster, now }
    }

    fn restart(&mut self, rank: usize, seconds_ago: i64) {
        self.witnesses[self.order[rank]].as_mut().unwrap().started = Some(ago(seconds_ago));
    }

    fn authority(&self) -> GroupAuthority<'_> {
        let (owner, replica) = (self.order[0], self.order.get(1).copied());
        let authority =
            Authority { witnesses: &self.witnesses, past: &self.past, mode: self.mode, now: self.now };
        authority.about(Place { labels: &self.labels, owner, replica })
    }

    /// Returns the rank of the copy that counts; copies are pairs of rank and age.
    fn pick(&self, copies: &[(usize, i64)]) -> Option<usize> {
        let held: Vec<_> =
            copies.iter().map(|&(rank, age)| Held { on: self.order[rank], stamp: ago(age) }).collect();
        let picked = self.authority().pick(&held)?;
        self.order.iter().position(|gateway| *gateway == picked.on)
    }

    /// Notes that a gateway was whole in a reading of this time.
    fn saw_whole(&mut self, rank: usize, seconds_ago: i64) {
        let on = self.order[rank];
        let now = std::mem::replace(&mut self.now, ago(seconds_ago));
        let read = std::mem::replace(&mut self.witnesses[on].as_mut().unwrap().read, self.now);
        self.authority().saw_whole([on].into_iter());
        (self.now, self.witnesses[on].as_mut().unwrap().read) = (now, read);
    }

    /// Makes all but this rank the ring of the time since then; ranks change accordingly, this one to the last.
    fn leave(&mut self, rank: usize, seconds_ago: i64) {
        let left = self.order.remove(rank);
        let rest: Vec<_> = self.order.iter().map(|gateway| NAMES[*gateway]).collect();
        let fleet = fleet(&rest, seconds_ago);
        self.past.observe(&fleet);
        assert_eq!(self.order, order(&fleet, &self.labels));
        self.order.push(left);
    }

    /// Makes all members again.
    fn join(&mut self, seconds_ago: i64) {
        let all = fleet(&NAMES, seconds_ago);
        self.past.observe(&all);
        self.order = order(&all, &self.labels);
    }
}

#[test]
fn the_owner_is_right_while_it_runs() {
    let case = Case::new();
    assert_eq!(case.pick(&[]), None);
    assert_eq!(case.pick(&[(0, 60), (1, 60)]), Some(0));
    // A mirrored push that arrived late.
    assert_eq!(case.pick(&[(0, 60), (1, 30)]), Some(0));
    // A mirrored DELETE was lost.
    assert_eq!(case.pick(&[(1, 60)]), None);
    assert_eq!(case.pick(&[(1, 60), (2, 50)]), None);
}

#[test]
fn in_endpoint_mode_a_successor_may_have_taken_a_push() {
    let case = Case { mode: Mode::Endpoint, ..Case::new() };
    assert_eq!(case.pick(&[(0, 60), (1, 30)]), Some(1));
    assert_eq!(case.pick(&[(0, 60), (1, 59)]), Some(0));
    assert_eq!(case.pick(&[(1, 30)]), None);
}

#[test]
fn an_owner_that_restarted_has_lost_what_it_lacks() {
    let mut case = Case::new();
    case.restart(0, 50);
    assert_eq!(case.pick(&[(1, 60)]), Some(1));
    assert_eq!(case.pick(&[(1, 40)]), None, "it was running when the group was deleted");
    assert_eq!(case.pick(&[(1, 49)]), Some(1), "within the error of the clocks");
    // Pushed again since.
    assert_eq!(case.pick(&[(0, 20), (1, 20)]), Some(0));
    // It read an older copy from its file.
    assert_eq!(case.pick(&[(0, 70), (1, 69)]), Some(1));
    assert_eq!(case.pick(&[(0, 70), (1, 71)]), Some(1), "within the error of the clocks");
    assert_eq!(case.pick(&[(0, 70), (1, 90)]), Some(0), "the replica missed a push");
    assert_eq!(case.pick(&[(0, 70)]), None, "deleted after the file was written");
    case.witnesses[case.order[0]].as_mut().unwrap().started = None;
    assert_eq!(case.pick(&[(1, 60)]), Some(1));
}

#[test]
fn a_push_after_the_owner_was_read_is_no_deletion() {
    let case = Case::new();
    assert_eq!(case.pick(&[(1, 1)]), None);
    assert_eq!(case.pick(&[(1, 0)]), Some(1), "within the error of the clock");
    assert_eq!(case.pick(&[(1, -1)]), Some(1), "stored after the owner was read");
    assert_eq!(case.pick(&[(2, 1)]), None, "no push is under way to the owner and a third gateway");
}

#[test]
fn an_unreadable_owner_has_lost_everything() {
    let mut case = Case::new();
    case.witnesses[case.order[0]] = None;
    assert_eq!(case.pick(&[(0, 10), (1, 60), (2, 59)]), Some(1), "the replica, if both are of one time");
    assert_eq!(case.pick(&[(1, 60), (2, 50)]), Some(2));
}

#[test]
fn a_former_owner_is_right_about_a_push_that_the_replica_missed() {
    let mut case = Case::new();
    // The former owner left the ring, and its replica is the owner now.
    case.leave(0, 1000);
    assert_eq!(case.pick(&[(3, 1500), (0, 1500)]), Some(0));
    assert_eq!(case.pick(&[(3, 1500), (0, 500)]), Some(0));
    assert_eq!(case.pick(&[(3, 1400), (0, 1500)]), Some(3));
    // Its replica got the push, and what came later.
    assert_eq!(case.pick(&[(3, 1500)]), None);
    case.restart(0, 1200);
    assert_eq!(case.pick(&[(3, 1500)]), Some(3), "its replica restarted since");
    // Stored under the present ring on a gateway that is not on it: the owner, running, would have it.
    assert_eq!(case.pick(&[(3, 500)]), None);
}

#[test]
fn a_member_that_came_back_says_nothing_about_the_time_before() {
    let mut case = Case::new();
    case.leave(0, 1000);
    case.join(200);
    // Rank 0 is back; rank 1 was the owner in between and before that the replica, rank 2 its replica.
    assert_eq!(case.pick(&[(1, 500), (2, 500)]), Some(1));
    assert_eq!(case.pick(&[(2, 500)]), None, "deleted on a holder of all the time");
    case.restart(1, 400);
    assert_eq!(case.pick(&[(2, 500)]), Some(2), "lost by a restart");
    assert_eq!(case.pick(&[(0, 1500), (1, 500)]), Some(1), "the copy from its first time is older");
}

#[test]
fn an_owner_that_came_back_with_its_groups_is_not_trusted() {
    let mut case = Case::new();
    case.leave(0, 1000);
    case.join(200);
    assert_eq!(case.pick(&[(0, 1500)]), None, "deleted while it was away");
    assert_eq!(case.pick(&[(0, 1001), (1, 1002)]), Some(1), "its copy is older than its time away");
    assert_eq!(case.pick(&[(0, 1001), (1, 1500)]), Some(0), "rank 1 missed a push");
    assert_eq!(case.pick(&[(0, 100), (1, 1500)]), Some(0), "pushed since");
    assert_eq!(case.pick(&[(0, 100)]), Some(0), "a replica may miss a push");
    assert_eq!(case.pick(&[(0, 199), (1, 200)]), Some(0), "pushed just after it came back");
    case.restart(1, 500);
    assert_eq!(case.pick(&[(0, 1500)]), Some(0), "no gateway knows");
}

#[test]
fn a_gateway_that_was_seen_whole_knows_what_was_before_it_restarted() {
    let mut case = Case::new();
    case.leave(0, 1000);
    case.restart(0, 500);
    case.saw_whole(0, 450);
    case.join(200);
    assert_eq!(case.pick(&[(0, 1500)]), None, "rank 1 was whole, so it was deleted since or before");
    assert_eq!(case.pick(&[(2, 1500)]), None);
    case.witnesses[case.order[1]].as_mut().unwrap().read = ago(451);
    assert_eq!(case.pick(&[(0, 1500)]), Some(0), "read before it was whole, by a reading that ended later");
    case.restart(1, 100);
    assert_eq!(case.pick(&[(0, 1500)]), Some(0), "another process");
}

#[test]
fn no_gateway_is_seen_whole_too_early_or_in_a_part_of_the_fleet() {
    let case = |at: i64, unreadable: Option<usize>| {
        let mut case = Case::new();
        case.leave(0, 1000);
        case.restart(0, 500);
        case.join(200);
        let others = case.witnesses.clone();
        if let Some(rank) = unreadable {
            case.witnesses[case.order[rank]] = None;
        }
        case.saw_whole(1, at);
        case.witnesses = others;
        case.pick(&[(2, 1500)])
    };
    assert_eq!(case(100, None), None);
    assert_eq!(case(100, Some(3)), Some(2), "the unreadable gateway may hold what this one lacks");
    // Rank 0 is a holder since 200 only.
    let mut late = Case::new();
    late.leave(0, 1000);
    late.join(200);
    late.restart(0, 199);
    late.restart(1, 199);
    late.saw_whole(0, 196);
    assert_eq!(late.pick(&[(2, 1500)]), Some(2), "an Envoy may have used the former ring");
    late.saw_whole(0, 194);
    assert_eq!(late.pick(&[(2, 1500)]), None);
    // It leaves and comes back: then it was away.
    late.leave(0, 100);
    late.join(50);
    assert_eq!(late.pick(&[(2, 1500)]), Some(2));
}

#[test]
fn an_unknown_past_hides_nothing() {
    let case = Case::new();
    assert_eq!(case.pick(&[(1, 2000)]), Some(1));
    assert_eq!(case.pick(&[(2, 2000), (3, 1999)]), Some(3));
    assert_eq!(case.pick(&[(0, 2100), (3, 2000)]), Some(3));
}
