//! No header of a client changes retries, timeouts, the route, or the number of copies, and none makes a success of an
//! error.

use pushring_harness::http::Client;
use pushring_harness::{EnvoyFixture, Mode};

use crate::odd_headers::odd_headers;

#[test]
fn no_header_changes_the_way_of_a_push() {
    for mode in Mode::ROUTED {
        let fleet = EnvoyFixture::start(mode, 3);
        let mut expected = vec![0; 3];
        for (version, client) in clients(&fleet) {
            let paths = (0..).map(|number| format!("/metrics/job/{version}/number/{number}"));
            for (path, index) in paths.zip(0..odd_headers("").len()) {
                let owner = fleet.owner(&path);
                let (name, value) = &odd_headers(&fleet.destination((owner + 1) % 3))[index];
                // The second body gets 400, which some headers ask Envoy to retry.
                for (body, status) in [("x 1\n", 200), ("x y z\n", 400)] {
                    let answer = client.send("PUT", &path, &[(name, value)], body).unwrap();
                    assert_eq!(answer.status, status, "{mode} {version} {name}: {value}: {}", answer.text());
                    expected[owner] += 1;
                }
                assert_eq!(fleet.requests(), expected, "{mode} {version} {name}: {value}");
            }
            // All headers that set a time, and a push that takes the gateway longer.
            let all = odd_headers("");
            let times: Vec<_> = all.iter().filter(|(_, value)| value.starts_with('1')).collect();
            let times: Vec<_> = times.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let body: String = (0..20_000).map(|line| format!("x{{line=\"{line}\"}} 1\n")).collect();
            let path = format!("/metrics/job/{version}");
            assert_eq!(client.send("PUT", &path, &times, body).unwrap().status, 200, "{mode} {version}");
            expected[fleet.owner(&path)] += 1;
        }
        assert_eq!(fleet.requests(), expected, "{mode}");
        for (group, holders) in fleet.holders() {
            assert_eq!(holders.len(), 1, "{mode}: {group:?}");
        }
    }
}

#[test]
fn no_header_changes_a_redirect() {
    let fleet = EnvoyFixture::start(Mode::Redirect, 3);
    for (version, client) in clients(&fleet) {
        for (name, value) in odd_headers(&fleet.destination(0)) {
            let answer = client.send("PUT", "/metrics/job/a", &[(name, &value)], "x 1\n").unwrap();
            assert_eq!(answer.status, 307, "{version} {name}: {value}");
            let owner = fleet.gateways[fleet.owner("/metrics/job/a")].address;
            assert_eq!(answer.header("location"), Some(format!("http://{owner}/metrics/job/a").as_str()));
        }
    }
}

#[test]
fn no_header_changes_the_way_of_an_operator() {
    for mode in Mode::ROUTED {
        let fleet = EnvoyFixture::start(mode, 2);
        let operator = Client::new(fleet.envoy.operator.unwrap()).unwrap();
        let named = fleet.destination(0);
        for (count, (name, value)) in (1..).zip(odd_headers(&fleet.destination(1))) {
            let headers = [("x-pushring-gateway", named.as_str()), (name, &value)];
            let answer = operator.send("GET", "/no-such-page", &headers, "").unwrap();
            assert_eq!(answer.status, 404, "{mode} {name}: {value}");
            assert_eq!(fleet.requests(), [count, 0], "{mode} {name}: {value}");
        }
    }
}

/// The errors are pushring's own, where a Pushgateway fails too.
#[test]
fn no_header_makes_a_success_of_an_error() {
    for mode in Mode::ROUTED {
        let mut fleet = EnvoyFixture::start(mode, 2);
        let paths = ["/metrics/job/a/instance/", "/metrics/job/a%FF", "/metrics", "/metrics/job/"];
        for (version, client) in clients(&fleet) {
            fails(version, &client, &paths);
        }
        for gateway in &mut fleet.gateways {
            gateway.process.kill();
        }
        // Fewer requests, because each is tried three times.
        fails("http1", &fleet.envoy.client().unwrap(), &["/metrics/job/a"]);
    }
}

fn fails(version: &str, client: &Client, paths: &[&str]) {
    for (name, value) in odd_headers("other") {
        for path in paths {
            let status = client.send("PUT", path, &[(name, &value)], "x 1\n").unwrap().status;
            assert!(status >= 400, "{status}: {version} {path} {name}: {value}");
        }
    }
}

fn clients(fleet: &EnvoyFixture) -> [(&'static str, Client); 2] {
    [("http1", fleet.envoy.client().unwrap()), ("http2", Client::http2(fleet.envoy.push).unwrap())]
}
