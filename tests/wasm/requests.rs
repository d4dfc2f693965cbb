//! Every kind of request, in every mode.

use crate::host::Vm;
use crate::host_state::Outcome;
use crate::{DESTINATION, MIRROR, forged, vm};

const MEMBERS: &str =
    r#""members": ["10.0.0.1:9091", "10.0.0.2:9091", {"name": "gw-3", "address": "10.0.0.3:9091"}]"#;
/// Cluster and address of the owner of job "a" with these members.
const CLUSTER: &str = "pushgateway-gw-3";
const ADDRESS: &str = "10.0.0.3:9091";
/// Name and address of the first successor.
const SUCCESSOR: &str = "10.0.0.2:9091";

const PUSHES: &[&str] = &["PUT", "POST", "DELETE", "PATCH", "OPTIONS"];

fn send(vm: &mut Vm, method: &str, path: &str) -> Outcome {
    vm.request(forged(method, path.as_bytes())).expect("no trap")
}

fn config(settings: &str) -> String {
    format!("{{{MEMBERS}, {settings}}}")
}

#[track_caller]
fn check_routed(outcome: &Outcome, destination: &str, mirror: Option<&str>) {
    assert!(outcome.reply.is_none(), "{outcome:?}");
    assert_eq!(outcome.values(DESTINATION), [destination.as_bytes()]);
    assert_eq!(outcome.values(MIRROR), mirror.into_iter().map(str::as_bytes).collect::<Vec<_>>());
    assert_eq!(outcome.values("x-other"), [b"\xff kept"], "other headers stay");
}

#[track_caller]
fn check_bypassed(outcome: &Outcome) {
    assert!(outcome.reply.is_none(), "{outcome:?}");
    assert!(outcome.values(DESTINATION).is_empty() && outcome.values(MIRROR).is_empty(), "{outcome:?}");
    assert_eq!(outcome.values("x-other"), [b"\xff kept"], "other headers stay");
}

/// Checks the status and a header of the reply, and returns its body.
#[track_caller]
fn check_reply(outcome: &Outcome, status: u32, header: (&str, &str)) -> String {
    let (found, headers, body) = outcome.reply.as_ref().expect("an answer");
    assert_eq!(*found, status, "{outcome:?}");
    let header = (header.0.as_bytes().to_vec(), header.1.as_bytes().to_vec());
    assert!(headers.contains(&header), "{header:?} is not in {headers:?}");
    String::from_utf8(body.clone()).expect("a text")
}

