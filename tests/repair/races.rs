//! Clients that push and delete at the moment of a repair: what was acknowledged last wins on both gateways.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use pushring_harness::http::Client;
use pushring_harness::server::Request;
use pushring_harness::{Shift, poll_until};

use crate::fixture::{RepairFixture, value};

const PATH: &str = "/metrics/job/j";

/// A client of owner and replica that sends a request to both, as Envoy does.
struct Mirrored([Mutex<Client>; 2]);

impl Mirrored {
    fn send(&self, method: &str, text: &'static str) {
        for client in &self.0 {
            let client = client.lock().unwrap();
            if method == "DELETE" {
                delete(&client);
                continue;
            }
            let answer = client.send(method, PATH, &[], text).unwrap();
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
    }
}

/// Deletes the group, and waits until it is gone.
fn delete(client: &Client) {
    assert_eq!(client.delete(PATH).unwrap().status, 202);
    let gone = || !client.get("/api/v1/metrics").unwrap().text().contains("\"job\":\"j\"");
    poll_until("the deletion", || gone().then_some(())).unwrap();
}

/// A gateway of the group.
#[derive(Clone, Copy)]
enum Role {
    Owner = 0,
    Replica = 1,
}

/// A push of the command, and what a client does before the gateway gets it.
type Event = (&'static str, &'static str, &'static str);

/// Puts a proxy in front of the gateway with this role. The events happen in this order.
fn script(fixture: &mut RepairFixture, role: Role, events: &'static [Event]) {
    let places = fixture.places(PATH);
    let clients = Mirrored(places.map(|index| Mutex::new(fixture.inner.client(index))));
    let next = AtomicUsize::new(0);
    fixture.inner.proxy(places[role as usize], Shift::default(), move |request: &Request| {
        let event = events.get(next.load(Ordering::SeqCst));
        if let Some((_, method, text)) = event.filter(|(awaited, _, _)| *awaited == request.method) {
            next.fetch_add(1, Ordering::SeqCst);
            clients.send(method, text);
        }
    });
}

/// Returns the values of `a` and `b` on owner and replica, which must be equal.
#[track_caller]
fn both_values(fixture: &RepairFixture) -> [Option<String>; 2] {
    let values = |index: usize| {
        ["a", "b"].map(|name| value(fixture.gateway(index), &format!("{name}{{instance=\"\",job=\"j\"}}")))
    };
    let [owner, replica] = fixture.places(PATH).map(values);
    assert_eq!(owner, replica);
    owner
}

fn some(value: &str) -> Option<String> {
    Some(value.to_owned())
}

/// A fixture whose owner has lost the group.
fn lost(text: &str) -> RepairFixture {
    let mut fixture = RepairFixture::start(2);
    fixture.mirrored("PUT", PATH, text);
    let [owner, _] = fixture.places(PATH);
    fixture.lose(owner);
    fixture
}

#[test]
fn a_push_during_the_copy_to_the_owner_wins() {
    // The second copy meets a push, too.
    let events: [&[Event]; 2] =
        [&[("POST", "POST", "a 2\n")], &[("POST", "POST", "a 3\n"), ("POST", "POST", "a 2\n")]];
    for events in events {
        let mut fixture = lost("a 1\nb 1\n");
        script(&mut fixture, Role::Owner, events);
        fixture.repair();
        assert_eq!(both_values(&fixture), [some("2"), some("1")]);
    }
}

#[test]
fn a_push_during_the_copy_to_the_replica_wins() {
    let mut fixture = RepairFixture::start(2);
    fixture.mirrored("PUT", PATH, "a 1\n");
    let [owner, _] = fixture.places(PATH);
    fixture.send(owner, "POST", PATH, "a 2\nb 1\n");
    script(&mut fixture, Role::Replica, &[("POST", "POST", "a 3\n")]);
    fixture.repair();
    assert_eq!(both_values(&fixture), [some("3"), some("1")]);
}

#[test]
fn a_put_during_the_copy_to_the_owner_drops_families() {
    let mut fixture = lost("a 1\nb 1\n");
    script(&mut fixture, Role::Owner, &[("POST", "PUT", "a 2\n")]);
    fixture.repair();
    assert_eq!(both_values(&fixture), [some("2"), None]);
    // The PUT with which the command drops the family meets a push.
    let mut fixture = lost("a 1\nb 1\n");
    script(&mut fixture, Role::Owner, &[("POST", "PUT", "a 2\n"), ("PUT", "POST", "a 3\n")]);
    fixture.repair();
    assert_eq!(both_values(&fixture), [some("3"), None]);
}

#[test]
fn a_deletion_during_the_copy_stays() {
    for text in ["a 1\nb 1\n", ""] {
        let mut fixture = lost(text);
        script(&mut fixture, Role::Owner, &[("POST", "DELETE", "")]);
        fixture.repair();
        for index in 0..2 {
            assert_eq!(fixture.gateway(index).groups().unwrap(), [], "{text}");
        }
    }
}

/// The owner gets the DELETE before the copy is read back, the replica after that.
#[test]
fn a_deletion_that_is_mirrored_late_stays() {
    let mut fixture = lost("a 1\n");
    let places = fixture.places(PATH);
    let clients = places.map(|index| Mutex::new(fixture.inner.client(index)));
    let (copied, readings) = (AtomicBool::new(false), AtomicUsize::new(0));
    fixture.inner.proxy(places[0], Shift::default(), move |request: &Request| {
        copied.fetch_or(request.method == "POST", Ordering::SeqCst);
        if copied.load(Ordering::SeqCst) && request.path == "/api/v1/status" {
            match readings.fetch_add(1, Ordering::SeqCst) {
                0 => delete(&clients[0].lock().unwrap()),
                2 => delete(&clients[1].lock().unwrap()),
                _ => {}
            }
        }
    });
    fixture.repair();
    for index in places {
        assert_eq!(fixture.gateway(index).groups().unwrap(), []);
    }
}

/// The second reading shows a push to both, and a PUT that drops the family on the owner and is still in flight to the replica.
#[test]
fn a_push_that_was_just_dropped_is_not_copied() {
    let mut fixture = lost("a 1\n");
    let [owner, replica] = fixture.places(PATH);
    let both = Mirrored([owner, replica].map(|index| Mutex::new(fixture.inner.client(index))));
    let [to_owner, to_replica] = [owner, replica].map(|index| Mutex::new(fixture.inner.client(index)));
    let put = |client: &Mutex<Client>| {
        let answer = client.lock().unwrap().send("PUT", PATH, &[], "a 2\n").unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
    };
    let (readings, copies) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let pushed = Arc::clone(&copies);
    fixture.inner.proxy(owner, Shift::default(), move |request: &Request| {
        pushed.fetch_add(usize::from(request.method == "POST"), Ordering::SeqCst);
        if request.path == "/api/v1/status" && readings.fetch_add(1, Ordering::SeqCst) == 1 {
            both.send("POST", "b 1\n");
            put(&to_owner);
        }
    });
    let readings = AtomicUsize::new(0);
    fixture.inner.proxy(replica, Shift::default(), move |request: &Request| {
        if request.path == "/api/v1/status" && readings.fetch_add(1, Ordering::SeqCst) == 3 {
            put(&to_replica);
        }
    });
    fixture.repair();
    assert_eq!(copies.load(Ordering::SeqCst), 0);
    assert_eq!(both_values(&fixture), [some("2"), None]);
}
