//! Every request has the same status and the same effect at a Pushgateway and at each shipped Envoy, except those in
//! docs/differences.md.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;

use pushring_harness::Mode;

use crate::requests::{self, Raw};
use crate::side::{Outcome, Side};
use crate::table;

/// Results at the gateway, in the routed modes, and in redirect mode if that differs from the gateway.
type Difference = (String, String, Option<String>);

#[test]
fn the_table_of_differences_is_complete_and_true() {
    let all = requests::all();
    let prefixes: BTreeSet<_> = all.iter().map(|raw| raw.prefix).collect();
    let mut results: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
    for (raw, result) in prefixes.into_iter().flat_map(|prefix| differences(&all, prefix)) {
        results.entry(&raw.name).or_default().insert(result, raw);
    }
    let documented = documented();
    let mut wrong = Vec::new();
    for (name, found) in &results {
        let expected = documented.get(*name).cloned();
        for (result, example) in found.iter().filter(|(result, _)| **result != expected) {
            wrong.push(match result {
                None => format!("no difference: {}", example.text()),
                Some((gateway, routed, redirect)) => {
                    let redirect = redirect.as_deref().unwrap_or("same");
                    format!("found: {name} | {gateway} | {routed} | {redirect} | {}", example.text())
                }
            });
        }
    }
    let unknown = documented.keys().filter(|name| !results.contains_key(name));
    wrong.extend(unknown.map(|name| format!("no request: {name}")));
    assert!(wrong.is_empty(), "docs/differences.md, of {} requests:\n{}", all.len(), wrong.join("\n"));
}

/// Sends the requests with this prefix to all sides and returns each with its difference.
fn differences<'a>(all: &'a [Raw], prefix: &'static str) -> Vec<(&'a Raw, Option<Difference>)> {
    let requests: Vec<&Raw> = all.iter().filter(|raw| raw.prefix == prefix).collect();
    let modes = [None, Some(Mode::Cluster), Some(Mode::Endpoint), Some(Mode::Redirect)];
    let [gateway, cluster, endpoint, redirect] = thread::scope(|scope| {
        let requests = &requests;
        let sides = modes.map(|mode| scope.spawn(move || outcomes(mode, prefix, requests)));
        sides.map(|side| side.join().unwrap())
    });
    let compare = |(index, raw): (usize, &&'a Raw)| {
        let [expected, routed, other] = [&gateway[index], &cluster[index], &endpoint[index]];
        assert!(routed == other, "{}: cluster {}, endpoint {}", raw.name, routed.text(), other.text());
        let redirected = Some(&redirect[index]).filter(|outcome| raw.redirect && *outcome != expected);
        let redirected = redirected.map(|outcome| outcome.text().to_owned());
        let differs = routed != expected || redirected.is_some();
        (*raw, differs.then(|| (expected.text().to_owned(), routed.text().to_owned(), redirected)))
    };
    requests.iter().enumerate().map(compare).collect()
}

fn outcomes(mode: Option<Mode>, prefix: &'static str, requests: &[&Raw]) -> Vec<Outcome> {
    let mut side = Side::start(mode, prefix);
    let requests = requests.iter();
    requests
        .map(|raw| {
            if mode == Some(Mode::Redirect) && !raw.redirect { Outcome::default() } else { side.outcome(raw) }
        })
        .collect()
}

fn documented() -> BTreeMap<String, Difference> {
    let mut documented = BTreeMap::new();
    for row in table::rows() {
        for name in row.requests {
            let difference = (row.gateway.clone(), row.routed.clone(), row.redirect.clone());
            assert!(documented.insert(name.clone(), difference).is_none(), "twice in the table: {name}");
        }
    }
    documented
}
