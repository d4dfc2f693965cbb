//! `basic-auth.patch` and `readers.patch`: passwords to push, and others to read.

use pushring_harness::{Layout, Mode};

use crate::curl::Outcome;
use crate::front::{Front, edit};

/// As `htpasswd -nbs` prints them, for the passwords `first`, `second` and `readers`.
const FIRST: &str = "team:{SHA}4JlqN8E9RMOwYHSTnUP6N1m9MsE=";
const SECOND: &str = "team:{SHA}NS94KaI4SwAcwSsMJhPHVkVKH2o=";
const READERS: &str = "prometheus:{SHA}YbfI/aaoZSTEFLw+Tyf0sijMjEc=";
const SHIPPED: &str = "none:{SHA}AAAAAAAAAAAAAAAAAAAAAAAAAAA=";

const STORED: Outcome = Outcome::Status(200);
const UNAUTHORIZED: Outcome = Outcome::Status(401);

fn users(layout: &Layout) {
    edit(layout, "push-users.yaml", SHIPPED, FIRST);
    edit(layout, "readers.yaml", SHIPPED, READERS);
}

#[test]
fn only_the_right_password_may_push() {
    for mode in Mode::ROUTED {
        let front = Front::with(mode, &["tls", "basic-auth"], users);
        front.assert_push("right", &["-u", "team:first"], &STORED);
        front.assert_push("right-http2", &["-u", "team:first", "--http2"], &STORED);
        for wrong in ["team:second", "team:", "other:first", "none:", "Team:first"] {
            front.assert_push("wrong", &["-u", wrong], &UNAUTHORIZED);
        }
        front.assert_push("absent", &[], &UNAUTHORIZED);
        for header in ["Authorization: Bearer first", "Authorization: Basic", "Authorization: "] {
            front.assert_push("odd", &["-H", header], &UNAUTHORIZED);
        }
        // Envoy answers gRPC with 200 in such a case.
        front.assert_push("grpc", &["-H", "content-type: application/grpc"], &UNAUTHORIZED);
        for (method, path) in [("GET", "/-/pushring"), ("DELETE", "/metrics/job/right"), ("GET", "/metrics")]
        {
            assert_eq!(front.send(method, path, &[]), UNAUTHORIZED, "{method} {path}");
        }
        assert!(front.stores("right"));
        // Health needs no password; no spelling makes a push of it.
        assert_eq!(front.send("GET", "/-/healthy", &[]), Outcome::Status(200));
        assert_eq!(front.send("GET", "/-/ready", &[]), Outcome::Status(200));
        for path in ["/-/healthy/../../metrics/job/b", "/-/healthy//metrics/job/b", "/-/ready/metrics/job/b"]
        {
            assert_eq!(front.send("PUT", path, &[]), UNAUTHORIZED, "{path}");
        }
        assert_eq!(front.gateway.groups().unwrap().len(), 2);
    }
}

#[test]
fn a_replaced_list_of_users_is_used_without_a_restart() {
    let front = Front::with(Mode::Cluster, &["tls", "basic-auth"], users);
    front.assert_push("first", &["-u", "team:first"], &STORED);
    front.edit("push-users.yaml", FIRST, SECOND);
    front.wait_push(&["-u", "team:first"], &UNAUTHORIZED);
    front.assert_push("second", &["-u", "team:second"], &STORED);
    // A broken list leaves the last one in force.
    front.edit("push-users.yaml", SECOND, "team:second");
    front
        .envoy
        .wait_stat("extension_config_discovery.http_filter.authentication.update_rejected", |n| n > 0)
        .unwrap();
    front.assert_push("still", &["-u", "team:second"], &STORED);
}

#[test]
fn rejects_every_password_until_there_is_a_list_of_users() {
    let front = Front::start(Mode::Cluster, &["tls", "basic-auth"]);
    front.assert_push("shipped", &["-u", "none:"], &UNAUTHORIZED);
    let broken = |layout: &Layout| edit(layout, "push-users.yaml", SHIPPED, "team:first");
    let front = Front::with(Mode::Cluster, &["tls", "basic-auth"], broken);
    front.assert_push("broken", &["-u", "team:first"], &Outcome::Status(500));
}

#[test]
fn gateways_do_not_get_the_passwords_of_clients() {
    for mode in Mode::ROUTED {
        let front = Front::with(mode, &["tls", "basic-auth"], users);
        let requests = front.record(&["-u", "team:first"]);
        for method in ["PUT", "POST", "DELETE"] {
            assert_eq!(front.send(method, "/metrics/job/a", &["-u", "team:first"]), STORED);
        }
        let requests = requests.lock().unwrap();
        assert!(requests.len() >= 3);
        assert!(
            requests.iter().all(|request| !request.headers.contains_key("authorization")),
            "{requests:?}"
        );
    }
}

#[test]
fn readers_read_and_pushers_push() {
    for mode in Mode::ROUTED {
        let front = Front::with(mode, &["tls", "basic-auth", "readers"], users);
        front.assert_push("a", &["-u", "team:first"], &STORED);
        let operator = front.envoy.operator.unwrap();
        let prefix = if mode == Mode::Cluster { "pushgateway-" } else { "" };
        let gateway = format!("x-pushring-gateway: {prefix}{}", front.gateway.address);
        let read = |method: &str, path: &str, user: &[&str]| {
            front.send_to(operator, method, path, &[&["-H", &gateway], user].concat())
        };
        let reader = ["-u", "prometheus:readers"];
        assert_eq!(read("GET", "/metrics", &reader), Outcome::Status(200));
        assert_eq!(read("GET", "/metrics", &["-u", "team:first"]), UNAUTHORIZED);
        assert_eq!(read("GET", "/metrics", &[]), UNAUTHORIZED);
        // Readers change nothing, at either listener.
        for (method, path) in [
            ("DELETE", "/metrics/job/a"),
            ("PUT", "/metrics/job/b"),
            ("POST", "/metrics/job/b"),
            ("PUT", "/api/v1/admin/wipe"),
        ] {
            assert_eq!(read(method, path, &reader), Outcome::Status(403), "{method} {path}");
        }
        front.assert_push("c", &reader, &UNAUTHORIZED);
        assert_eq!(front.gateway.groups().unwrap().len(), 1);
    }
}
