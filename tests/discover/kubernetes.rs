//! `--from kubernetes` with an API server that answers by a script, for what a real one does not do on request. The suite
//! `kubernetes` has a real one.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::park;

use pushring_harness::http::Response;
use pushring_harness::{poll_until, server};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::running::Discover;

/// An answer of the server: a status and a body, or none until the end of the test.
type Answer = Option<(u16, String)>;

/// Answers each kind of request in the order of its script.
struct Api {
    dir: TempDir,
    lists: Sender<Answer>,
    watches: Sender<Answer>,
    /// Replicas of the StatefulSet `gw`; `None`: the account may not read it.
    replicas: Arc<Mutex<Option<u32>>>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Api {
    fn start() -> Self {
        let ((lists, list), (watches, watch)) = (channel(), channel());
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let replicas: Arc<Mutex<Option<u32>>> = Arc::default();
        let (log, set) = (Arc::clone(&requests), Arc::clone(&replicas));
        let (list, watch): (Mutex<Receiver<Answer>>, _) = (Mutex::new(list), Mutex::new(watch));
        let address = server::serve(move |request| {
            assert_eq!(request.headers["authorization"], "Bearer secret");
            if request.path == "/apis/apps/v1/namespaces/monitoring/statefulsets/gw" {
                let (status, body) = match *set.lock().unwrap() {
                    Some(replicas) => (200, json!({"spec": {"replicas": replicas}})),
                    None => (403, json!({"kind": "Status", "message": "forbidden", "code": 403})),
                };
                return Ok(Response { status, headers: Default::default(), body: body.to_string().into() });
            }
            let (_, query) = request.path.split_once('?').unwrap();
            let is_watch = query.contains("watch=1");
            log.lock().unwrap().push(request.path.clone());
            let script = if is_watch { &watch } else { &list };
            let next: Answer = script.lock().unwrap().recv()?;
            let Some((status, body)) = next else {
                loop {
                    park();
                }
            };
            Ok(Response { status, headers: Default::default(), body: body.into_bytes().into() })
        })
        .unwrap();
        let dir = tempfile::tempdir().unwrap();
        let config = json!({
            "current-context": "t", "contexts": [{"name": "t", "context": {"cluster": "t", "user": "t", "namespace": "monitoring"}}],
            "clusters": [{"name": "t", "cluster": {"server": format!("http://{address}")}}],
            "users": [{"name": "t", "user": {"token": "secret"}}],
        });
        std::fs::write(dir.path().join("config"), config.to_string()).unwrap();
        Self { dir, lists, watches, replicas, requests }
    }

    fn discover(&self) -> Discover {
        let config = format!("--kubeconfig={}", self.dir.path().join("config").display());
        Discover::start(&["--from=kubernetes", "--service=gw", &config])
    }

    fn list(&self, status: u16, body: impl ToString) {
        self.lists.send(Some((status, body.to_string()))).unwrap();
    }

    /// Answers the next watch with these lines, and ends it as a server does after its time.
    fn watch(&self, status: u16, lines: &[Value]) {
        let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
        self.watches.send(Some((status, lines))).unwrap();
    }

    /// Lets the next watch be silent.
    fn silent_watch(&self) {
        self.watches.send(None).unwrap();
    }

    /// Waits until this number of requests arrived, and returns for each the version from which it watches; lists: "".
    fn versions(&self, count: usize) -> Vec<String> {
        poll_until(&format!("{count} requests"), || {
            let requests = self.requests.lock().unwrap();
            (requests.len() >= count).then(|| requests.clone())
        })
        .unwrap()
        .iter()
        .map(|path| {
            assert!(
                path.starts_with("/apis/discovery.k8s.io/v1/namespaces/monitoring/endpointslices?"),
                "{path}"
            );
            assert!(path.contains("labelSelector=kubernetes.io%2Fservice-name%3Dgw"), "{path}");
            let version = path.split_once("resourceVersion=").map_or("", |(_, rest)| rest);
            version.split('&').next().unwrap().to_owned()
        })
        .collect()
    }
}

fn slice(version: u32, endpoints: Value) -> Value {
    json!({
        "metadata": {"name": "gw-x", "resourceVersion": version.to_string()}, "addressType": "IPv4",
        "ports": [{"name": "http", "port": 9091, "protocol": "TCP"}], "endpoints": endpoints,
    })
}

/// Returns the endpoints of these pods.
fn pods(indices: &[u8]) -> Value {
    indices
        .iter()
        .map(|i| json!({"hostname": format!("gw-{i}"), "addresses": [format!("10.0.0.{i}")]}))
        .collect()
}

fn list(version: u32, endpoints: Value) -> Value {
    let metadata = json!({"resourceVersion": version.to_string()});
    json!({"kind": "EndpointSliceList", "metadata": metadata, "items": [slice(version, endpoints)]})
}

fn event(kind: &str, object: Value) -> Value {
    json!({"type": kind, "object": object})
}

fn gone() -> Value {
    json!({"kind": "Status", "status": "Failure", "message": "too old resource version", "reason": "Expired", "code": 410})
}

#[test]
fn continues_each_watch_and_lists_again_when_its_version_is_gone() {
    let api = Api::start();
    api.list(200, list(5, pods(&[1, 2])));
    let bookmark = json!({"kind": "EndpointSlice", "metadata": {"resourceVersion": "9"}, "addressType": "", "endpoints": null});
    api.watch(200, &[event("MODIFIED", slice(6, pods(&[1, 2, 3]))), event("BOOKMARK", bookmark)]);
    api.watch(200, &[event("ERROR", gone())]);
    api.list(200, list(20, pods(&[1, 2, 3, 4])));
    api.watch(410, &[gone()]);
    api.list(200, list(30, pods(&[1, 2, 3, 5])));
    api.watch(200, &[]);
    api.silent_watch();
    let mut discover = api.discover();
    discover.wait_ring(&["gw-1", "gw-2", "gw-3", "gw-5"]);
    assert_eq!(api.versions(8), ["", "5", "9", "", "20", "", "30", "30"]);
    assert!(!discover.process.log().contains("source away"), "{}", discover.process.log());
    assert_eq!(discover.metric("pushring_discover_source_up"), Some(1.0));
    // The pod that was there between two lists is remembered.
    assert_eq!(discover.metric("pushring_discover_registered"), Some(5.0));
    discover.stop();
}

/// Returns the endpoints of these pods, and of one that ends.
fn with_ending(indices: &[u8], ending: u8) -> Value {
    let mut all = pods(indices);
    let target = json!({"kind": "Pod", "name": format!("gw-{ending}"), "uid": "u"});
    all.as_array_mut().unwrap().push(json!({
        "hostname": format!("gw-{ending}"), "addresses": [format!("10.0.0.{ending}")], "targetRef": target,
        "conditions": {"ready": false, "serving": true, "terminating": true},
    }));
    all
}

#[test]
fn a_pod_leaves_if_its_statefulset_was_scaled_in() {
    let api = Api::start();
    api.list(200, list(5, pods(&[0, 1, 2, 3])));
    let mut discover = api.discover();
    discover.wait_ring(&["gw-0", "gw-1", "gw-2", "gw-3"]);
    // Not scaled in: the pod comes back.
    *api.replicas.lock().unwrap() = Some(4);
    api.watch(200, &[event("MODIFIED", slice(6, with_ending(&[0, 1, 2], 3)))]);
    discover.wait_ring(&["gw-0", "gw-1", "gw-2"]);
    discover.wait_metric("pushring_discover_registered", 4.0);
    *api.replicas.lock().unwrap() = Some(2);
    api.watch(200, &[event("MODIFIED", slice(7, with_ending(&[0, 1], 3)))]);
    api.silent_watch();
    discover.wait_ring(&["gw-0", "gw-1"]);
    discover.wait_log("left", 1);
    discover.wait_metric("pushring_discover_registered", 3.0);
    discover.stop();
}

#[test]
fn without_the_right_to_read_its_statefulset_a_pod_vanishes() {
    let api = Api::start();
    api.list(200, list(5, pods(&[0, 1, 2, 3])));
    api.watch(200, &[event("MODIFIED", slice(6, with_ending(&[0, 1, 2], 3)))]);
    api.watch(200, &[event("MODIFIED", slice(7, with_ending(&[0, 1], 3)))]);
    api.watch(200, &[event("MODIFIED", slice(8, pods(&[0, 1])))]);
    api.silent_watch();
    let mut discover = api.discover();
    discover.wait_ring(&["gw-0", "gw-1"]);
    discover.wait_log("vanished; counts as registered (--forget)", 2);
    discover.wait_log("StatefulSet not read; pods that it was scaled in by count as vanished (--forget)", 1);
    assert_eq!(discover.process.log().matches("StatefulSet not read").count(), 1);
    assert_eq!(discover.metric("pushring_discover_registered"), Some(4.0));
    discover.stop();
}

/// Nothing that is no whole list, or no event, changes the ring.
#[test]
fn an_error_is_never_an_empty_list() {
    let api = Api::start();
    api.list(200, list(5, pods(&[1, 2])));
    api.watch(200, &[event("ERROR", json!({"kind": "Status", "message": "etcd is gone", "code": 500}))]);
    let mut discover = api.discover();
    discover.wait_ring(&["gw-1", "gw-2"]);
    let status = |code: u16| json!({"kind": "Status", "status": "Failure", "message": format!("m{code}"), "code": code});
    let mut part = list(6, json!([]));
    part["metadata"]["continue"] = "next".into();
    let cases = [
        (401, status(401).to_string(), "answered 401: m401; the credentials are missing, wrong or expired"),
        (403, status(403).to_string(), "answered 403: m403; the account needs this right"),
        (404, "404 page not found".to_owned(), "answered 404: 404 page not found"),
        (503, String::new(), "answered 503"),
        (302, String::new(), "answered 302"),
        (200, String::new(), "not the response of a Kubernetes API server"),
        (200, "[]".to_owned(), "not a list of EndpointSlices"),
        (200, status(200).to_string(), "not a list of EndpointSlices"),
        (
            200,
            json!({"kind": "EndpointSliceList", "metadata": {}, "items": []}).to_string(),
            "not a list of EndpointSlices",
        ),
        (200, part.to_string(), "found a part of the list"),
        (200, list(7, json!([{"addresses": ["10.0.0.9"]}])).to_string(), "--name-by address"),
    ];
    for (status, body, reason) in cases {
        api.list(status, body);
        let logged = |process: &pushring_harness::Process| {
            process
                .log()
                .lines()
                .any(|line| line.contains("source away") && line.contains(reason))
                .then_some(())
        };
        discover.process.wait_until(reason, logged).unwrap();
        let mut ring = discover.ring();
        ring.sort_unstable();
        assert_eq!(ring, ["gw-1", "gw-2"]);
    }
    assert!(discover.process.log().contains("etcd is gone"));
    api.list(200, list(8, pods(&[1, 2, 3])));
    api.watch(200, &[event("MODIFIED", slice(9, pods(&[1, 2, 3, 4]))), json!({"type": "ADDED"})]);
    discover.wait_ring(&["gw-1", "gw-2", "gw-3", "gw-4"]);
    discover.wait_log("source back", 1);
    // A list without endpoints is one: the gateways vanished, and the guard holds the ring.
    api.list(200, list(10, json!([])));
    api.silent_watch();
    discover.wait_metric("pushring_discover_held", 1.0);
    assert_eq!(discover.ring().len(), 4);
    assert!(!discover.process.log().contains("Bearer"));
    discover.stop();
}

#[test]
fn a_hostile_endpoint_changes_no_other() {
    let long = "x".repeat(5000);
    let bad = |hostname: &str, address: &str| json!({"hostname": hostname, "addresses": [address]});
    let endpoints = json!([
        bad("gw-1", "10.0.0.1"),
        bad("../../etc/passwd", "10.0.0.11"),
        bad("a\u{1b}[31m\n\u{202e}", "10.0.0.12"),
        bad("\"}],\"members\":[{\"name\":\"x", "10.0.0.13"),
        bad("{{ .Env.HOME }}", "10.0.0.14"),
        bad(&long, "10.0.0.15"),
        bad("gw-7", &long),
        bad("gw-8", "10.0.0.1; rm -rf /"),
        bad("gw-9", "10.0.0.9:80"),
        bad("gw-10", ""),
        bad("gw-11", "http://10.0.0.11"),
        bad("10.0.0.1:9091", "10.0.0.16"),
        bad("gw-13", "fe80::1%eth0"),
        bad("gw-14", "::1%1"),
        bad("gw-15", "10.0.0.9\t"),
        bad("tab\tquote\"colon:", "10.0.0.18"),
        bad("m\u{fc}nchen", "10.0.0.19"),
        {"hostname": "gw-17", "addresses": [null]},
        {"hostname": "gw-18", "addresses": null},
        {"hostname": null, "addresses": ["10.0.0.20"], "nodeName": null, "targetRef": null},
        {"hostname": ["x"], "addresses": "y", "conditions": 5},
        {"hostname": "gw-12", "addresses": ["10.0.0.17"], "conditions": {"ready": true}, "zone": 7, "hints": [1], "new": {}},
    ]);
    let api = Api::start();
    api.list(200, list(5, endpoints));
    api.silent_watch();
    let mut discover = api.discover();
    discover.wait_log("published", 1);
    let ring = discover.ring();
    for good in ["gw-1", "gw-12"] {
        assert!(ring.contains(&good.to_owned()), "{ring:?}");
    }
    for bad in ["gw-7", "gw-8", "gw-9", "gw-10", "gw-11", "gw-13", "gw-14", "gw-15", "gw-17", "gw-18"] {
        assert!(!ring.contains(&bad.to_owned()), "{ring:?}");
    }
    assert!(!discover.process.log().contains(['\u{1b}', '\u{202e}', '\t']));
    discover.stop();
}
