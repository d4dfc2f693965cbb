//! Only one of several sweepers works at a time.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use pushring_harness::http::Client;
use pushring_harness::{Consul, poll_until};
use serde_json::{Value, json};

use crate::fixture::{Sweeper, WatchFixture};

const KEY: &str = "/v1/kv/pushring/pushgateway/sweep";

/// Starts an active sweeper and a standby sweeper of one fleet.
fn two(fixture: &WatchFixture, consul: &Consul) -> (Sweeper, Sweeper) {
    fixture.register(consul);
    let mut first = fixture.watch_with("first", consul);
    first.wait("lock gained", 1);
    let mut second = fixture.watch_with("second", consul);
    let standing = second.wait("standing by", 1).remove(0);
    let holder: Value = serde_json::from_str(standing["holder"].as_str().unwrap()).unwrap();
    assert_eq!(holder["pid"], first.process.id());
    first.wait("pass", 1);
    assert!(first.is_active() && !second.is_active());
    (first, second)
}

fn session(consul: SocketAddr) -> Option<String> {
    let answer = Client::new(consul).unwrap().get(KEY).unwrap();
    answer.json().ok()?[0]["Session"].as_str().map(str::to_owned)
}

#[test]
fn standby_takes_over_after_a_crash() {
    let fixture = WatchFixture::start();
    let consul = Consul::start(fixture.dir.path()).unwrap();
    let (mut first, mut second) = two(&fixture, &consul);
    first.process.kill();
    fixture.leave_a_copy();
    second.wait("lock gained", 1);
    second.wait("deleted", 1);
    assert_eq!(fixture.counts(), [1, 0]);
    assert_eq!(second.messages(), ["started", "standing by", "lock gained", "deleted"]);
    assert!(first.logged("deleted").is_empty());
    let metrics = second.metrics();
    assert_eq!((metrics["pushring_sweep_active"], metrics["pushring_sweep_deleted_total"]), (1.0, 1.0));
}

#[test]
fn standby_takes_over_after_a_stop() {
    let fixture = WatchFixture::start();
    let consul = Consul::start(fixture.dir.path()).unwrap();
    let (mut first, mut second) = two(&fixture, &consul);
    let before = session(consul.address);
    assert_eq!(first.stop(), Some(0), "{}", first.process.tail());
    assert_eq!(first.messages(), ["started", "lock gained", "lock released", "ended"]);
    // The stopped sweeper released its session, so that the other one does not have to wait until it expires.
    let sessions = Client::new(consul.address).unwrap().get("/v1/session/list").unwrap().json().unwrap();
    assert_eq!(sessions.as_array().unwrap().len(), 1, "{sessions}");
    assert_ne!(sessions[0]["ID"].as_str(), before.as_deref());
    second.wait("lock gained", 1);
    second.wait("pass", 1);
    assert!(second.is_active());
    assert_eq!(second.stop(), Some(0));
}

#[test]
fn fleets_of_one_service_use_separate_locks() {
    let fixture = WatchFixture::start();
    let consul = Consul::start(fixture.dir.path()).unwrap();
    let (_first, _second) = two(&fixture, &consul);
    let url = format!("http://{}", consul.address);
    let mut third =
        fixture.watch("third", &["--consul", &url, "--tag", "b", "--tag", "a", "--datacenter", "dc1"]);
    let gained = third.wait("lock gained", 1).remove(0);
    assert_eq!(gained["key"], "pushring/pushgateway/dc=dc1/tag=a,b/sweep");
    poll_until("the third to work", || third.is_active().then_some(())).unwrap();
}

/// A stopped standby leaves nothing behind either.
#[test]
fn standby_stops_without_a_trace() {
    let fixture = WatchFixture::start();
    let consul = Consul::start(fixture.dir.path()).unwrap();
    let (first, mut second) = two(&fixture, &consul);
    assert_eq!(second.stop(), Some(0), "{}", second.process.tail());
    assert_eq!(second.messages(), ["started", "standing by", "ended"]);
    let sessions = Client::new(consul.address).unwrap().get("/v1/session/list").unwrap().json().unwrap();
    assert_eq!(sessions.as_array().unwrap().len(), 1, "{sessions}");
    assert!(first.logged("lock lost").is_empty());
}

