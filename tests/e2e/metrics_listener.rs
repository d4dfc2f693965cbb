//! The listener for Prometheus and health checks: it serves `/metrics` and readiness, and nothing else of Envoy.

use std::io::{Read, Write};
use std::net::TcpStream;

use pushring_harness::http::Client;
use pushring_harness::{Envoy, EnvoyFixture, Mode};

fn client(envoy: &Envoy) -> Client {
    Client::new(envoy.metrics.unwrap()).unwrap()
}

#[test]
fn serves_the_statistics_of_envoy_and_the_filter() {
    for mode in Mode::ALL {
        let fleet = EnvoyFixture::start(mode, 2);
        let answer = client(&fleet.envoy).get("/metrics").unwrap();
        let text = answer.text();
        // Prometheus 3 reads an answer as its text format by this type.
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/plain; charset=UTF-8")));
        for line in [
            "pushring_members{} 2",
            "envoy_server_live{} 1",
            "envoy_http_downstream_rq_xx{envoy_response_code_class=\"5\",envoy_http_conn_manager_prefix=\"push\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{mode}: no {line}: {text}");
        }
        assert_eq!(client(&fleet.envoy).send("HEAD", "/metrics", &[], "").unwrap().status, 200);
    }
}

#[test]
fn serves_nothing_else() {
    let paths = [
        "/",
        "/stats",
        "/stats/prometheus",
        "/quitquitquit",
        "/config_dump",
        "/clusters",
        "/logging",
        "/memory",
        "/-/pushring",
        "/-/pushring/owner?path=/metrics/job/a",
        "/-/healthy",
        "/metrics/",
        "/metrics/x",
        "/metrics;x",
        "/metrics/job/a",
        "/metrics/job/a%ff",
        "/metrics/../quitquitquit",
        "/metrics/../metrics/../config_dump",
        "//quitquitquit",
        "/Metrics",
        "/metrics%00",
        "/metrics%20",
        "/./stats",
        "/-/ready/x",
    ];
    for mode in Mode::ALL {
        let fleet = EnvoyFixture::start(mode, 2);
        let client = client(&fleet.envoy);
        let http2 = Client::http2(fleet.envoy.metrics.unwrap()).unwrap();
        let to_the_admin = [("x-pushring-gateway", "envoy-admin"), ("x-pushring-destination", "envoy-admin")];
        for path in paths {
            for (client, method) in [(&client, "GET"), (&client, "POST"), (&http2, "GET")] {
                let answer = client.send(method, path, &to_the_admin, "").unwrap();
                let wanted = if path.contains("%00") { 400 } else { 404 };
                assert_eq!(answer.status, wanted, "{mode} {method} {path}");
            }
        }
        for path in ["/metrics%2f..%2fquitquitquit", "/%2e%2e%2fquitquitquit", "/metrics%5c..%5cstats"] {
            assert_eq!(client.send("POST", path, &[], "").unwrap().status, 400, "{mode} {path}");
        }
        for (method, path) in
            [("POST", "/metrics"), ("PUT", "/-/ready"), ("DELETE", "/metrics"), ("OPTIONS", "/ready")]
        {
            assert_eq!(client.send(method, path, &[], "").unwrap().status, 404, "{mode} {method} {path}");
        }
        // Headers that would change the path or the method.
        let tricks = [
            ("x-envoy-original-path", "/quitquitquit"),
            ("x-http-method-override", "POST"),
            ("x-original-url", "/stats"),
        ];
        assert!(client.send("GET", "/metrics", &tricks, "").unwrap().text().contains("pushring_members{}"));
        let mut connect = TcpStream::connect(fleet.envoy.metrics.unwrap()).unwrap();
        connect.write_all(b"CONNECT 127.0.0.1:9901 HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
        let mut answer = [0; 64];
        let read = connect.read(&mut answer).unwrap();
        assert!(
            answer[..read].starts_with(b"HTTP/1.1 4"),
            "{mode}: {}",
            String::from_utf8_lossy(&answer[..read])
        );
        // The counter of poisoned pushes and the gateways saw nothing of this.
        assert_eq!(fleet.envoy.stat("wasmcustom.pushring_poison_refused").unwrap().unwrap_or(0), 0, "{mode}");
        assert_eq!(fleet.envoy.stat("server.live").unwrap(), Some(1), "{mode}");
    }
}

/// In cluster mode an operator names a cluster, and the admin interface is behind one, too.
#[test]
fn no_other_listener_leads_to_the_admin_interface() {
    for mode in Mode::ROUTED {
        let fleet = EnvoyFixture::start(mode, 1);
        let operator = Client::new(fleet.envoy.operator.unwrap()).unwrap();
        let name = "x-pushring-gateway";
        let destination = fleet.destination(0);
        for headers in [
            vec![(name, "envoy-admin")],
            vec![(name, " envoy-admin ")],
            vec![(name, "envoy-admin"), (name, &destination)],
            vec![(name, ""), (name, "envoy-admin")],
            vec![(name, "envoy-admin,")],
        ] {
            for (method, path) in [("GET", "/config_dump"), ("POST", "/quitquitquit")] {
                let status = operator.send(method, path, &headers, "").unwrap().status;
                assert!([400, 503].contains(&status), "{mode} {headers:?}: {status}");
            }
        }
        let push = fleet.envoy.client().unwrap();
        let headers = [(name, "envoy-admin"), ("x-pushring-destination", "envoy-admin")];
        assert_eq!(push.send("GET", "/config_dump", &headers, "").unwrap().status, 404, "{mode}");
        assert_eq!(fleet.envoy.stat("server.live").unwrap(), Some(1), "{mode}");
    }
}
