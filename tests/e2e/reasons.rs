//! Every reason for an answer of the filter shows in a header and in the access log, and docs/operations.md
//! explains it.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};

use pushring_harness::{Envoy, EnvoyFixture, Layout, Mode, Module, Ports, envoy_files, tools};
use pushring_router::ReplyKind;
use serde_json::{Value, json};

use crate::access_log;

/// The filter's own reason, when its configuration is missing.
const NO_CONFIGURATION: &str = "pushring_no_configuration";

/// The callback that brings the configuration.
const ENTRY: &str = "proxy_on_configure: {}";

/// Method, path and status of a request in cluster mode.
type Case = (&'static str, &'static str, u16);

/// Returns the request that provokes a reason, and whether the ring is empty.
fn case(kind: ReplyKind) -> (Case, bool) {
    match kind {
        ReplyKind::Redirect => (("PUT", "/metrics/job/a", 307), false),
        ReplyKind::CleanPath => (("PUT", "/metrics//job/a", 307), false),
        ReplyKind::Lookup => (("GET", "/-/pushring/owner", 400), false),
        ReplyKind::NotAllowed => (("GET", "/metrics/job/a", 405), false),
        ReplyKind::Poison => (("POST", "/metrics/job/a%ff", 400), false),
        ReplyKind::NoMembers => (("PUT", "/metrics/job/a", 503), true),
        ReplyKind::Health => (("GET", "/-/ready", 503), true),
        ReplyKind::Status => (("GET", "/-/pushring", 200), false),
    }
}

#[test]
fn each_reason_shows_in_a_header_and_in_the_log() {
    for kind in ReplyKind::ALL {
        let ((method, path, status), empty) = case(kind);
        let mode = if kind == ReplyKind::Redirect { Mode::Redirect } else { Mode::Cluster };
        let change = |config: &mut Value| {
            if empty {
                config["members"] = json!([]);
                config["min_members"] = 0.into();
            }
        };
        let fleet = EnvoyFixture::with(mode, 1, change);
        let answer = fleet.envoy.client().unwrap().send(method, path, &[], "").unwrap();
        assert_eq!(answer.status, status, "{kind:?}: {}", answer.text());
        assert_eq!(answer.header("x-pushring-reason"), Some(kind.reason()), "{kind:?}");
        // Redirect mode answers every push with 307, so its log leaves them out.
        if status != 200 && mode != Mode::Redirect {
            let line = access_log::line(&fleet.envoy, path);
            assert_eq!(line["details"], kind.reason(), "{line}");
        }
    }
}

/// The capability list lacks the callback that brings the configuration.
#[test]
fn a_filter_without_a_configuration_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::with_module(Module::Wasm, dir.path(), Mode::Cluster, Ports::default(), &[]).unwrap();
    layout.edit(&[(ENTRY, "")]).unwrap();
    layout.write_upstreams(&[]).unwrap();
    layout
        .write_live("ring.yaml", &layout.ring(r#"{"members": ["127.0.0.1:1"]}"#).replace(ENTRY, ""))
        .unwrap();
    let envoy = Envoy::start(&layout, 1).unwrap();
    let answer = envoy.client().unwrap().put("/metrics/job/a", "x 1\n").unwrap();
    assert_eq!((answer.status, answer.header("x-pushring-reason")), (503, Some(NO_CONFIGURATION)));
    assert_eq!(access_log::line(&envoy, "/metrics/job/a")["details"], NO_CONFIGURATION);
}

#[test]
fn the_documents_explain_exactly_these_reasons() {
    let text = fs::read_to_string(tools::repository().join("docs/operations.md")).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `pushring_")?.split_once("` |"));
    let documented: BTreeSet<String> = rows.map(|(kind, _)| format!("pushring_{kind}")).collect();
    let mut expected = BTreeSet::from([NO_CONFIGURATION.to_owned()]);
    expected.extend(ReplyKind::ALL.map(|kind| kind.reason().to_owned()));
    assert_eq!(documented, expected);
}

/// Details and flags of Envoy's own answers, as the table has them.
#[test]
fn envoys_own_details_are_as_documented() {
    let text = fs::read_to_string(tools::repository().join("docs/operations.md")).unwrap();
    for mode in Mode::ROUTED {
        let mut fleet = EnvoyFixture::edited(mode, 3, &[(" timeout: 60s", " timeout: 0.2s")]);
        let client = fleet.envoy.client().unwrap();
        client.put("/no-push", "").unwrap();
        client.put("/metrics/job/bad/x", "").unwrap();
        // Envoy answers before it has the whole body, which a client may take for an error.
        let _ = client.put("/metrics/job/large", vec![b'#'; (16 << 20) + 1]);
        let mut leaves = TcpStream::connect(fleet.envoy.push).unwrap();
        leaves
            .write_all(b"PUT /metrics/job/leaves HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nx")
            .unwrap();
        drop(leaves);
        fleet.gateways.iter_mut().for_each(|gateway| gateway.process.halt().unwrap());
        client.put("/metrics/job/hangs", "").unwrap();
        fleet.gateways.iter_mut().for_each(|gateway| gateway.process.kill());
        client.put("/metrics/job/refused", "").unwrap();
        let mut config =
            envoy_files::config(mode, &["127.0.0.1:1".parse::<SocketAddr>().unwrap().into()]).unwrap();
        config["min_members"] = 0.into();
        fleet.layout.write_ring(&config.to_string()).unwrap();
        fleet.envoy.wait_members(&["127.0.0.1:1"]).unwrap();
        client.put("/metrics/job/unknown", "").unwrap();
        let unknown =
            if mode == Mode::Cluster { ("cluster_not_found", "NC") } else { ("no_healthy_upstream", "UH") };
        let expected = [
            ("/no-push", 404, "direct_response", "-"),
            ("/metrics/job/large", 413, "request_payload_too_large", "-"),
            ("/metrics/job/bad/x", 400, "via_upstream", "-"),
            ("/metrics/job/leaves", 0, "downstream_remote_disconnect", "DC"),
            ("/metrics/job/hangs", 504, "response_timeout", "UT"),
            ("/metrics/job/refused", 503, "upstream_reset_before_response_started{", "URX,UF"),
            ("/metrics/job/unknown", 503, unknown.0, unknown.1),
        ];
        for (path, status, details, flags) in expected {
            let line = access_log::line(&fleet.envoy, path);
            assert!(line["details"].as_str().unwrap().starts_with(details), "{mode}: {line}");
            assert_eq!((&line["status"], &line["flags"]), (&status.into(), &flags.into()), "{mode}: {line}");
            assert!(text.contains(&format!("| `{details}")), "{details} is not in docs/operations.md");
        }
    }
}
