//! A gateway that is silent: who answers the push, and where it is stored, at timeouts that are scaled down.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use pushring_harness::envoy_files::{self, Member};
use pushring_harness::{EnvoyFixture, Mode, poll_until};
use rustix::process::Signal;

const PUSH: &str = "/metrics/job/a";
/// The timeout of the routes, without `request_timeout`.
const ROUTE_TIMEOUT: (&str, &str) = (" timeout: 60s", " timeout: 1s");

/// Waits until exactly these gateways store the group of [`PUSH`].
fn wait_holders(fleet: &EnvoyFixture, expected: &[usize]) {
    poll_until(&format!("the group on {expected:?}"), || {
        let stored = |index: &usize| !fleet.gateways[*index].groups().unwrap().is_empty();
        let holders: Vec<usize> = (0..fleet.gateways.len()).filter(stored).collect();
        (holders == expected).then_some(())
    })
    .unwrap();
}

/// Its kernel still acknowledges, so only the route's timeout ends the push. The gateway stores it when it continues.
#[test]
fn a_gateway_that_hangs_costs_the_routes_timeout() {
    for mode in Mode::ROUTED {
        let mut fleet = EnvoyFixture::edited(mode, 3, &[ROUTE_TIMEOUT]);
        let owner = fleet.owner(PUSH);
        fleet.gateways[owner].process.halt().unwrap();
        let answer = fleet.envoy.client().unwrap().put(PUSH, "x 1\n").unwrap();
        assert_eq!(answer.status, 504, "{mode}: {}", answer.text());
        fleet.gateways[owner].process.signal(Signal::CONT);
        wait_holders(&fleet, &[owner]);
    }
}

/// The price of `per_try_timeout`: the group is on two gateways.
#[test]
fn with_a_timeout_for_each_try_the_next_member_stores_the_push() {
    let harmless = ("reset\n", "reset\n                    per_try_timeout: 1s\n");
    let mut fleet = EnvoyFixture::edited(Mode::Endpoint, 3, &[harmless]);
    let [owner, next] = fleet.clockwise(PUSH)[..2] else { panic!("three members") };
    fleet.gateways[owner].process.halt().unwrap();
    let answer = fleet.envoy.client().unwrap().put(PUSH, "x 1\n").unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    fleet.gateways[owner].process.signal(Signal::CONT);
    let mut both = [owner, next];
    both.sort_unstable();
    wait_holders(&fleet, &both);
}

/// Linux counts the time since the peer last accepted data, also if it acknowledges: `TCP_USER_TIMEOUT`.
#[test]
fn a_large_push_to_a_gateway_that_reads_nothing_fails_early() {
    let body = "#".repeat(12 << 20) + "\nx 1\n";
    for mode in Mode::ROUTED {
        let mut fleet = EnvoyFixture::edited(mode, 3, &[("int_value: 3000", "int_value: 300")]);
        let owner = fleet.owner(PUSH);
        fleet.gateways[owner].process.halt().unwrap();
        let answer = fleet.envoy.client().unwrap().put(PUSH, body.clone()).unwrap();
        assert_eq!(answer.status, 503, "{mode}: {}", answer.text());
        fleet.gateways[owner].process.signal(Signal::CONT);
        // It has a part of the body, which it rejects.
        let rejected = "pushgateway_http_requests_total{code=\"400\",handler=\"push\",method=\"put\"} 1";
        poll_until("the gateway to reject the push", || {
            fleet.gateways[owner].metrics().unwrap().contains(rejected).then_some(())
        })
        .unwrap();
        wait_holders(&fleet, &[]);
    }
}

/// As a machine that is gone: no answer to a new connection, not even a refusal.
#[test]
fn a_gateway_that_answers_no_connection_costs_the_connect_timeout() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    // Linux drops the requests of further clients as soon as this many wait to be accepted.
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(500)) {
        waiting.push(stream);
    }
    for (mode, expected) in [(Mode::Cluster, 503), (Mode::Endpoint, 200)] {
        let fleet = EnvoyFixture::start(mode, 1);
        let path = with_owner(&fleet, address);
        let answer = fleet.envoy.client().unwrap().put(&path, "x 1\n").unwrap();
        assert_eq!(answer.status, expected, "{mode}: {}", answer.text());
        assert_eq!(fleet.gateways[0].groups().unwrap().len(), usize::from(expected == 200), "{mode}");
    }
}

#[test]
fn a_gateway_that_trickles_its_answer_costs_the_routes_timeout() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n";
    let headers = trickle(format!("{head}x-a: "));
    let body = trickle(format!("{head}\r\n"));
    for mode in Mode::ROUTED {
        let fleet = EnvoyFixture::edited(mode, 1, &[ROUTE_TIMEOUT]);
        let client = fleet.envoy.client().unwrap();
        let path = with_owner(&fleet, headers);
        let answer = client.put(&path, "x 1\n").unwrap();
        assert_eq!(answer.status, 504, "{mode}: {}", answer.text());
        // The status has reached the client when the time is over; the answer is cut off.
        let path = with_owner(&fleet, body);
        assert!(client.put(&path, "x 1\n").is_err(), "{mode}");
    }
}

/// Adds a member to the ring and returns a path that it owns.
pub(crate) fn with_owner(fleet: &EnvoyFixture, address: SocketAddr) -> String {
    let members: Vec<Member> = [fleet.gateways[0].address, address].map(Member::from).into();
    let config = envoy_files::config(fleet.layout.mode(), &members).unwrap();
    fleet.layout.write(&config).unwrap();
    let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
    fleet.envoy.wait_members(&names).unwrap();
    fleet.envoy.wait_upstreams(&names).unwrap();
    let router = pushring_router::Router::parse(config.to_string().as_bytes()).unwrap();
    let owned = |path: &String| router.owner_of(path.as_bytes()).unwrap().owner.unwrap().address == names[1];
    (0..).map(|number| format!("/metrics/job/j{number}")).find(owned).unwrap()
}

/// Starts a server that begins each answer with `start` and continues with a byte at a time.
fn trickle(start: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, start) = (stream.unwrap(), start.clone());
            thread::spawn(move || {
                let _ = stream.read(&mut [0; 4096]);
                let mut sent = stream.write_all(start.as_bytes());
                while sent.is_ok() {
                    sent = stream.write_all(b"a");
                    thread::sleep(Duration::from_millis(50));
                }
            });
        }
    });
    address
}
