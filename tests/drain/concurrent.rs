//! Changes during a drain are left to the next run and never lost.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use pushring_harness::http::Client;
use pushring_harness::server::Request;
use pushring_harness::{Pushgateway, Shift, poll_until};
use serde_json::json;

use crate::fixture::{DrainFixture, exposed, has, push};

pub(crate) const PATH: &str = "/metrics/job/j";

pub(crate) fn line(name: &str, value: u32) -> String {
    format!("{name}{{instance=\"\",job=\"j\"}} {value}")
}

/// Returns a hook that acts on the n-th request of a kind, with a client of the source.
pub(crate) fn at(
    nth: usize,
    method: &'static str,
    path: &'static str,
    source: &Pushgateway,
    act: impl Fn(&Client) + Send + Sync + 'static,
) -> impl Fn(&Request) + Send + Sync + 'static {
    let (count, client) = (AtomicUsize::new(0), Mutex::new(source.client().unwrap()));
    move |request| {
        if request.method == method
            && request.path.starts_with(path)
            && count.fetch_add(1, Ordering::Relaxed) + 1 == nth
        {
            act(&client.lock().unwrap());
        }
    }
}

/// Puts a proxy in front of `gateway` that pushes `text` between two concurrent reads: after the gateway answered
/// `first` and before it gets `second`.
fn push_between(
    fixture: &mut DrainFixture,
    gateway: SocketAddr,
    [first, second]: [&'static str; 2],
    text: &'static str,
) {
    let answered = Arc::new(AtomicBool::new(false));
    let signal = Arc::clone(&answered);
    let (pushed, client) = (AtomicBool::new(false), Mutex::new(Client::new(gateway).unwrap()));
    let before = move |request: &Request| {
        if request.path == second && !pushed.swap(true, Ordering::SeqCst) {
            poll_until("the first answer", || answered.load(Ordering::SeqCst).then_some(())).unwrap();
            assert_eq!(client.lock().unwrap().put(PATH, text).unwrap().status, 200);
        }
    };
    let after = move |request: &Request| {
        if request.path == first {
            signal.store(true, Ordering::SeqCst);
        }
    };
    fixture.proxy_with(gateway, Shift::default(), before, after);
}

const ORDERS: [[&str; 2]; 2] = [["/metrics", "/api/v1/metrics"], ["/api/v1/metrics", "/metrics"]];

#[test]
fn keeps_a_group_that_is_pushed_to_while_it_is_read() {
    for order in ORDERS {
        let mut fixture = DrainFixture::start(1, &[]);
        push(&fixture.source, "PUT", PATH, "a 1\n");
        let source = fixture.source.address;
        push_between(&mut fixture, source, order, "a 2\n");
        let output = fixture.drain(&[]);
        assert_eq!((output.code, fixture.source.groups().unwrap().len()), (1, 1), "{}", output.stdout);
        fixture.drain_all();
        assert!(has(&fixture.owners[0], &line("a", 2)), "{order:?}");
    }
}

#[test]
fn keeps_a_push_to_the_owner_while_it_is_read() {
    for order in ORDERS {
        let mut fixture = DrainFixture::start(1, &[]);
        push(&fixture.source, "PUT", PATH, "m{x=\"1\"} 1\n");
        let (owner, source) = (fixture.owners[0].address, fixture.source.address);
        fixture.proxy(source, Shift::age(60), |_| {});
        push_between(&mut fixture, owner, order, "m{x=\"2\"} 2\n");
        fixture.drain_all();
        assert!(has(&fixture.owners[0], "m{instance=\"\",job=\"j\",x=\"2\"} 2"), "{order:?}");
    }
}

/// Acts on the source while the copy is in flight; returns the fixture and the output of the first drain.
fn during_the_copy(
    act: impl Fn(&Client) + Send + Sync + 'static,
) -> (DrainFixture, pushring_harness::command::CommandOutput) {
    let mut fixture = DrainFixture::start(1, &[]);
    push(&fixture.source, "PUT", PATH, "a 1\nb 1\n");
    let owner = fixture.owners[0].address;
    let hook = at(1, "POST", "/metrics", &fixture.source, act);
    fixture.proxy(owner, Shift::default(), hook);
    let output = fixture.drain(&[]);
    (fixture, output)
}

#[test]
fn keeps_a_group_that_is_pushed_to_during_the_copy() {
    let (fixture, output) = during_the_copy(|source| drop(source.post(PATH, "a 2\n").unwrap()));
    assert_eq!(output.code, 1, "{}", output.stderr);
    assert_eq!(output.json().unwrap()["kept"][0]["code"], "changed", "{}", output.stdout);
    assert!(has(&fixture.source, &line("a", 2)));
    // The next run finds two values of the same moment and keeps both until one is certainly newer.
    let mut fixture = fixture;
    fixture.proxies.clear();
    let owner = fixture.owners[0].address;
    fixture.proxy(owner, Shift::age(60), |_| {});
    fixture.drain_all();
    assert!(has(&fixture.owners[0], &line("a", 2)) && has(&fixture.owners[0], &line("b", 1)));
}

#[test]
fn reports_a_group_that_appears_during_the_copy() {
    let (fixture, output) = during_the_copy(|source| drop(source.put("/metrics/job/new", "a 1\n").unwrap()));
    assert_eq!(output.code, 1, "{}", output.stderr);
    assert_eq!(output.json().unwrap()["kept"][0]["code"], "changed", "{}", output.stdout);
    assert_eq!(fixture.source.groups().unwrap().len(), 1);
    fixture.drain_all();
}

#[test]
fn counts_a_group_that_a_client_deleted() {
    let (fixture, output) = during_the_copy(|source| {
        source.delete(PATH).unwrap();
        // The gateway answers before it deletes.
        let groups = || source.get("/api/v1/metrics").unwrap().json().unwrap()["data"].clone();
        poll_until("the group to be gone", || (groups() == json!([])).then_some(())).unwrap();
    });
    assert_eq!(output.code, 0, "{} {}", output.stdout, output.stderr);
    assert_eq!(output.json().unwrap()["owners"][fixture.address(&fixture.owners[0])]["gone"], 1);
}

/// With a maximum decision age of two seconds, one reading allows five deletions of 400 ms each.
#[test]
fn deletes_only_within_the_maximum_age_of_a_reading() {
    let mut fixture = DrainFixture::start(1, &[]);
    for index in 0..12 {
        push(&fixture.source, "PUT", &format!("/metrics/job/j{index}"), "a 1\n");
        push(&fixture.owners[0], "PUT", &format!("/metrics/job/j{index}"), "a 1\n");
    }
    let before = exposed(&fixture.source);
    let deleted = Arc::new(Mutex::new(vec![0_usize]));
    let (owner, source) = (fixture.owners[0].address, fixture.source.address);
    let readings = Arc::clone(&deleted);
    fixture.proxy(owner, Shift::default(), move |request| {
        if request.path == "/metrics" {
            readings.lock().unwrap().push(0);
        }
    });
    let deletions = Arc::clone(&deleted);
    fixture.proxy(source, Shift::default(), move |request| {
        if request.method == "DELETE" {
            *deletions.lock().unwrap().last_mut().unwrap() += 1;
            thread::sleep(Duration::from_millis(400));
        }
    });
    assert_eq!(fixture.drain(&["--max-decision-age", "2s"]).code, 0);
    let deleted = deleted.lock().unwrap();
    assert!(deleted.iter().all(|&batch| batch <= 5), "{deleted:?}");
    assert_eq!(deleted.iter().sum::<usize>(), 12);
    assert_eq!(exposed(&fixture.owners[0]), before);
}

#[test]
fn carries_nothing_to_an_owner_that_is_too_slow() {
    let mut fixture = DrainFixture::start(1, &[]);
    push(&fixture.source, "PUT", PATH, "a 1\n");
    let owner = fixture.owners[0].address;
    fixture.proxy(owner, Shift::default(), |request| {
        if request.path == "/metrics" {
            thread::sleep(Duration::from_millis(60));
        }
    });
    assert_eq!(fixture.kept_with(&["--max-decision-age", "50ms"]), "too_slow");
    assert!(has(&fixture.source, &line("a", 1)));
    assert_eq!(fixture.owners[0].groups().unwrap(), []);
}
