//! The module in an Envoy of the test's own: what it does with each kind of request.

#![allow(missing_docs, clippy::panic)] // a panic is how a test fails

#[allow(unsafe_code)]
mod envoy;

use envoy::{Configuration, Request};
use pushring_router::{Decision, Router};

const CONFIG: &str = r#"{
    "members": ["10.0.0.1:9091", "10.0.0.2:9091", "10.0.0.3:9091"],
    "mirror": "deletes", "health": true, "status_path": "/-/pushring"
}"#;
const DESTINATION: &str = "x-pushring-destination";
const MIRROR: &str = "x-pushring-destination-mirror";

fn load(json: &str) -> Configuration {
    Configuration::load(json.as_bytes()).unwrap_or_else(|log| panic!("rejected: {log:?}"))
}

fn send(config: &mut Configuration, method: &str, path: &[u8], more: &[(&str, &[u8])]) -> (Request, u32) {
    let mut headers: Vec<(&str, &[u8])> = vec![(":method", method.as_bytes()), (":path", path)];
    headers.extend(more);
    config.handle(&headers)
}

#[test]
fn sets_the_destination_that_the_router_decides_and_chooses_the_route_again() {
    let mut config = load(CONFIG);
    let router = Router::parse(CONFIG.as_bytes()).unwrap();
    for method in ["PUT", "POST", "DELETE"] {
        for job in 0..100 {
            let path = format!("/metrics/job/{job}/instance/%ff{job}");
            let request =
                pushring_router::Request { method: method.as_bytes(), path: path.as_bytes(), accept: None };
            let forged: &[(&str, &[u8])] =
                &[(DESTINATION, b"mine"), (DESTINATION, b"\xff"), (MIRROR, b"mine")];
            let (seen, status) = send(&mut config, method, path.as_bytes(), forged);
            match router.decide(request) {
                Decision::Route(route) => {
                    assert_eq!(seen.values(DESTINATION), [route.destination.as_bytes()]);
                    assert_eq!(seen.values(MIRROR), Vec::from_iter(route.mirror));
                    assert_eq!((status, seen.cleared, seen.reply.is_some()), (0, 1, false));
                }
                Decision::Reply(reply) => assert_eq!(seen.reply.unwrap().status, u32::from(reply.status)),
                Decision::Bypass => unreachable!("a push"),
            }
        }
    }
}

#[test]
fn removes_the_clients_own_headers_from_a_request_that_is_no_push() {
    let mut config = load(CONFIG);
    let forged: &[(&str, &[u8])] = &[(DESTINATION, b"mine"), (MIRROR, b"mine"), ("x-other", b"\xff")];
    let (seen, status) = send(&mut config, "GET", b"/metrics", forged);
    assert_eq!((status, seen.cleared, seen.reply.is_none()), (0, 1, true));
    assert_eq!((seen.values(DESTINATION).len(), seen.values(MIRROR).len()), (0, 0));
    assert_eq!(seen.values("x-other"), [b"\xff"]);
}

#[test]
fn answers_count_and_carry_their_reason() {
    let mut config = load(CONFIG);
    let json: &[(&str, &[u8])] = &[("accept", b"application/json")];
    type Case<'a> = (&'a str, &'a [u8], &'a [(&'a str, &'a [u8])], u32, &'a str);
    let cases: [Case<'_>; 7] = [
        ("GET", b"/metrics/job/a", json, 200, "lookup"),
        ("GET", b"/metrics/job/a", &[], 405, "not_allowed"),
        ("PUT", b"/metrics/job/a/instance/", &[], 400, "poison"),
        ("PUT", b"/metrics/job/a//", &[], 307, "clean_path"),
        ("GET", b"/-/healthy", &[], 200, "health"),
        ("GET", b"/-/pushring", &[], 200, "status"),
        ("GET", b"/-/pushring/owner?path=x", &[], 400, "lookup"),
    ];
    for (method, path, more, expected, reason) in cases {
        let before = config.metric(&format!("pushring_replies_{reason}"));
        let (seen, status) = send(&mut config, method, path, more);
        let header = seen.values(DESTINATION);
        assert!(header.is_empty() && status == 1 && seen.cleared == 0, "{reason}: a reply stops the request");
        let reply = seen.reply.unwrap();
        let reason_header = ("x-pushring-reason".to_owned(), format!("pushring_{reason}").into_bytes());
        assert_eq!((reply.status, reply.details), (expected, format!("pushring_{reason}")));
        assert!(reply.headers.contains(&reason_header));
        assert_eq!(config.metric(&format!("pushring_replies_{reason}")), before + 1);
    }
    assert_eq!(config.metric("pushring_poison_refused"), 1);
    send(&mut config, "PUT", b"/metrics/job/a/b", &[]);
    assert_eq!(config.metric("pushring_unparsable_paths"), 1);
    assert_eq!(config.metric("pushring_panics"), 0);
}