/// Settings of the mirror, and the methods that are mirrored with them.
const MIRRORS: &[(&str, &[&str])] = &[
    ("", &["DELETE"]),
    (r#","mirror": "deletes""#, &["DELETE"]),
    (r#","mirror": "none""#, &[]),
    (r#","mirror": "all""#, &["PUT", "POST", "DELETE"]),
    (r#","mirror_deletes": true"#, &["DELETE"]),
    (r#","mirror_deletes": false"#, &[]),
];

#[test]
fn a_push_is_routed_and_mirrored_in_cluster_mode() {
    for (settings, mirrored) in MIRRORS {
        let mut vm = vm(&config(&format!(r#""mode": "cluster"{settings}"#)));
        for method in PUSHES {
            let mirror = format!("pushgateway-{SUCCESSOR}");
            let mirror = mirrored.contains(method).then_some(mirror.as_str());
            check_routed(&send(&mut vm, method, "/metrics/job/a"), CLUSTER, mirror);
        }
    }
}

#[test]
fn a_push_is_routed_and_mirrored_in_endpoint_mode() {
    let destination = format!("{ADDRESS},{SUCCESSOR}");
    for (settings, mirrored) in MIRRORS {
        let mut vm = vm(&config(&format!(r#""mode": "endpoint", "successors": 1{settings}"#)));
        for method in PUSHES {
            let mirror = mirrored.contains(method).then_some(SUCCESSOR);
            check_routed(&send(&mut vm, method, "/metrics/job/a"), &destination, mirror);
        }
    }
}

/// The only member has no successor.
#[test]
fn one_member_has_no_mirror() {
    for mode in ["cluster", "endpoint"] {
        let mut vm = vm(&format!(r#"{{"members": ["{ADDRESS}"], "mode": "{mode}", "mirror": "all"}}"#));
        let destination =
            if mode == "cluster" { format!("pushgateway-{ADDRESS}") } else { ADDRESS.to_owned() };
        for method in PUSHES {
            check_routed(&send(&mut vm, method, "/metrics/job/a"), &destination, None);
        }
    }
}

#[test]
fn a_push_is_redirected_in_redirect_mode() {
    let mut vm = vm(&config(r#""mode": "redirect", "mirror": "all""#));
    for method in PUSHES {
        let path = "/metrics/job/%61/x@base64/YQ==?q=%20&r";
        let outcome = send(&mut vm, method, path);
        let (_, headers, body) = outcome.reply.as_ref().expect("an answer");
        let location =
            headers.iter().find(|(name, _)| name == b"location").map(|(_, value)| value.as_slice());
        let location = String::from_utf8_lossy(location.expect("a location"));
        assert!(
            location.starts_with("http://10.0.0.") && location.ends_with(&format!(":9091{path}")),
            "{location}"
        );
        assert!(body.is_empty());
        check_reply(&outcome, 307, ("location", &location));
    }
    assert_eq!(vm.metric("pushring_replies_redirect"), PUSHES.len() as u64);
}

/// Runs a check that does not depend on the mode.
fn in_all_modes(settings: &str, check: impl Fn(&mut Vm, &str)) {
    for mode in ["cluster", "endpoint", "redirect"] {
        let members = MEMBERS;
        check(&mut vm(&format!(r#"{{{members}, "mode": "{mode}"{settings}}}"#)), mode);
    }
}

#[test]
fn lookup_answers_the_owner() {
    in_all_modes(r#", "lookup": "always""#, |vm, _| {
        for method in ["GET", "HEAD"] {
            let body =
                check_reply(&send(vm, method, "/metrics/job/a?x=/"), 200, ("content-type", "text/plain"));
            assert_eq!(body, format!("nextUrl:http://{ADDRESS}/metrics/job/a?x=/"));
        }
        let mut headers = forged("GET", b"/metrics/job/a/x@base64/Yg");
        headers.push((b"accept".to_vec(), b"text/html, application/json;q=0.9".to_vec()));
        let outcome = vm.request(headers).expect("no trap");
        let body = check_reply(&outcome, 200, ("content-type", "application/json"));
        let json: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(json["labels"], serde_json::json!({"job": "a", "x": "b"}));
        let (address, url) = (json["owner"]["address"].as_str(), json["url"].as_str());
        assert_eq!(url, Some(format!("http://{}/metrics/job/a/x@base64/Yg", address.expect("one")).as_str()));
        assert_eq!(json["successors"].as_array().map(Vec::len), Some(2));
        assert_eq!(vm.metric("pushring_replies_lookup"), 3);
        assert_eq!(vm.metric("pushring_unparsable_paths"), 0);
    });
}

/// A redirect that turns a push into a GET must not end in a success.
#[test]
fn a_get_that_asks_for_nothing_fails() {
    for (settings, asks, fails) in [
        ("", true, true),
        (r#", "lookup": "asked", "status_path": "/-/ring""#, true, true),
        (r#", "lookup": "off""#, false, true),
        (r#", "lookup": "always""#, true, false),
    ] {
        in_all_modes(settings, |vm, mode| {
            let fails = fails && (mode != "redirect" || !settings.is_empty());
            // The last but one is that of axios, for every request.
            for accept in
                ["", "*/*", "application/json;q=0", "application/json, text/plain, */*", "application/json"]
            {
                for method in ["GET", "HEAD"] {
                    let mut headers = forged(method, b"/metrics/job/a/x");
                    headers.push((b"accept".to_vec(), accept.into()));
                    let outcome = vm.request(headers).expect("no trap");
                    if !fails || (asks && accept == "application/json") {
                        assert_eq!(outcome.reply.expect("a reply").0, 200, "{mode} {settings} {accept}");
                        continue;
                    }
                    let body = check_reply(&outcome, 405, ("allow", "PUT, POST, DELETE"));
                    assert_eq!(body.contains("Accept: application/json"), asks, "{body}");
                    assert_eq!(body.contains("/-/ring/owner?path="), settings.contains("ring"), "{body}");
                }
            }
            assert_eq!(vm.metric("pushring_replies_not_allowed") > 0, fails);
        });
    }
}

#[test]
fn the_owner_of_a_path_is_shown_on_request() {
    in_all_modes(r#", "lookup": "off", "status_path": "/-/ring", "path_prefix": "gw""#, |vm, _| {
        for (query, path) in [
            ("path=/gw/metrics/job/a", "/gw/metrics/job/a"),
            ("x=1&path=/gw/metrics/job/%2561&y", "/gw/metrics/job/%61"),
            ("path=%2Fgw%2Fmetrics%2F%2Fjob%2Fa", "/gw/metrics/job/a"),
        ] {
            let outcome = send(vm, "GET", &format!("/-/ring/owner?{query}"));
            let body = check_reply(&outcome, 200, ("content-type", "text/plain"));
            assert_eq!(body, format!("nextUrl:http://{ADDRESS}{path}"), "{query}");
            let mut headers = forged("GET", format!("/-/ring/owner?{query}").as_bytes());
            headers.push((b"accept".to_vec(), b"application/json".to_vec()));
            let outcome = vm.request(headers).expect("no trap");
            let body = check_reply(&outcome, 200, ("content-type", "application/json"));
            let json: serde_json::Value = serde_json::from_str(&body).expect("JSON");
            assert_eq!(json["owner"]["address"], ADDRESS, "{body}");
        }
        for query in [
            "",
            "?",
            "?path",
            "?path=",
            "?path=/metrics/job/a",
            "?path=/gw/metrics",
            "?p=/gw/metrics/job/a",
            "?path=/gw/metrics/job/a/b",
            "?path=/gw/metrics/job/100%25",
        ] {
            let outcome = send(vm, "GET", &format!("/-/ring/owner{query}"));
            let body = check_reply(&outcome, 400, ("content-type", "text/plain; charset=utf-8"));
            assert!(body.starts_with("path: found "), "{query}: {body}");
        }
        for (query, path) in [
            ("/gw/metrics/job/a%20b%23%C3%A4%0D", "/gw/metrics/job/a%20b%23%C3%A4%0D"),
            ("/gw/metrics/job/100%2525", "/gw/metrics/job/100%25"),
        ] {
            let outcome = send(vm, "GET", &format!("/-/ring/owner?path={query}"));
            let body = check_reply(&outcome, 200, ("content-type", "text/plain"));
            assert!(body.ends_with(&format!(":9091{path}")), "{query}: {body}");
        }
        for path in ["/gw/metrics/job/%25FF", "/gw/metrics/job/a/instance/"] {
            let outcome = send(vm, "GET", &format!("/-/ring/owner?path={path}"));
            let body = check_reply(&outcome, 400, ("content-type", "text/plain; charset=utf-8"));
            assert!(body.starts_with("label "), "{path}: {body}");
        }
        check_bypassed(&send(vm, "PUT", "/-/ring/owner?path=/gw/metrics/job/a"));
    });
    in_all_modes("", |vm, _| check_bypassed(&send(vm, "GET", "/owner?path=/metrics/job/a")));
}

#[test]
fn unclean_paths_are_redirected_on_the_same_host() {
    in_all_modes("", |vm, _| {
        for (path, clean) in [
            ("/metrics//job/a", "/metrics/job/a"),
            ("/metrics/job/a/./x/b?q=//", "/metrics/job/a/x/b?q=//"),
            ("/metrics/job/b/../a/", "/metrics/job/a/"),
        ] {
            check_reply(&send(vm, "PUT", path), 307, ("location", clean));
        }
        assert_eq!(vm.metric("pushring_replies_clean_path"), 3);
        check_bypassed(&send(vm, "PUT", "/metrics/job/../a"));
    });
}

#[test]
fn malformed_pushes_reach_a_gateway() {
    in_all_modes("", |vm, mode| {
        for (sent, path) in [
            "/metrics/job/a/x",
            "/metrics/job/a/x@base64/!",
            "/metrics/job/a/1x/b",
            "/metrics/job@base64/=",
            "/metrics/job/a%zz",
        ]
        .iter()
        .enumerate()
        {
            let outcome = send(vm, "POST", path);
            if mode == "redirect" {
                assert_eq!(outcome.reply.as_ref().map(|reply| reply.0), Some(307), "{path}");
            } else {
                assert_eq!(outcome.values(DESTINATION).len(), 1, "{path}");
                assert_ne!(outcome.values(DESTINATION), [b"evil"], "{path}");
                assert!(outcome.values(MIRROR).is_empty(), "{path}");
                assert_eq!(vm.metric("pushring_unparsable_paths"), sent as u64 + 1, "{path}");
            }
        }
    });
}

#[test]
fn poison_is_rejected_with_the_reason() {
    in_all_modes(r#", "utf8_names": true"#, |vm, _| {
        for (path, reason) in [
            ("/metrics/job/a%ff", "not UTF-8"),
            ("/metrics/job/a/x@base64/_w", "not UTF-8"),
            ("/metrics/job/a/U______x/b", "reserved"),
            ("/metrics/job/a/instance/", "is empty"),
            ("/metrics/job/a/x/y/instance@base64/=", "is empty"),
        ] {
            for method in ["PUT", "POST"] {
                let body =
                    check_reply(&send(vm, method, path), 400, ("content-type", "text/plain; charset=utf-8"));
                assert!(body.contains(reason), "{body}");
            }
        }
        assert_eq!(vm.metric("pushring_poison_refused"), 10);
        assert_eq!(vm.metric("pushring_replies_poison"), 10);
        // A DELETE heals a gateway that was poisoned without pushring.
        let healed = send(vm, "DELETE", "/metrics/job/a%ff");
        assert!(healed.reply.is_none_or(|(status, ..)| status == 307));
    });
}

#[test]
fn health_and_status_answer_as_configured() {
    let settings = r#", "health": true, "status_path": "/-/ring", "path_prefix": "gw""#;
    in_all_modes(settings, |vm, mode| {
        for path in ["/gw/-/healthy", "/gw/-/ready"] {
            check_reply(&send(vm, "GET", path), 200, ("content-type", "text/plain; charset=utf-8"));
            check_bypassed(&send(vm, "PUT", path));
        }
        check_bypassed(&send(vm, "GET", "/-/healthy"));
        let body = check_reply(&send(vm, "GET", "/-/ring"), 200, ("content-type", "application/json"));
        let json: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!((json["mode"].as_str(), json["members"][2]["name"].as_str()), (Some(mode), Some("gw-3")));
        assert_eq!(json["mirror"], if mode == "redirect" { "none" } else { "deletes" });
        assert_eq!(json["digest"].as_str().map(str::len), Some(16));
        assert_eq!(json["version"], env!("CARGO_PKG_VERSION"));
        assert!(json["commit"].as_str().is_some_and(|commit| commit.len() >= 7), "{body}");
        let shares = json["members"].as_array().expect("members").iter().filter_map(|m| m["share"].as_f64());
        assert!((shares.sum::<f64>() - 1.0).abs() < 0.001, "{body}");
    });
    in_all_modes("", |vm, _| {
        check_bypassed(&send(vm, "GET", "/-/healthy"));
        check_bypassed(&send(vm, "GET", "/-/ring"));
    });
}

#[test]
fn bypasses_requests_that_are_not_pushes() {
    in_all_modes("", |vm, _| {
        for path in [
            "/metrics",
            "/metrics/job",
            "/metrics/job/",
            "/api/v1/metrics",
            "/",
            "",
            "*",
            "x",
            "/metrics/jobs/a",
        ] {
            for method in ["GET", "PUT", "DELETE", ""] {
                check_bypassed(&send(vm, method, path));
            }
        }
    });
}

#[test]
fn no_members_is_a_clear_503() {
    for mode in ["cluster", "endpoint", "redirect"] {
        let config = format!(r#"{{"members": [], "min_members": 0, "health": true, "mode": "{mode}"}}"#);
        let vm = &mut vm(&config);
        for method in ["PUT", "DELETE", "GET"] {
            let body = check_reply(&send(vm, method, "/metrics/job/a"), 503, ("retry-after", "5"));
            assert!(body.contains("no pushgateway is known"), "{body}");
        }
        check_reply(&send(vm, "GET", "/-/ready"), 503, ("retry-after", "5"));
        check_reply(&send(vm, "GET", "/-/healthy"), 200, ("content-type", "text/plain; charset=utf-8"));
        check_bypassed(&send(vm, "GET", "/metrics"));
        assert_eq!((vm.metric("pushring_members"), vm.metric("pushring_replies_no_members")), (0, 3));
    }
}

/// Each host call costs a switch between Envoy and the VM. A push makes four, whatever its path, and touches no metric
/// and no log.
#[test]
fn a_routed_push_makes_four_host_calls() {
    for mode in ["cluster", "endpoint"] {
        for (mirror, last) in [("deletes", "remove"), ("all", "replace")] {
            let mut vm = vm(&config(&format!(r#""mode": "{mode}", "mirror": "{mirror}""#)));
            for path in ["/metrics/job/a", "/metrics/job@base64/YQ/instance/%62/x/y?z"] {
                let outcome = send(&mut vm, "POST", path);
                assert_eq!(outcome.calls, ["get", "get", "replace", last], "{mode} {mirror} {path}");
            }
        }
    }
}

/// A destination header with another name is protected as well, and so is its mirror header.
#[test]
fn a_header_of_another_name() {
    let mut vm = vm(&config(r#""header": "x-other""#));
    let outcome = send(&mut vm, "PUT", "/metrics/job/a");
    assert_eq!(outcome.values("x-other"), [CLUSTER.as_bytes()]);
    let mut headers = forged("GET", b"/metrics");
    headers.push((b"x-other-mirror".to_vec(), b"evil".to_vec()));
    let outcome = vm.request(headers).expect("no trap");
    assert!(outcome.values("x-other").is_empty() && outcome.values("x-other-mirror").is_empty());
}
