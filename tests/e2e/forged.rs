//! A client never chooses the Pushgateway: its destination headers have no effect on any path, by any method, in any
//! mode.

use pushring_harness::http::Client;
use pushring_harness::{Mode, envoy_files};

use crate::recorder::Recorder;
use pushring_harness::EnvoyFixture;

const METHODS: [&str; 7] = ["PUT", "POST", "GET", "HEAD", "PATCH", "OPTIONS", "PROPFIND"];
const PUSH: &str = "/metrics/job/a/instance/b";
/// Paths that are not push paths, and pushes that Envoy or the filter answers.
const OTHERS: [&str; 6] =
    ["/metrics", "/metrics/job/", "/api/v1/status", "/", "/-/healthy", "/metrics//job/a"];

#[test]
fn forged_headers_never_choose_the_upstream() {
    for mode in Mode::ALL {
        let fleet = EnvoyFixture::start(mode, 3);
        let owner = fleet.owner(PUSH);
        let clients = [fleet.envoy.client().unwrap(), Client::http2(fleet.envoy.push).unwrap()];
        let mut expected = vec![0; 3];
        for (client, target) in clients.iter().flat_map(|client| (0..3).map(move |target| (client, target))) {
            let forged = fleet.destination(target);
            let headers = [
                ("x-pushring-destination", forged.as_str()),
                ("x-pushring-destination", forged.as_str()), // a second copy
                ("x-pushring-destination-mirror", forged.as_str()),
                ("x-pushring-gateway", forged.as_str()),
            ];
            for method in METHODS {
                for path in OTHERS {
                    client.send(method, path, &headers, "").unwrap();
                    assert_eq!(fleet.requests(), expected, "{mode}: {method} {path} with {forged}");
                }
                client.send(method, PUSH, &headers, "").unwrap();
                expected[owner] += u64::from(mode != Mode::Redirect && !["GET", "HEAD"].contains(&method));
                assert_eq!(fleet.requests(), expected, "{mode}: {method} {PUSH} with {forged}");
            }
        }
    }
}

/// Envoy removes these headers before any filter runs, even if the filter uses other headers.
#[test]
fn forged_headers_are_gone_before_the_filter_runs() {
    for mode in Mode::ROUTED {
        let fleet = EnvoyFixture::with(mode, 3, |config| config["header"] = "x-another".into());
        let client = fleet.envoy.client().unwrap();
        for path in OTHERS.into_iter().chain([PUSH]) {
            let forged = fleet.destination(0);
            for name in ["x-pushring-destination", "x-pushring-destination-mirror"] {
                client.send("PUT", path, &[(name, &forged)], "x 1\n").unwrap();
            }
        }
        assert_eq!(fleet.requests(), [0, 0, 0], "{mode}");
    }
}

/// The copy of a DELETE goes to the successor, whatever mirror header the client sends.
#[test]
fn a_forged_mirror_never_receives_the_copy_of_a_delete() {
    for mode in Mode::ROUTED {
        let fleet = EnvoyFixture::start(mode, 4);
        let client = fleet.envoy.client().unwrap();
        let ring = fleet.clockwise(PUSH);
        for &victim in &ring[2..] {
            let forged = fleet.destination(victim);
            let headers = [("x-pushring-destination-mirror", forged.as_str())];
            assert_eq!(client.send("DELETE", PUSH, &headers, "").unwrap().status, 202);
        }
        let mut expected = vec![0; 4];
        (expected[ring[0]], expected[ring[1]]) = (2, 2);
        pushring_harness::poll_until(&format!("{mode}: requests {expected:?}"), || {
            (fleet.requests() == expected).then_some(())
        })
        .unwrap();
    }
}

/// A gateway sees neither the filter's headers nor forged ones, nor does the gateway that gets the copy of a DELETE.
#[test]
fn a_gateway_sees_no_destination_header() {
    for mode in Mode::ROUTED {
        let fleet = EnvoyFixture::start(mode, 0);
        let recorder = Recorder::start();
        // The same upstream twice, so that it also records the copy of a DELETE.
        let members = [recorder.address, recorder.second].map(envoy_files::Member::from);
        fleet.layout.write(&envoy_files::config(mode, &members).unwrap()).unwrap();
        fleet.envoy.wait_members(&members.each_ref().map(|member| member.name.as_str())).unwrap();
        fleet.envoy.wait_upstreams(&members.each_ref().map(|member| member.name.as_str())).unwrap();
        for method in METHODS.into_iter().filter(|method| !["GET", "HEAD"].contains(method)).chain(["DELETE"])
        {
            let headers = [
                ("x-pushring-destination", "a"),
                ("x-pushring-destination-mirror", "b"),
                ("x-pushring-gateway", "c"),
            ];
            let answer = fleet.envoy.client().unwrap().send(method, PUSH, &headers, "x 1\n").unwrap();
            assert_eq!(answer.status, 200, "{mode} {method}: {}", answer.text());
            let mut seen = Vec::new();
            for _ in 0..1 + u8::from(method == "DELETE") {
                let request = recorder.next();
                assert_eq!(request.method, method);
                let mut names = request.headers.keys().map(|name| name.as_str());
                seen.extend(names.find(|name| name.starts_with("x-pushring")).map(str::to_owned));
            }
            // Envoy reads the name of the mirror's cluster from the request that it has sent to the owner.
            let expected: &[&str] = match (mode, method) {
                (Mode::Cluster, "DELETE") => &["x-pushring-destination-mirror"],
                _ => &[],
            };
            assert_eq!(seen, expected, "{mode} {method}");
        }
    }
}
