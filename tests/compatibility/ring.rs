//! The commands on a ring of gateways of one version.

use pushring_harness::{GatewayFixture, command};
use serde_json::{Value, json};

use crate::list::Version;

/// Metrics of every type, with values that a conversion could change.
pub(crate) const TYPES: &str = "\
# HELP c_total A counter.
# TYPE c_total counter
c_total{l=\"1\"} 1.7976931348623157e+308
# TYPE g gauge
g 0.1
# TYPE h histogram
h_bucket{le=\"0.5\"} 1
h_bucket{le=\"+Inf\"} 3
h_sum 7.25
h_count 3
# TYPE s summary
s{quantile=\"0.99\"} NaN
s_sum -0
s_count 2
untyped 12345678901234567000
";

/// A stale copy is listed and deleted, and a copy that is the only one stays.
pub(crate) fn sweep(version: &Version) -> String {
    let mut fixture = start(version);
    fixture.age(0);
    let [stale, only] = ["stale", "only"].map(|job| fixture.path_of(1, job));
    fixture.put(0, &stale, TYPES);
    fixture.put(0, &only, TYPES);
    fixture.put(1, &stale, TYPES);

    let listed = fixture.run("groups", &["--output", "json"]).json().unwrap();
    assert_eq!(listed["groups"].as_array().unwrap().len(), 3, "{}: {listed}", version.number);
    let swept = fixture.run("sweep", &["--settle", "0s", "--output", "json"]).json().unwrap();
    let results: Vec<(&Value, &Value)> = swept["misplaced"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (&one["labels"]["job"], &one["result"]))
        .collect();
    let deleted = results.contains(&(&json!("stale"), &json!("deleted")));
    let kept = results.contains(&(&json!("only"), &json!("kept")));
    assert!(deleted && kept && results.len() == 2, "{}: {swept}", version.number);
    assert_eq!(fixture.counts(), [1, 1, 0], "{}", version.number);
    "yes".to_owned()
}

/// A gateway that left is emptied, and its groups are on their owners, value for value.
pub(crate) fn drain(version: &Version) -> String {
    let fixture = start(version);
    let left = version.start(fixture.dir.path(), &[]).unwrap();
    let paths = [0, 1, 2].map(|owner| fixture.path_of(owner, "drained"));
    for path in &paths {
        assert_eq!(left.client().unwrap().put(path, TYPES).unwrap().status, 200);
    }
    let before = values(&left.metrics().unwrap());
    assert_eq!(before.len(), 3 * 10, "{before:?}");
    let (address, config) = (left.address.to_string(), fixture.config_file().display().to_string());
    let output = command::pushring(["drain", &address, "--config", &config, "--settle", "0s"]).unwrap();
    assert_eq!(output.code, 0, "{}: {}{}", version.number, output.stdout, output.stderr);
    assert_eq!(left.groups().unwrap(), []);
    assert_eq!(fixture.counts(), [1, 1, 1], "{}", version.number);
    let mut after: Vec<String> =
        fixture.gateways.iter().flat_map(|gateway| values(&gateway.metrics().unwrap())).collect();
    after.sort();
    assert_eq!(after, before, "{}", version.number);
    "yes".to_owned()
}

/// Returns the samples of what was pushed, sorted.
pub(crate) fn values(text: &str) -> Vec<String> {
    let pushed = |line: &&str| line.contains("job=\"drained\"") && !line.starts_with("push_");
    let mut lines: Vec<String> = text.lines().filter(pushed).map(str::to_owned).collect();
    lines.sort();
    lines
}

fn start(version: &Version) -> GatewayFixture {
    let dir = tempfile::tempdir().unwrap();
    let gateways: Vec<_> = (0..3).map(|_| version.start(dir.path(), &[]).unwrap()).collect();
    let addresses = gateways.iter().map(|gateway| gateway.address).collect();
    let mut fixture = GatewayFixture { gateways, addresses, config: Value::Null, dir };
    fixture.configure(json!({}));
    fixture
}
