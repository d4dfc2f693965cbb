//! `tls.patch` and `mtls.patch`: clients verify Envoy, and Envoy verifies clients.

use std::process::Command;

use pushring_harness::{Mode, poll_until, tools};

use crate::certificates::{Authority, replace};
use crate::curl::{Outcome, curl};
use crate::front::Front;

const STORED: Outcome = Outcome::Status(200);

#[test]
fn tls_in_every_mode() {
    for mode in Mode::ALL {
        let front = Front::start(mode, &["tls"]);
        let accepted = if mode == Mode::Redirect { Outcome::Status(307) } else { STORED };
        for version in ["--http1.0", "--http1.1", "--http2", "--tlsv1.2", "--tlsv1.3"] {
            assert_eq!(front.send("PUT", "/metrics/job/a", &[version]), accepted, "{mode} {version}");
        }
        assert_eq!(front.stores("a"), mode != Mode::Redirect);
        // A client that does not know the authority sends nothing, and a client without TLS is not understood.
        let url = |scheme: &str| format!("{scheme}://{}/metrics/job/b", front.envoy.push);
        assert_eq!(curl("PUT", &url("https"), &[]).0, Outcome::Tls);
        assert_eq!(curl("PUT", &url("http"), &[]).0, Outcome::Tls);
        assert!(!front.stores("b"));
    }
}

#[test]
fn python_pushes_with_its_own_tls_handler() {
    let front = Front::start(Mode::Cluster, &["tls", "mtls"]);
    let args = front.client(&front.clients, "spiffe://example.org/python");
    let script = "import sys\n\
        from prometheus_client import CollectorRegistry, Gauge, push_to_gateway\n\
        from prometheus_client.exposition import tls_auth_handler\n\
        url, ca, cert, key = sys.argv[1:]\n\
        registry = CollectorRegistry()\n\
        Gauge('x', 'y', registry=registry).set(1)\n\
        def handler(url, method, timeout, headers, data):\n    \
            return tls_auth_handler(url, method, timeout, headers, data, cert, key, cafile=ca)\n\
        push_to_gateway(url, job='python', registry=registry, handler=handler)\n";
    let url = format!("https://{}", front.envoy.push);
    let mut python = Command::new(tools::python().unwrap());
    let python = python.args(["-c", script, &url]).arg(front.ca()).args([&args[1], &args[3]]);
    let output = python.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(front.stores("python"));
}

#[test]
fn a_replaced_certificate_is_used_without_a_restart() {
    let front = Front::start(Mode::Cluster, &["tls"]);
    front.assert_push("before", &[], &STORED);
    // Half of a pair changes nothing.
    let next = Authority::new("next");
    let other = front.file("other");
    next.server(&["127.0.0.1"], &front.file("server.pem"), &other);
    front.assert_push("half", &[], &STORED);
    replace(&front.file("server.key"), &std::fs::read_to_string(other).unwrap());
    front.wait_push(&[], &Outcome::Tls);
    replace(&front.ca(), &next.pem());
    front.assert_push("after", &[], &STORED);
}

#[test]
fn only_certificates_of_the_authority_may_push() {
    for mode in Mode::ROUTED {
        let front = Front::start(mode, &["tls", "mtls"]);
        let client = front.client(&front.clients, "spiffe://example.org/a");
        let client: Vec<&str> = client.iter().map(String::as_str).collect();
        let stranger = front.client(&Authority::new("strangers"), "spiffe://example.org/b");
        let stranger: Vec<&str> = stranger.iter().map(String::as_str).collect();
        front.assert_push("right", &client, &STORED);
        front.assert_push("wrong", &stranger, &Outcome::Tls);
        front.assert_push("absent", &[], &Outcome::Tls);
        // Not even health or the ring.
        assert_eq!(front.send("GET", "/-/healthy", &[]), Outcome::Tls);
    }
}

#[test]
fn a_replaced_client_authority_is_used_without_a_restart() {
    let front = Front::start(Mode::Cluster, &["tls", "mtls"]);
    let old = front.client(&front.clients, "spiffe://example.org/old");
    let old: Vec<&str> = old.iter().map(String::as_str).collect();
    let next = Authority::new("next");
    let new = front.client(&next, "spiffe://example.org/new");
    let new: Vec<&str> = new.iter().map(String::as_str).collect();
    front.assert_push("old-before", &old, &STORED);
    front.assert_push("new-before", &new, &Outcome::Tls);
    replace(&front.file("client-ca.pem"), &next.pem());
    front.wait_push(&old, &Outcome::Tls);
    front.assert_push("new-after", &new, &STORED);
    poll_until("the old certificate to stay refused", || {
        (front.send("PUT", "/metrics/job/old-after", &old) == Outcome::Tls).then_some(())
    })
    .unwrap();
    assert!(!front.stores("old-after"));
}
