//! Envoy's memory under uploads that take their time, at a small `max_heap_size_bytes`.

use std::time::Duration;

use pushring_harness::slow::SlowUploads;
use pushring_harness::{Envoy, EnvoyFixture, Mode, poll_until, process};

/// The heap in these tests; an idle Envoy uses a sixth of it.
const LIMIT: u64 = 64 << 20;

/// Returns the most memory that Envoy has had, in bytes.
fn peak(envoy: &Envoy) -> u64 {
    process::memory(envoy.process.id(), "VmHWM").unwrap()
}

/// Eight times the limit arrives, by at most a third of the limit in one `refresh_interval`.
#[test]
fn slow_uploads_take_at_most_twice_the_heap_limit() {
    let slow =
        SlowUploads { uploads: 64, body: 8 << 20, pause: Duration::from_millis(5), patience: Duration::ZERO };
    let limit = format!("max_heap_size_bytes: {LIMIT}");
    let edits = [("max_heap_size_bytes: 2147483648", limit.as_str())];
    for mode in Mode::ALL {
        // Redirect mode holds bodies over HTTP/2 only.
        let stored = if mode == Mode::Redirect { (307, 0) } else { (200, 2) };
        for http2 in [false, true] {
            let fleet = EnvoyFixture::edited(mode, 1, &edits);
            fleet.envoy.client().unwrap().put("/metrics/job/a", "x 1\n").unwrap();
            let before = peak(&fleet.envoy);
            let sent = if http2 { slow.http2(fleet.envoy.push) } else { slow.http1(fleet.envoy.push) };
            sent.unwrap();
            let taken = peak(&fleet.envoy) - before;
            assert!(taken < 2 * LIMIT, "{mode}, HTTP/2: {http2}: {} MiB", taken >> 20);
            poll_until(&format!("{mode}, HTTP/2: {http2}: a push after the flood"), || {
                let answer = fleet.envoy.client().unwrap().put("/metrics/job/b", "x 1\n");
                answer.is_ok_and(|answer| answer.status == stored.0).then_some(())
            })
            .unwrap();
            assert_eq!(fleet.gateways[0].groups().unwrap().len(), stored.1, "{mode}, HTTP/2: {http2}");
        }
    }
}
