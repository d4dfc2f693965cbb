use super::super::test_fleet::{ago, clockwise, fleet, labels};
use super::*;

const A: &str = "10.0.0.1:9091";
const B: &str = "10.0.0.2:9091";
const C: &str = "10.0.0.3:9091";

/// A history of these rings with the ages of their files in seconds.
fn history(rings: &[(&[&str], i64)]) -> RingHistory {
    let mut history = RingHistory::default();
    for (members, age) in rings {
        history.observe(&fleet(members, Some(ago(*age))));
    }
    history
}

/// The holders in the order of the ring, each with the ages of its tenure and of that as an owner.
fn tenures(history: &RingHistory) -> Vec<(String, i64, Option<i64>)> {
    let age =
        |time: Timestamp| (Timestamp::now().duration_since(time).as_millis() as f64 / 1000.0).round() as i64;
    let tenures =
        history.rings.back().map_or(Vec::new(), |_| history.tenures(history.position(&labels()).unwrap()));
    tenures.into_iter().map(|tenure| (tenure.name, age(tenure.since), tenure.owner_since.map(age))).collect()
}

#[test]
fn a_tenure_goes_back_to_the_first_ring_at_most() {
    assert!(tenures(&RingHistory::default()).is_empty());
    let both = clockwise(&fleet(&[A, B], None), &labels());
    let history = history(&[(&[A, B], 100), (&[A, B], 60)]);
    assert_eq!(history.rings.len(), 1, "an equal ring is no change");
    assert_eq!(tenures(&history), [(both[0].clone(), 100, Some(100)), (both[1].clone(), 100, None)]);
}

#[test]
fn a_tenure_ends_with_the_first_ring_that_had_others() {
    let order = clockwise(&fleet(&[A, B, C], None), &labels());
    let [first, second, third] = [&*order[0], &*order[1], &*order[2]];
    let all = [first, second, third];
    // The owner leaves and comes back.
    let history = history(&[(&all, 400), (&[second, third], 200), (&all, 100)]);
    assert_eq!(tenures(&history), [(first.into(), 100, Some(100)), (second.into(), 400, None)]);
    // The replica becomes the owner.
    let history = self::history(&[(&all, 400), (&[second, third], 200)]);
    assert_eq!(tenures(&history), [(second.into(), 400, Some(200)), (third.into(), 200, None)]);
}

#[test]
fn a_tenure_covers_pushes_once_every_envoy_has_the_ring() {
    let tenure = Tenure { name: A.to_owned(), since: ago(100), owner_since: Some(ago(50)), first: ago(200) };
    assert!(!tenure.covers(ago(96)));
    assert!(tenure.covers(ago(94)));
    assert!(!tenure.as_owner().unwrap().covers(ago(46)));
    assert!(tenure.as_owner().unwrap().covers(ago(44)));
    let first = Tenure { first: tenure.since, ..tenure };
    assert!(first.covers(ago(99)), "all Envoys may have had the first known ring for long");
}

#[test]
fn a_ring_without_a_file_counts_from_now() {
    let mut history = RingHistory::default();
    history.observe(&fleet(&[A], None));
    assert_eq!(tenures(&history), [(A.to_owned(), 0, Some(0))]);
    // A file that was copied with its time.
    history.observe(&fleet(&[A, B], Some(ago(1000))));
    assert_eq!(tenures(&history)[0].1, 0, "rings do not go back");
}

#[test]
fn other_settings_of_keys_make_the_past_unknown() {
    let mut history = history(&[(&[A, B], 100)]);
    let mut fleet = fleet(&[A, B], Some(ago(10)));
    let json = serde_json::json!({ "members": [A, B], "mirror": "all", "path_prefix": "/push" }).to_string();
    fleet.router = Router::parse(json.as_bytes()).unwrap();
    history.observe(&fleet);
    assert!(tenures(&history).iter().all(|(_, since, _)| *since == 10));
}

#[test]
fn forgets_the_oldest_rings() {
    let mut history = RingHistory::default();
    for port in 0..100 {
        let other = format!("10.0.0.9:{}", 9000 + port);
        history.observe(&fleet(&[A, &other], Some(ago(10_000 - 100 * port))));
    }
    assert_eq!(history.rings.len(), MOST);
    let of_a = tenures(&history).into_iter().find(|(name, ..)| name == A).unwrap();
    assert_eq!(of_a.1, 10_000 - 100 * 36);
}
