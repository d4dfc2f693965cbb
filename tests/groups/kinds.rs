//! The table of kinds in docs/command/groups.md is true for each input: Envoy's decision, the verdict of a real Prometheus,
//! and what `pushring groups --conflicts` finds; and the printed commands heal.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;
use std::thread;

use pushring_harness::prometheus::Scrape;
use pushring_harness::proto::CONTENT_TYPE;
use pushring_harness::{GatewayFixture, Prometheus, Pushgateway, poll_until, tools};
use pushring_router::{Decision, Request, Router};
use serde_json::{Value, json};

use crate::inputs::{self, CULPRITS, Input};

/// Ways of scraping, at least one of which fails for each kind. The test `random` has all of them.
const POOLS: &[&str] = &["text", "native", "dots", "values"];
/// Number of gateways that start at once.
const THREADS: usize = 8;

/// The columns of a row: Envoy, `--conflicts`.
type Table = BTreeMap<String, [String; 2]>;

fn table() -> Table {
    let page = fs::read_to_string(tools::repository().join("docs/command/groups.md")).unwrap();
    let section = page.split("\n### Kinds of pushes\n").nth(1).expect("the section about kinds of pushes");
    let rows = section.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [kind, envoy, found] = cells[..] else { panic!("three columns: {line}") };
        (kind.to_owned(), [envoy.to_owned(), found.to_owned()])
    };
    rows.take_while(|line| line.starts_with('|')).map(row).collect()
}

/// Starts a gateway with an honest group, and sends the pushes. `{gateway}` in them is its address.
fn gateway(fixture: &GatewayFixture, input: &Input) -> Pushgateway {
    let gateway = Pushgateway::start(fixture.dir.path(), input.flags).unwrap();
    let client = gateway.client().unwrap();
    assert!(client.put("/metrics/job/zz", "zz 1\n").unwrap().status < 300);
    for push in &input.pushes {
        let address = gateway.address.to_string();
        let path = push.path.replace("{gateway}", &address);
        let headers: &[(&str, &str)] = if push.is_text { &[] } else { &[("content-type", CONTENT_TYPE)] };
        let body = match String::from_utf8(push.body.clone()) {
            Ok(text) => text.replace("{gateway}", &address).into_bytes(),
            Err(error) => error.into_bytes(),
        };
        client.send("POST", &path, headers, body).unwrap();
    }
    gateway
}

pub(crate) fn start(inputs: &[Input]) -> GatewayFixture {
    let mut fixture = GatewayFixture::start(0);
    let started: Vec<Vec<Pushgateway>> = thread::scope(|scope| {
        let fixture = &fixture;
        let parts = inputs.chunks(inputs.len().div_ceil(THREADS));
        let threads: Vec<_> = parts
            .map(|part| scope.spawn(move || part.iter().map(|input| gateway(fixture, input)).collect()))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    fixture.gateways = started.into_iter().flatten().collect();
    fixture.addresses = fixture.gateways.iter().map(|gateway| gateway.address).collect();
    fixture.configure(json!({}));
    fixture
}

fn is_rejected(input: &Input) -> bool {
    let utf8_names = input.flags.contains(&"--push.enable-utf8-names");
    let config = json!({"members": ["10.0.0.1:9091"], "utf8_names": utf8_names}).to_string();
    let router = Router::parse(config.as_bytes()).unwrap();
    let path = input.pushes.last().unwrap().path.as_bytes();
    let decide = |method| matches!(router.decide(Request { method, path, accept: None }), Decision::Reply(_));
    assert_eq!(decide(b"PUT"), decide(b"POST"));
    assert!(!decide(b"DELETE"), "a DELETE heals");
    decide(b"PUT")
}

/// Returns whether Prometheus stores everything of each gateway, such as the honest series, whose family is the last; and
/// whether its API works.
pub(crate) fn verdicts(prometheus: &Prometheus, fixture: &GatewayFixture) -> Vec<(Vec<Scrape>, bool)> {
    let scrapes = prometheus.scrape_all(&fixture.addresses, "zz").unwrap();
    let verdict = |(scrape, gateway): (Vec<Scrape>, &Pushgateway)| {
        let has_api = gateway.client().unwrap().get("/api/v1/metrics").is_ok();
        let is_good = has_api && scrape.iter().all(Scrape::is_good);
        (scrape, is_good)
    };
    scrapes.into_iter().zip(&fixture.gateways).map(verdict).collect()
}

pub(crate) fn named<'r>(list: &'r Value, gateway: &str) -> Option<&'r Value> {
    list.as_array().unwrap().iter().find(|entry| entry["gateway"] == gateway)
}

