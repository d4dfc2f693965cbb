//! Events between two requests of one reading.

use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pushring_harness::http::Client;
use pushring_harness::{DelayingProxy, GatewayFixture, Pushgateway, Shift, poll_until};
use serde_json::json;

use crate::fixture::Serve;

/// Counts the requests for groups: an event takes place before the second one of a reading.
#[derive(Default)]
struct Armed(AtomicUsize);

impl Armed {
    fn arm(&self) {
        self.0.store(2, Ordering::SeqCst);
    }

    /// Returns whether this is the request before which it takes place.
    fn is_due(&self, path: &str) -> bool {
        let is_read = ["/metrics", "/api/v1/metrics"].contains(&path);
        let left = |left: usize| if is_read { left.checked_sub(1) } else { None };
        self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, left) == Ok(1)
    }
}

#[test]
fn a_push_during_a_reading_does_not_make_an_old_value_new() {
    let mut fleet = GatewayFixture::start(2);
    let path = fleet.placed(&[0, 1], "backup");
    let (armed, client, pushed) = (Arc::new(Armed::default()), fleet.client(0), path.clone());
    let event = Arc::clone(&armed);
    fleet.put(0, &path, "size 1\n");
    let old = Instant::now();
    fleet.proxy(0, Shift::default(), move |request| {
        if event.is_due(&request.path) {
            client.put(&pushed, "size 3\n").unwrap();
        }
    });
    poll_until("time stamps that differ", || (old.elapsed() > Duration::from_secs(4)).then_some(())).unwrap();
    fleet.put(1, &path, "size 2\n");
    // The pushes are older than the first ring that is known.
    fleet.configure(json!({"mirror": "all"}));
    let serve = Serve::start(&fleet, &[]);
    let size = || {
        serve
            .metrics()
            .lines()
            .find_map(|line| Some(line.strip_prefix("size{")?.split_once("} ")?.1.to_owned()))
    };
    assert_eq!(size().as_deref(), Some("2"));
    armed.arm();
    assert_ne!(size().as_deref(), Some("1"));
    assert_eq!(fleet.client(0).get("/metrics").unwrap().text().matches("\nsize{").count(), 1);
}

#[test]
fn an_owner_that_restarts_during_a_reading_has_deleted_nothing() {
    let mut fleet = GatewayFixture::start(2);
    fleet.configure(json!({"mirror": "all"}));
    let path = fleet.placed(&[0, 1], "backup");
    let other = Pushgateway::start(fleet.dir.path(), &[]).unwrap();
    let owner = mem::replace(&mut fleet.gateways[0], other);
    let (address, dir) = (owner.address, fleet.dir.path().to_owned());
    let (armed, owner) = (Arc::new(Armed::default()), Mutex::new(owner));
    let event = Arc::clone(&armed);
    let restart = move |path: &str| {
        if event.is_due(path) {
            let mut owner = owner.lock().unwrap();
            owner.process.kill();
            *owner = poll_until("the address", || Pushgateway::start_at(&dir, address, &[]).ok()).unwrap();
        }
    };
    let proxy =
        DelayingProxy::start(address, Shift::default(), move |request| restart(&request.path)).unwrap();
    fleet.addresses[0] = proxy.address;
    fleet.configure(json!({"mirror": "all"}));
    Client::new(address).unwrap().put(&path, "size 1\n").unwrap();
    fleet.put(1, &path, "size 1\n");
    let serve = Serve::start(&fleet, &[]);
    assert!(serve.metrics().contains("\nsize{"));
    armed.arm();
    assert!(serve.metrics().contains("\nsize{"), "{}", serve.log());
    let exposed = Client::new(address).unwrap().get("/metrics").unwrap().text();
    assert!(!exposed.contains("\nsize{"), "it restarted");
}
