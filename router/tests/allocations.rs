//! The decision on a plain push allocates nothing, in both proxying modes (an invariant of ARCHITECTURE.md).
#![cfg(not(target_arch = "wasm32"))] // the counter needs threads
#![allow(clippy::unwrap_used)] // in a test a panic is the failure

use allocation_counter::measure;
use pushring_router::{Decision, Request, Router, clean_path};

fn router(mode: &str, placement: &str) -> Router {
    let members: Vec<_> = (1..=100).map(|i| format!(r#""10.0.0.{i}:9091""#)).collect();
    let members = members.join(",");
    let json = format!(
        r#"{{"members":[{members}],"mode":"{mode}","mirror":"all","placement":{{"type":"{placement}"}}}}"#
    );
    let router = Router::parse(json.as_bytes()).unwrap();
    // The first call builds the ring, which allocates.
    assert_eq!(router.ring().members(), 100);
    router
}

fn allocations(router: &Router, method: &str, path: &str) -> u64 {
    let request = Request { method: method.as_bytes(), path: path.as_bytes(), accept: None };
    measure(|| assert!(matches!(router.decide(request), Decision::Route(_)), "{path}")).count_total
}

#[test]
fn a_plain_push_allocates_nothing() {
    let plain = "/metrics/job/backup/instance/db1.example.org/shard/7/az/eu-1?x=y";
    for (mode, placement) in [("cluster", "ring"), ("endpoint", "ring"), ("cluster", "dynamic-sharding")] {
        let router = router(mode, placement);
        for method in ["PUT", "POST", "DELETE"] {
            assert_eq!(allocations(&router, method, plain), 0, "{mode} {placement} {method}");
        }
        let owned = measure(|| assert!(router.owner_of(&clean_path(plain.as_bytes())).is_some()));
        assert_eq!(owned.count_total, 0, "{mode} {placement} owner_of");
    }
}

/// Proves that the counter counts, so that the other test can fail.
#[test]
fn the_counter_counts() {
    assert!(allocations(&router("cluster", "ring"), "PUT", "/metrics/job/a%20b") > 0);
}
