//! Random families in two groups of one gateway: `pushring groups --conflicts` finds exactly the gateways of which a real
//! Prometheus loses something in one of its ways of scraping, and the printed commands heal them.

use std::collections::BTreeSet;

use fastrand::Rng;
use pushring_harness::prometheus::POOLS;
use pushring_harness::proto::{
    COUNTER, GAUGE, GAUGE_HISTOGRAM, HISTOGRAM, SUMMARY, UNTYPED, bytes, counter, double, family, gauge,
    histogram, label, metric, native_with, summary,
};
use pushring_harness::{GatewayFixture, Prometheus, poll_until};
use serde_json::{Value, json};

use crate::inputs::{Input, Push, UNCHECKED};
use crate::kinds::{heal, named, start, verdicts};

/// Gateways; with 8 ways of scraping, each takes a while.
const GATEWAYS: usize = 40;
const SEED: u64 = 1;
/// In the reason of a problem that does not affect the default.
const ONLY: &str = "; only for scrapers ";
/// In the reason of a problem that affects pushes only.
const REJECTED: &str = "perhaps it therefore rejected the last push";
/// Attempts to heal.
const ROUNDS: usize = 3;

/// The names of one gateway are from one row.
const NAMES: [&[&str]; 3] = [
    &["m", "m", "m_count", "m_sum", "m_bucket", "m_bucket", "m_gcount", "m_gsum"],
    &["m.x", "m_x", "m-x", "m_dot_x", "m__x", "U__m_2e_x"],
    &["m.x", "m_x", "m_x_bucket", "m_x_count", "m_x.count", "m.x_sum"],
];
const LABELS: [(&str, &str); 14] = [
    ("..x", "1"),
    ("é\"\\\n", "1"),
    ("a", ""),
    ("le", "1"),
    ("le", "+Inf"),
    ("quantile", "0.5"),
    ("l.x", "1"),
    ("l_x", "1"),
    ("l_x", ""),
    ("l_dot_x", "1"),
    ("U__l_2e_x", "1"),
    ("l.x:", "1"),
    ("..name..", "1"),
    ("..name..", ""),
];
/// Values of `le` and `quantile`.
const PARTS: [&str; 5] = ["1", "1.0", "+Inf", "1e+06", "0.5"];
const BOUNDS: [&[f64]; 4] = [&[], &[1.0], &[1.0, 1e6], &[f64::INFINITY]];

type Label = Option<(&'static str, &'static str)>;

fn of<T: Copy>(random: &mut Rng, all: &[T]) -> T {
    all[random.usize(..all.len())]
}

