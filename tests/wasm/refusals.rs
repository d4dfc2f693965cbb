//! A host that refuses a call, as Envoy does when one is missing among the allowed capabilities: nothing traps, which
//! would stop a whole worker, and no request goes where its client says.

use crate::host::{ERROR, Outcome, Vm};
use crate::{DESTINATION, MIRROR, forged};

const CONFIG: &[u8] = br#"{"members": ["10.0.0.1:1", "10.0.0.2:1"], "mirror_deletes": true}"#;
const CALLS: &[&str] = &[
    "proxy_log",
    "proxy_get_buffer_bytes",
    "proxy_get_header_map_value",
    "proxy_replace_header_map_value",
    "proxy_remove_header_map_value",
    "proxy_send_local_response",
    "proxy_define_metric",
    "proxy_increment_metric",
    "proxy_record_metric",
];
/// A push, one that counts as malformed, a lookup, a push that is refused, no push.
const REQUESTS: &[(&str, &[u8])] = &[
    ("PUT", b"/metrics/job/a"),
    ("DELETE", b"/metrics/job/a"),
    ("PUT", b"/metrics/job/a/x"),
    ("GET", b"/metrics/job/a"),
    ("PUT", b"/metrics/job/a%ff"),
    ("GET", b"/metrics"),
];

/// Configures the filter and asks it everything, twice: the first refusal must leave nothing behind.
fn ask(refused: &[&str]) -> Vec<Outcome> {
    let mut vm = Vm::without(refused).expect("the filter starts");
    let taken = vm.configure(CONFIG).expect("no trap");
    assert_eq!(taken, !refused.contains(&"proxy_get_buffer_bytes"), "without {refused:?}");
    if !taken {
        return Vec::new();
    }
    let all = REQUESTS.iter().chain(REQUESTS);
    all.map(|(method, path)| vm.request(forged(method, path)).expect("no trap")).collect()
}

fn goes_on_as_forged(outcome: &Outcome) -> bool {
    let evil = |name: &str| outcome.values(name).iter().any(|value| value.starts_with(b"evil"));
    let stopped = outcome.reply.is_some() || outcome.calls.contains(&"proxy_send_local_response");
    !stopped && (evil(DESTINATION) || evil(MIRROR))
}

#[test]
fn nothing_traps_and_no_forged_destination_counts() {
    for call in CALLS {
        for other in CALLS {
            for outcome in ask(&[call, other]) {
                assert!(!goes_on_as_forged(&outcome), "without {call} and {other}: {outcome:?}");
            }
        }
    }
}

/// Logs and metrics are not worth a push.
#[test]
fn without_log_and_metrics_all_is_as_with_them() {
    let whole = ask(&[]);
    for call in ["proxy_log", "proxy_define_metric", "proxy_increment_metric", "proxy_record_metric"] {
        for (outcome, whole) in ask(&[call]).iter().zip(&whole) {
            assert_eq!((&outcome.headers, &outcome.reply), (&whole.headers, &whole.reply), "without {call}");
        }
    }
}

#[test]
fn a_destination_that_cannot_be_set_is_a_500_and_an_error_in_the_log() {
    for call in ["proxy_replace_header_map_value", "proxy_remove_header_map_value"] {
        let mut vm = Vm::without(&[call]).expect("the filter starts");
        assert!(vm.configure(CONFIG).expect("no trap"));
        let outcome = vm.request(forged("PUT", b"/metrics/job/a")).expect("no trap");
        assert_eq!(outcome.reply.as_ref().map(|reply| reply.0), Some(500), "{outcome:?}");
        let log = vm.take_log(ERROR);
        assert!(log.len() == 1 && log[0].contains("status 10"), "{log:?}");
    }
}
