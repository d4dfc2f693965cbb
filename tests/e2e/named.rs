//! A push that failed because of a gateway names this gateway to the client. Answers of gateways pass unchanged.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::{slice, thread};

use pushring_harness::http::{Client, Response};
use pushring_harness::server::serve;
use pushring_harness::{Envoy, EnvoyFixture, Layout, Member, Mode, Ports, envoy_files};

const PUSH: &str = "/metrics/job/a";

fn text_of_503(client: &Client, mode: Mode) -> String {
    let answer = client.put(PUSH, "x 1\n").unwrap();
    assert_eq!(answer.status, 503, "{mode}: {}", answer.text());
    assert_eq!(answer.header("content-type"), Some("text/plain"), "{mode}");
    answer.text()
}

/// A member that is no Pushgateway, under a name that is not its address.
fn member(address: SocketAddr) -> Member {
    Member { name: "lonely".into(), address: address.to_string(), weight: 1 }
}

fn in_front_of(member: &Member, dir: &Path, mode: Mode) -> Envoy {
    let layout = Layout::create(&dir.join(mode.to_string()), mode, Ports::default()).unwrap();
    layout.write(&envoy_files::config(mode, slice::from_ref(member)).unwrap()).unwrap();
    Envoy::start(&layout, 1).unwrap()
}

#[test]
fn a_gateway_that_accepts_no_connection() {
    for mode in Mode::ROUTED {
        let mut fleet = EnvoyFixture::start(mode, 3);
        let ring = fleet.clockwise(PUSH);
        fleet.gateways.iter_mut().for_each(|gateway| gateway.process.kill());
        let named = fleet.gateways[if mode == Mode::Cluster { ring[0] } else { ring[2] }].address;
        let text = text_of_503(&fleet.envoy.client().unwrap(), mode);
        assert!(text.contains("No connection to ") && text.contains(&named.to_string()), "{mode}: {text}");
    }
}

/// A ring of fewer members than tries: the last try finds no gateway.
#[test]
fn the_only_gateway_of_a_ring() {
    for mode in Mode::ROUTED {
        let mut fleet = EnvoyFixture::start(mode, 1);
        fleet.gateways[0].process.kill();
        let text = text_of_503(&fleet.envoy.client().unwrap(), mode);
        assert!(text.contains(&fleet.gateways[0].address.to_string()), "{mode}: {text}");
    }
}

#[test]
fn a_gateway_that_closes_the_connection() {
    let address = serve(|_| anyhow::bail!("closes the connection")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    for mode in Mode::ROUTED {
        let envoy = in_front_of(&member(address), dir.path(), mode);
        let text = text_of_503(&envoy.client().unwrap(), mode);
        assert!(text.contains("before it answered"), "{mode}: {text}");
        assert!(text.contains(&address.to_string()), "{mode}: {text}");
        assert_eq!(text.contains("pushgateway-lonely"), mode == Mode::Cluster, "{mode}: {text}");
    }
}

/// A DELETE, because it is not retried: a ring of one member has no other.
#[test]
fn a_member_that_is_another_server() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let _ = connection.read(&mut [0; 1024]);
            let _ = connection.write_all(b"SSH-2.0-OpenSSH\r\n\r\n");
        }
    });
    let dir = tempfile::tempdir().unwrap();
    for mode in Mode::ROUTED {
        let envoy = in_front_of(&member(address), dir.path(), mode);
        let answer = envoy.client().unwrap().delete(PUSH).unwrap();
        let text = answer.text();
        assert_eq!(answer.status, 502, "{mode}: {text}");
        assert!(text.contains("no HTTP") && text.contains(&address.to_string()), "{mode}: {text}");
    }
}

#[test]
fn a_gateway_that_hangs() {
    for mode in Mode::ROUTED {
        let mut fleet = EnvoyFixture::edited(mode, 1, &[(" timeout: 60s", " timeout: 0.2s")]);
        fleet.gateways[0].process.halt().unwrap();
        let answer = fleet.envoy.client().unwrap().put(PUSH, "x 1\n").unwrap();
        assert_eq!(answer.status, 504, "{mode}: {}", answer.text());
        let named = format!("{}", fleet.gateways[0].address);
        let text = answer.text();
        assert!(text.contains("did not answer in time") && text.contains(&named), "{mode}: {text}");
    }
}

#[test]
fn a_member_that_envoy_does_not_know() {
    for mode in Mode::ROUTED {
        let fleet = EnvoyFixture::start(mode, 1);
        let stranger = member("127.0.0.1:1".parse().unwrap());
        let config = envoy_files::config(mode, slice::from_ref(&stranger)).unwrap();
        fleet.layout.write_ring(&config.to_string()).unwrap();
        fleet.envoy.wait_members(&[&stranger.name]).unwrap();
        let text = text_of_503(&fleet.envoy.client().unwrap(), mode);
        let named = if mode == Mode::Cluster { "pushgateway-lonely" } else { "127.0.0.1:1" };
        assert!(text.contains(named) && text.contains("is not stored"), "{mode}: {text}");
    }
}

#[test]
fn an_answer_of_a_gateway_passes_unchanged() {
    for status in [400, 404, 413, 500, 502, 503, 504] {
        let answer = move |_: &_| {
            let mut answer = Response { status, ..Response::ok(format!("my own {status}\n")) };
            answer.headers.insert("x-pushring-reason", "pushring_poison".parse()?);
            Ok(answer)
        };
        let address = serve(answer).unwrap();
        let dir = tempfile::tempdir().unwrap();
        for mode in Mode::ROUTED {
            let envoy = in_front_of(&member(address), dir.path(), mode);
            let answer = envoy.client().unwrap().put(PUSH, "x 1\n").unwrap();
            assert_eq!((answer.status, answer.text()), (status, format!("my own {status}\n")), "{mode}");
            // Only pushring gives its reasons.
            assert_eq!(answer.header("x-pushring-reason"), None, "{mode}");
        }
    }
}