/// The health check of a Pushgateway that is this Envoy, registered by mistake.
#[test]
fn no_health_for_a_request_that_passed_pushring() {
    let mut config = load(CONFIG);
    let (seen, status) = send(&mut config, "GET", b"/-/healthy", &[("cdn-loop", b"pushring")]);
    assert_eq!((status, seen.reply), (0, None));
}

#[test]
fn a_header_that_envoy_rejects_forwards_nothing() {
    let mut config = load(CONFIG);
    let push: [(&str, &[u8]); 2] = [(":method", b"PUT"), (":path", b"/metrics/job/a")];
    for rejected in [DESTINATION, MIRROR] {
        let (seen, status) = config.handle_rejecting(&push, Some(rejected));
        assert_eq!((status, seen.reply.unwrap().status), (1, 503));
    }
}

#[test]
fn requests_without_pseudo_headers_are_no_pushes() {
    let (seen, status) = load(CONFIG).handle(&[]);
    assert_eq!((status, seen.reply), (0, None));
}

#[test]
fn rejects_a_configuration_with_the_reason_in_the_log() {
    for json in ["", "{}", "\u{0}", r#"{"members": ["10.0.0.1:9091"], "rout_by": "job"}"#] {
        let Err(log) = Configuration::load(json.as_bytes()) else { panic!("accepted {json}") };
        assert!(log[0].starts_with("pushring: configuration rejected"), "{log:?}");
    }
    let config = load(CONFIG);
    assert_eq!((config.metric("pushring_members"), config.metric("pushring_points")), (3, 3072));
    assert_eq!(config.metric("pushring_config_accepted"), 1);
}

/// `make soak` shows the same of Envoy.
#[test]
fn frees_all_that_it_allocates() {
    let requests: [(&str, &[u8]); 5] = [
        ("PUT", b"/metrics/job/a/instance/b"),
        ("DELETE", b"/metrics/job@base64/YQ/x/%2F"),
        ("PUT", b"/metrics/job/a/instance/"),
        ("GET", b"/-/pushring"),
        ("GET", b"/metrics"),
    ];
    // Statics of the module and of the test, and the lines of the log, are allocated once.
    let round = || {
        let mut config = load(CONFIG);
        for (method, path) in requests {
            send(&mut config, method, path, &[]);
        }
        drop(config);
        assert!(Configuration::load(b"{}").is_err());
    };
    round();
    let left = allocation_counter::measure(|| (0..100).for_each(|_| round())).bytes_current;
    assert_eq!(left, 0, "bytes that 100 rounds left behind");
}

/// `make unit` runs it with this feature.
#[cfg(feature = "panics")]
#[test]
fn a_panic_is_answered_and_counted_and_the_next_push_routed() {
    let mut config = load(CONFIG);
    for _ in 0..3 {
        let (seen, status) = send(&mut config, "PUT", b"/panic", &[(DESTINATION, b"mine")]);
        let reply = seen.reply.unwrap();
        assert_eq!((status, reply.status, &*reply.details), (1, 500, "pushring_panic"));
    }
    assert_eq!(config.metric("pushring_panics"), 3);
    let (seen, status) = send(&mut config, "PUT", b"/metrics/job/a", &[]);
    assert_eq!((status, seen.values(DESTINATION).len()), (0, 1));
}
