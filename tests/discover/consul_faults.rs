//! Answers that a real Consul gives only while it is broken.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use pushring_harness::http::Response;
use pushring_harness::server::{Request, serve};
use serde_json::{Value, json};

use crate::running::Discover;

/// The list of each datacenter; `None`: it is away.
#[derive(Default)]
struct Script {
    lists: BTreeMap<&'static str, Option<Vec<&'static str>>>,
    index: Option<u64>,
    no_leader: bool,
    requests: usize,
}

#[derive(Clone, Default)]
struct Consul(Arc<Mutex<Script>>);

impl Consul {
    fn start(lists: &[(&'static str, &[&'static str])]) -> (Self, String) {
        let consul = Self::default();
        consul.edit(|script| script.index = Some(10));
        lists.iter().for_each(|(datacenter, list)| consul.list(datacenter, list));
        let server = consul.clone();
        let address = serve(move |request| Ok(server.answer(request))).unwrap();
        (consul, address.to_string())
    }

    fn edit(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.0.lock().unwrap());
    }

    fn list(&self, datacenter: &'static str, hosts: &[&'static str]) {
        self.edit(|script| {
            script.index = script.index.map(|index| index + 1);
            script.lists.insert(datacenter, Some(hosts.to_vec()));
        });
    }

    fn away(&self, datacenter: &'static str) {
        self.edit(|script| drop(script.lists.insert(datacenter, None)));
    }

    /// Answers at once, or as soon as the index differs from that of the request.
    fn answer(&self, request: &Request) -> Response {
        let field = |name: &str| request.path.split(['?', '&']).find_map(|pair| pair.strip_prefix(name));
        let (datacenter, asked) = (field("dc=").unwrap_or_default(), field("index="));
        let asked: Option<u64> = asked.map(|index| index.parse().unwrap());
        let began = Instant::now();
        loop {
            let mut script = self.0.lock().unwrap();
            let list = script.lists[datacenter].clone();
            let waits = list.is_some() && asked.is_some() && asked == script.index;
            if !waits || began.elapsed() > Duration::from_secs(20) {
                script.requests += 1;
                return answer(&script, list);
            }
            drop(script);
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn answer(script: &Script, list: Option<Vec<&str>>) -> Response {
    let mut headers = hyper::HeaderMap::new();
    if let Some(index) = script.index {
        headers.insert("x-consul-index", index.into());
    }
    headers.insert("x-consul-knownleader", if script.no_leader { "false" } else { "true" }.parse().unwrap());
    let Some(list) = list else {
        return Response { status: 500, headers, body: "No path to datacenter".into() };
    };
    let entry = |host: &&str| {
        json!({"Node": {"Node": "n", "Address": host}, "Checks": [],
            "Service": {"ID": host, "Address": host, "Port": 9091, "Weights": {"Passing": 1, "Warning": 1}}})
    };
    let body: Vec<Value> = list.iter().map(entry).collect();
    Response { status: 200, headers, body: json!(body).to_string().into() }
}

fn wait_ring(discover: &Discover, hosts: &[&str]) {
    let names: Vec<String> = hosts.iter().map(|host| format!("{host}:9091")).collect();
    discover.wait_ring(&names.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn a_datacenter_that_is_away_keeps_its_gateways() {
    let (consul, address) = Consul::start(&[("dc1", &["10.1.0.1", "10.1.0.2"]), ("dc2", &["10.2.0.1"])]);
    consul.away("dc2");
    let mut discover = Discover::start_with(
        &["--from", "consul", "--consul", &address],
        &[("datacenters: []", "datacenters: [dc1, dc2]")],
    );
    // Not before all were read.
    discover.wait_log("source away; the ring stays", 1);
    assert_eq!(discover.ring(), Vec::<String>::new());
    consul.list("dc2", &["10.2.0.1"]);
    wait_ring(&discover, &["10.1.0.1", "10.1.0.2", "10.2.0.1"]);
    discover.wait_metric("pushring_discover_source_up", 1.0);
    consul.away("dc2");
    consul.list("dc1", &["10.1.0.1", "10.1.0.3"]);
    wait_ring(&discover, &["10.1.0.1", "10.1.0.3", "10.2.0.1"]);
    discover.wait_metric("pushring_discover_source_up", 0.0);
    assert!(discover.process.log().contains("datacenter dc2: "), "{}", discover.process.log());
    consul.away("dc1");
    discover
        .process
        .wait_until("both away", |process| process.log().contains("datacenter dc1: ").then_some(()))
        .unwrap();
    consul.list("dc1", &["10.1.0.1"]);
    wait_ring(&discover, &["10.1.0.1", "10.2.0.1"]);
    consul.list("dc2", &["10.2.0.1", "10.2.0.2"]);
    wait_ring(&discover, &["10.1.0.1", "10.2.0.1", "10.2.0.2"]);
    discover.wait_metric("pushring_discover_source_up", 1.0);
    discover.stop();
}

#[test]
fn an_odd_index_neither_stops_nor_floods() {
    let (consul, address) = Consul::start(&[("", &["10.1.0.1"])]);
    let mut discover = Discover::start(&["--from", "consul", "--consul", &address]);
    wait_ring(&discover, &["10.1.0.1"]);
    // Consul was restored from a snapshot.
    consul.edit(|script| {
        script.index = Some(3);
        script.lists.insert("", Some(vec!["10.1.0.1", "10.1.0.2"]));
    });
    wait_ring(&discover, &["10.1.0.1", "10.1.0.2"]);
    consul.edit(|script| {
        script.no_leader = true;
        script.index = Some(4);
        script.lists.insert("", Some(Vec::new()));
    });
    discover.wait_metric("pushring_discover_source_up", 0.0);
    consul.edit(|script| {
        script.no_leader = false;
        script.lists.insert("", Some(vec!["10.1.0.2", "10.1.0.3"]));
    });
    wait_ring(&discover, &["10.1.0.2", "10.1.0.3"]);
    // Without an index, each answer comes at once.
    let asked = Instant::now();
    consul.edit(|script| {
        script.index = None;
        script.requests = 0;
    });
    consul.edit(|script| drop(script.lists.insert("", Some(vec!["10.1.0.1", "10.1.0.3"]))));
    wait_ring(&discover, &["10.1.0.1", "10.1.0.3"]);
    while asked.elapsed() < Duration::from_secs(1) {
        thread::sleep(Duration::from_millis(10));
    }
    let requests = consul.0.lock().unwrap().requests;
    let most = (asked.elapsed().as_millis() / 100 + 3) * 2;
    assert!(requests as u128 <= most, "{requests} requests, at most {most}");
    discover.stop();
}
