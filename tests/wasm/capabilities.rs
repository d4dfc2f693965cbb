//! The capability list of the shipped Envoy configurations is complete and minimal, and no push goes to a wrong gateway
//! if an entry is missing.

use std::fs;
use std::path::Path;

use pushring_harness::tools;

use crate::capability_list::{entries, shipped};
use crate::host::Vm;
use crate::host_state::Outcome;
use crate::{DESTINATION, MIRROR, forged};

const CONFIG: &[u8] = br#"{"members": ["10.0.0.1:1", "10.0.0.2:1"]}"#;
/// A push, a mirrored push, a malformed push, a lookup, a poisoned push, and a request that is not a push.
const REQUESTS: &[(&str, &[u8])] = &[
    ("PUT", b"/metrics/job/a"),
    ("DELETE", b"/metrics/job/a"),
    ("PUT", b"/metrics/job/a/x"),
    ("GET", b"/metrics/job/a"),
    ("PUT", b"/metrics/job/a%ff"),
    ("GET", b"/metrics"),
];
const ON_REQUEST: &str = "proxy_on_request_headers";

#[test]
fn all_shipped_files_have_the_same_list() {
    let mut checked = 0;
    check_files(&tools::repository().join("envoy"), &mut checked);
    assert!(checked >= 6, "only {checked} files have a capability list");
}

fn check_files(dir: &Path, checked: &mut u32) {
    for entry in fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            check_files(&path, checked);
        } else if let Ok(text) = fs::read_to_string(&path)
            && text.contains("allowed_capabilities")
        {
            assert_eq!(entries(&text), shipped(), "{}", path.display());
            *checked += 1;
        }
    }
}

/// The outcome of each of [`REQUESTS`] without some capabilities, and the memory in use after many requests. `None`
/// stands for a request that Envoy answers with 503: the configuration was not accepted, or the VM failed.
fn outcomes(missing: &[&str]) -> (Vec<Option<Outcome>>, usize) {
    let start = || {
        let mut vm = Vm::without(missing).ok()?;
        vm.configure(CONFIG).is_ok_and(|accepted| accepted).then_some(vm)
    };
    let ask = |(method, path): &(&str, &[u8])| start()?.request(forged(method, path)).ok();
    let outcomes = REQUESTS.iter().map(ask).collect();
    let memory = start().map_or(0, |mut vm| {
        (0..20_000).take_while(|_| vm.request(forged("PUT", b"/metrics/job/a")).is_ok()).count();
        vm.memory()
    });
    (outcomes, memory)
}

#[test]
fn the_list_is_complete() {
    let imports = shipped();
    for outcome in outcomes(&[]).0 {
        let outcome = outcome.expect("the filter serves every request");
        let rejected = outcome.calls.iter().find(|call| call.starts_with("proxy_"));
        assert_eq!(rejected, None, "not in {imports:?}");
    }
}

#[test]
fn the_list_is_minimal() {
    let whole = outcomes(&[]);
    for entry in shipped() {
        assert_ne!(outcomes(&[&entry]), whole, "{entry} is not needed");
    }
}

/// Two entries at a time, so that a failed error path is covered too.
#[test]
fn without_an_entry_no_push_goes_to_a_wrong_gateway() {
    let whole = outcomes(&[]).0;
    let entries = shipped();
    for (index, entry) in entries.iter().enumerate() {
        for other in entries.iter().skip(index) {
            let missing = [entry.as_str(), other];
            for (outcome, whole) in outcomes(&missing).0.iter().zip(&whole) {
                let (Some(outcome), Some(whole)) = (outcome, whole) else { continue };
                let same = |name| outcome.values(name) == whole.values(name);
                let stopped = outcome.reply.is_some();
                // Without this callback Envoy does not ask the filter. The shipped configurations have removed the
                // client's own headers by then, see tests/e2e/capabilities.rs.
                let skipped = missing.contains(&ON_REQUEST) && outcome.calls.is_empty();
                assert!(
                    stopped || skipped || (same(DESTINATION) && same(MIRROR)),
                    "{missing:?}: {outcome:?}"
                );
            }
        }
    }
}
