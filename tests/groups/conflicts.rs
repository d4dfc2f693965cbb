//! Families that have different types on different gateways.

use pushring_harness::GatewayFixture;
use pushring_harness::proto::{CONTENT_TYPE, GAUGE_HISTOGRAM, HISTOGRAM, histogram, one};
use serde_json::json;

#[test]
fn reports_which_gateway_has_which_type() {
    let fixture = GatewayFixture::start(2);
    fixture.put(0, "/metrics/job/a", "# TYPE m gauge\nm 1\n# TYPE same gauge\nsame 1\n");
    fixture.put(0, "/metrics/job/b", "# TYPE m gauge\nm 1\n");
    fixture.put(1, "/metrics/job/c", "# TYPE m counter\nm 1\n# TYPE same gauge\nsame 1\n");
    // The gateways' own families are the same everywhere and are ignored.
    let (code, report) = fixture.json("groups", &["--conflicts"]);
    assert_eq!(code, 1);
    let expected = json!({
        "gateways": 2,
        "conflicts": [{"family": "m", "holders": [
            {"type": "COUNTER", "on": "g1", "groups": 1, "example": {"job": "c"}},
            {"type": "GAUGE", "on": "g0", "groups": 2, "example": {"job": "a"}},
        ]}],
        "poisoned": [],
        "unreadable": [],
    });
    assert_eq!(report, expected);
    let table = fixture.run("groups", &["--conflicts"]).stdout;
    assert!(table.contains("1 family with different types, 0 poisoned, on 2 gateways"), "{table}");

    fixture.put(1, "/metrics/job/c", "# TYPE m gauge\nm 1\n");
    assert_eq!(fixture.run("groups", &["--conflicts"]).code, 0);
}

#[test]
fn reports_all_gateways_that_answer() {
    let mut fixture = GatewayFixture::start(2);
    fixture.gateways[1].process.kill();
    assert_eq!(fixture.send(0, "/metrics/job/a%ff", "m 1\n"), 400);
    let (code, report) = fixture.json("groups", &["--conflicts"]);
    assert_eq!((code, &report["poisoned"][0]["gateway"]), (1, &json!("g0")));
    assert_eq!(report["unreadable"][0]["gateway"], "g1");
}

#[test]
fn accepts_both_types_of_histograms() {
    let fixture = GatewayFixture::start(2);
    for (index, path, kind) in [
        (0, "/metrics/job/a", HISTOGRAM),
        (0, "/metrics/job/b", GAUGE_HISTOGRAM),
        (1, "/metrics/job/c", GAUGE_HISTOGRAM),
    ] {
        let body = one("m", kind, &[histogram(&[1.0], &[])]);
        let answer =
            fixture.client(index).send("PUT", path, &[("content-type", CONTENT_TYPE)], body).unwrap();
        assert_eq!(answer.status, 200);
    }
    let (code, report) = fixture.json("groups", &["--conflicts"]);
    assert_eq!((code, &report["conflicts"], &report["poisoned"]), (0, &json!([]), &json!([])));
}
