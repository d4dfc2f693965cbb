//! The metrics of `register --stay`.

use std::time::{Duration, SystemTime};

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

const PASSING: &str = "pushring_register_check_passing";
const CHECKS: &str = "pushring_register_checks_total";
const DURATION: &str = "pushring_register_check_duration_seconds";
const REGISTERED: &str = "pushring_register_registered";
const RENEWED: &str = "pushring_register_last_renewal_timestamp_seconds";
const FAILURES: &str = "pushring_register_renewal_failures_total";

/// Upper bounds of the histogram of checks, in seconds.
pub(super) const BUCKETS: [f64; 8] = [0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 4.0, 10.0];

/// Also initializes every counter to 0, because `increase()` ignores the first value of a series.
pub(super) fn describe() {
    describe_gauge!(PASSING, "1 if the check of the gateway passes, else 0.");
    describe_counter!(CHECKS, "Checks of the gateway by result: passed, failed.");
    describe_histogram!(DURATION, "Duration of a check.");
    describe_gauge!(REGISTERED, "1 if the gateway is registered, as far as is known; else 0.");
    describe_gauge!(RENEWED, "When the registration was last written or renewed, in seconds since 1970.");
    describe_counter!(FAILURES, "Attempts to write or renew the registration that failed.");
    for result in ["passed", "failed"] {
        counter!(CHECKS, "result" => result).absolute(0);
    }
    counter!(FAILURES).absolute(0);
    passing(false);
    registered(false);
}

pub(super) fn checked(passed: bool, took: Duration) {
    counter!(CHECKS, "result" => if passed { "passed" } else { "failed" }).increment(1);
    histogram!(DURATION).record(took);
}

pub(super) fn passing(passing: bool) {
    gauge!(PASSING).set(if passing { 1.0 } else { 0.0 });
}

pub(super) fn registered(registered: bool) {
    gauge!(REGISTERED).set(if registered { 1.0 } else { 0.0 });
}

pub(super) fn renewed() {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    gauge!(RENEWED).set(now.as_secs_f64());
}

pub(super) fn failed() {
    counter!(FAILURES).increment(1);
}