/// A family of any type with up to two metrics, all of which have these labels.
fn any_family(random: &mut Rng, names: &[&'static str], labels: [Label; 2]) -> Vec<u8> {
    let name = of(random, names);
    let kind = match random.u8(..3) {
        0 | 1 if name == "m" => GAUGE_HISTOGRAM,
        0 => of(random, &[COUNTER, GAUGE, UNTYPED]),
        _ => of(random, &[COUNTER, GAUGE, UNTYPED, SUMMARY, HISTOGRAM, GAUGE_HISTOGRAM, GAUGE_HISTOGRAM]),
    };
    let count = of(random, &[0, 1, 1, 1, 1, 2]);
    let second = [None, Some(("b", "2"))];
    let metrics: Vec<Vec<u8>> = second[..count]
        .iter()
        .map(|value| any_metric(random, kind, name.ends_with("_bucket"), [labels[0], labels[1], *value]))
        .collect();
    family(name, kind, &metrics)
}

fn any_metric(random: &mut Rng, kind: i64, is_bucket: bool, labels: [Label; 3]) -> Vec<u8> {
    let mut labels: BTreeSet<(&str, &str)> = labels.into_iter().flatten().collect();
    if random.u8(..3) == 0 {
        labels.insert(("a", "1"));
    }
    if [COUNTER, GAUGE, UNTYPED].contains(&kind) && (is_bucket || random.u8(..6) == 0) {
        labels.insert((if is_bucket { "le" } else { "quantile" }, of(random, &PARTS)));
    }
    let mut parts: Vec<Vec<u8>> = labels.iter().map(|(name, value)| label(name, value)).collect();
    let bounds = of(random, &BOUNDS);
    parts.push(match kind {
        COUNTER => counter(1.0, &[]),
        GAUGE => gauge(1.0),
        UNTYPED => bytes(5, double(1, 1.0)),
        SUMMARY => summary(of(random, &[&[][..], &[0.5]])),
        _ if random.u8(..3) == 0 => {
            let buckets: Vec<u8> = bounds.iter().flat_map(|bound| bytes(3, double(2, *bound))).collect();
            native_with(0, &[(0, 2)], &[1, 1], &buckets)
        }
        _ => histogram(bounds, &[]),
    });
    metric(&parts)
}

/// Two to five families, each pushed to one of two groups.
fn input(random: &mut Rng) -> Input {
    let count = 2 + random.usize(..4);
    let names = of(random, &NAMES);
    let is_odd = random.u8(..10) == 0;
    let labels = [of(random, &LABELS), of(random, &LABELS)].map(|label| is_odd.then_some(label));
    let push = |_| Push {
        path: format!("/metrics/job/bad{}", of(random, &["", "", "/a/1", "/a/1", "/a/"])),
        body: any_family(random, names, labels),
        is_text: false,
    };
    let pushes = (0..count).map(push).collect();
    Input { kind: "random", flags: of(random, &[&[][..], &[], &[], UNCHECKED]), pushes }
}

/// An answer 500 hides what the exposition would show, so a gateway may need one more round.
fn heal_all(fixture: &GatewayFixture, report: &Value) {
    let mut report = report.clone();
    for _ in 0..ROUNDS {
        report["poisoned"].as_array().unwrap().iter().for_each(heal);
        report = fixture.json("groups", &["--conflicts"]).1;
    }
    assert_eq!(report["poisoned"], json!([]));
}

#[test]
fn conflicts_agree_with_prometheus() {
    let mut random = Rng::with_seed(SEED);
    let inputs: Vec<Input> = (0..GATEWAYS).map(|_| input(&mut random)).collect();
    let fixture = start(&inputs);
    let (_, report) = fixture.json("groups", &["--conflicts"]);
    assert_eq!(report["unreadable"], json!([]), "{report}");
    let found = |index: usize| {
        let poisoned = named(&report["poisoned"], &format!("g{index}"));
        poisoned.filter(|poisoned| !poisoned["error"].as_str().unwrap().contains(REJECTED))
    };

    let prometheus = Prometheus::start(fixture.dir.path(), &fixture.addresses, &POOLS).unwrap();
    let is_for_default = |index: usize| {
        let culprits = found(index).and_then(|poisoned| poisoned["culprits"].as_array());
        culprits.into_iter().flatten().any(|culprit| !culprit["reason"].as_str().unwrap().contains(ONLY))
    };
    let (mut bad, mut bad_by_default) = (BTreeSet::new(), BTreeSet::new());
    poll_until("Prometheus to see each problem", || {
        for (index, (scrapes, is_good)) in verdicts(&prometheus, &fixture).into_iter().enumerate() {
            assert!(is_good || found(index).is_some(), "missed: {:?}: {scrapes:?}", inputs[index]);
            if !is_good {
                bad.insert(index);
            }
            if !scrapes[0].is_good() {
                assert!(is_for_default(index), "{:?}: {scrapes:?}: {:?}", inputs[index], found(index));
                bad_by_default.insert(index);
            }
        }
        (0..inputs.len())
            .all(|index| {
                (found(index).is_none() || bad.contains(&index))
                    && (!is_for_default(index) || bad_by_default.contains(&index))
            })
            .then_some(())
    })
    .unwrap_or_else(|error| {
        let false_alarms = (0..inputs.len()).filter(|index| {
            found(*index).is_some() && !bad.contains(index)
                || is_for_default(*index) && !bad_by_default.contains(index)
        });
        let described = false_alarms.map(|index| (&inputs[index], found(index)));
        panic!("{error}: {:?}", described.collect::<Vec<_>>())
    });
    assert!(!bad.is_empty() && bad.len() < inputs.len(), "both verdicts: {bad:?}");

    heal_all(&fixture, &report);
    for (index, (scrapes, is_good)) in verdicts(&prometheus, &fixture).into_iter().enumerate() {
        assert!(is_good, "not healed: {:?}: {scrapes:?}", inputs[index]);
    }
}