pub(crate) fn heal(poisoned: &Value) {
    for culprit in poisoned["culprits"].as_array().unwrap() {
        let job = culprit["labels"]["job"].as_str().unwrap_or_default();
        assert!(CULPRITS.iter().any(|allowed| job.starts_with(allowed)), "{poisoned}");
        let command = culprit["mend"].as_str().unwrap();
        let output = Command::new("sh").args(["-c", command]).output().unwrap();
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn documents_say_what_envoy_rejects_and_what_conflicts_finds() {
    let (table, inputs) = (table(), inputs::all());
    let kinds: BTreeSet<&str> = inputs.iter().map(|input| input.kind).collect();
    assert_eq!(table.keys().map(String::as_str).collect::<BTreeSet<_>>(), kinds, "one row for each kind");
    for input in &inputs {
        assert_eq!(
            table[input.kind][0] == "rejects it",
            is_rejected(input),
            "{}: {:?}",
            input.kind,
            input.pushes
        );
    }

    let fixture = start(&inputs);
    let prometheus = Prometheus::start(fixture.dir.path(), &fixture.addresses, POOLS).unwrap();
    let column = |index: usize| table[inputs[index].kind][1].as_str();
    let mut bad = BTreeSet::new();
    // If a gateway exposes a problem by chance, Prometheus notices it after some scrapes.
    poll_until("Prometheus to see each problem", || {
        let verdicts = verdicts(&prometheus, &fixture);
        let found = verdicts.into_iter().enumerate().filter(|(_, (_, good))| !good);
        for (index, (scrape, _)) in found {
            assert_ne!(column(index), "nothing to find", "{:?}: {scrape:?}", inputs[index]);
            bad.insert(index);
        }
        (0..inputs.len())
            .all(|index| column(index) == "nothing to find" || bad.contains(&index))
            .then_some(())
    })
    .unwrap_or_else(|error| {
        let missing =
            (0..inputs.len()).filter(|index| column(*index) != "nothing to find" && !bad.contains(index));
        panic!("{error}: {:?}", missing.map(|index| &inputs[index]).collect::<Vec<_>>())
    });

    let (code, report) = fixture.json("groups", &["--conflicts"]);
    assert_eq!(code, 1);
    for (index, input) in inputs.iter().enumerate() {
        let name = format!("g{index}");
        let (poisoned, unreadable) = (named(&report["poisoned"], &name), named(&report["unreadable"], &name));
        // A broken API is unreadable, too, but it has a culprit.
        let is_found =
            if input.kind.ends_with("unreadable") { unreadable.is_some() } else { poisoned.is_some() };
        assert_eq!(is_found, column(index) == "finds it", "{input:?}: {poisoned:?} {unreadable:?}");
        if let Some(poisoned) = poisoned {
            assert!(!poisoned["culprits"].as_array().unwrap().is_empty(), "{input:?}: {poisoned}");
            heal(poisoned);
        }
    }

    let (_, healed) = fixture.json("groups", &["--conflicts"]);
    assert_eq!(healed["poisoned"], json!([]));
    let verdicts = verdicts(&prometheus, &fixture);
    for (index, (scrape, good)) in verdicts.into_iter().enumerate() {
        let stays = column(index) == "does not find it"
            || named(&healed["unreadable"], &format!("g{index}")).is_some();
        assert_eq!(good, !stays, "{:?}: {scrape:?}", inputs[index]);
    }
}