/// The session ends after the pass began and before its first batch, while the gateways are read.
#[test]
fn deletes_nothing_after_the_session_ended() {
    static CONSUL: OnceLock<SocketAddr> = OnceLock::new();
    let reads = AtomicUsize::new(0);
    let fixture = WatchFixture::with_hook(move |request| {
        if request.path == "/api/v1/metrics" && reads.fetch_add(1, Ordering::Relaxed) == 0 {
            let consul = *CONSUL.get().unwrap();
            let destroy = format!("/v1/session/destroy/{}", session(consul).unwrap());
            assert_eq!(Client::new(consul).unwrap().put(&destroy, "").unwrap().status, 200);
        }
    });
    let consul = Consul::start(fixture.dir.path()).unwrap();
    CONSUL.set(consul.address).unwrap();
    fixture.register(&consul);
    fixture.leave_a_copy();
    let mut sweeper = fixture.watch_with("sweeper", &consul);
    // The sweeper gains the lock again after the lock delay.
    sweeper.wait("deleted", 1);
    let messages = sweeper.messages();
    assert_eq!(messages, ["started", "lock gained", "lock lost", "kept", "lock gained", "deleted"]);
    let kept = sweeper.logged("kept").remove(0);
    assert_eq!(kept["code"], "not_safe", "{kept}");
    assert_eq!(fixture.counts(), [1, 0]);
}

#[test]
fn deletes_nothing_while_consul_is_unreachable() {
    let fixture = WatchFixture::start();
    let mut consul = Consul::start_persistent(fixture.dir.path()).unwrap();
    fixture.register(&consul);
    let mut sweeper = fixture.watch_with("sweeper", &consul);
    sweeper.wait("pass", 1);
    consul.process().kill();
    fixture.leave_a_copy();
    sweeper.wait("lock lost", 1);
    sweeper.wait("pass failed: retrying at the next interval", 1);
    poll_until("the sweeper to call itself inactive", || (!sweeper.is_active()).then_some(())).unwrap();
    assert_eq!(fixture.counts(), [1, 1]);
    consul.restart().unwrap();
    sweeper.wait("deleted", 1);
    assert_eq!(fixture.counts(), [1, 0]);
    let gained = sweeper.messages().iter().filter(|message| *message == "lock gained").count();
    assert_eq!(gained, 2, "{:?}", sweeper.messages());
}

#[test]
fn token_needs_exactly_the_documented_grants() {
    let fixture = WatchFixture::start();
    let acl =
        r#"-hcl=acl { enabled = true default_policy = "allow" tokens { initial_management = "root" } }"#;
    let consul = Consul::start_with(fixture.dir.path(), &[acl]).unwrap();
    fixture.register(&consul);
    let client = Client::new(consul.address).unwrap();
    // The agent rejects requests until its ACLs are ready.
    let put = |path: &str, body: Value| {
        let send = || client.send("PUT", path, &[("X-Consul-Token", "root")], body.to_string()).ok();
        let sent = || send().filter(|answer| answer.status == 200)?.json().ok();
        poll_until(&format!("PUT {path}"), sent).unwrap()
    };
    let watch = |name: &str, rules: &str| {
        put("/v1/acl/policy", json!({"Name": name, "Rules": rules}));
        let token = put("/v1/acl/token", json!({"Policies": [{"Name": name}]}));
        let url = format!("http://{}", consul.address);
        let secret = token["SecretID"].as_str().unwrap();
        fixture.watch(name, &["--settle", "0s", "--consul", &url, "--consul-token", secret])
    };
    let mut sweeper = watch("reader", r#"session_prefix "" { policy = "read" }"#);
    let event = sweeper.wait("cannot renew or acquire the lock", 1).remove(0);
    assert!(event["error"].as_str().unwrap().contains("needs session:write"), "{event}");
    assert!(!sweeper.is_active());

    // The grants of the operations guide and nothing else.
    let rules = r#"
        session_prefix "" { policy = "write" }
        key_prefix "pushring/" { policy = "write" }
        service "pushgateway" { policy = "read" }
        node_prefix "" { policy = "read" }
        key_prefix "" { policy = "deny" }
        service_prefix "" { policy = "deny" }
        agent_prefix "" { policy = "deny" }
        operator = "deny"
    "#;
    let mut sweeper = watch("sweeper", rules);
    sweeper.wait("pass", 1);
    assert_eq!(sweeper.messages(), ["started", "lock gained"]);
    assert_eq!(sweeper.stop(), Some(0));
    assert_eq!(sweeper.messages(), ["started", "lock gained", "lock released", "ended"]);
}
