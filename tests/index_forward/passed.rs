//! The request that the target gets.

use pushring_harness::http::Client;
use pushring_harness::proto;
use serde_json::json;

use super::bodies::{plain, sample, series_v2, snappy, v1_series, v2};
use super::fixture::{Line, V1, V2, indexed, written};

#[test]
fn the_bytes_of_the_sender_and_its_headers_arrive_unchanged() {
    let line = Line::start(&json!({}));
    // Fields that the index does not know are bytes of the sender, too.
    let body = snappy(&[v1_series(&[("__name__", "up")], &[sample(1.0, 5)]), vec![0x78, 1]].concat());
    let headers = [V1.as_slice(), &[("x-scope-orgid", "team"), ("user-agent", "Prometheus/3")]].concat();
    let answer = line.send(&headers, body.clone());
    assert_eq!((answer.status, answer.text().as_str()), (204, ""));
    let request = line.target.request();
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/api/v1/write"));
    assert_eq!(request.body, body);
    for (name, value) in headers {
        assert_eq!(request.headers[name], value, "{name}");
    }
    assert_eq!(request.headers["host"], line.target.address.to_string());
    indexed(&line.index, 1);
    assert_eq!(line.index.metric("metric_index_forwarded_total").unwrap(), 1.0);
    assert_eq!(line.index.metric("metric_index_forward_seconds_count").unwrap(), 1.0);
}

#[test]
fn tenant_and_query_of_the_path_take_the_place_of_the_target_s() {
    let line = Line::start(&json!({}));
    let url = format!("http://{}/insert/7/prometheus/api/v1/write?a=b", line.target.address);
    let (index, _dir) = super::fixture::index(&url, &json!({}));
    let client = Client::new(index.address).unwrap();
    let body = || snappy(&v1_series(&[("__name__", "up")], &[sample(1.0, 5)]));
    for (path, expected) in [
        ("/insert/42:1/prometheus/api/v1/write", "/insert/42:1/prometheus/api/v1/write?a=b"),
        (
            "/insert/42/prometheus/api/v1/write?extra_label=c=d",
            "/insert/42/prometheus/api/v1/write?a=b&extra_label=c=d",
        ),
        ("/api/v1/write", "/insert/7/prometheus/api/v1/write?a=b"),
        ("/api/v1/metrics/write", "/insert/7/prometheus/api/v1/write?a=b"),
    ] {
        assert_eq!(client.send("POST", path, &V1, body()).unwrap().status, 204, "{path}");
        assert_eq!(line.target.request().path, expected);
    }
}

#[test]
fn bad_series_stay_behind_and_the_good_ones_arrive() {
    let line = Line::start(&json!({"protocol": 2}));
    let good = |name| v1_series(&[("__name__", name)], &[sample(1.0, 5)]);
    let bad = v1_series(&[("job", "nameless")], &[sample(1.0, 5)]);
    let metadata = proto::bytes(3, b"\x12\x01a");
    let body = [good("a"), bad.clone(), metadata.clone(), good("b"), bad].concat();
    let answer = line.send(&V1, snappy(&body));
    assert_eq!(answer.status, 400);
    assert!(answer.text().starts_with("2 of 4 series are bad; the first: "), "{}", answer.text());
    assert!(answer.text().contains("__name__"), "{}", answer.text());
    let request = line.target.request();
    assert_eq!(plain(&request.body), [good("a"), metadata, good("b")].concat());
    assert_eq!(request.headers["content-encoding"], "snappy");
    indexed(&line.index, 2);

    line.target.answers(204, &[("x-prometheus-remote-write-samples-written", "1")], "");
    let good = series_v2(&[("__name__", "c")], &[sample(1.0, 5)]);
    let bad = || series_v2(&[("job", "nameless")], &[sample(1.0, 5)]);
    let answer = line.send(&V2, snappy(&v2(&[bad(), good.clone()])));
    assert_eq!((answer.status, written(&answer)), (400, [Some(1), Some(0), Some(0)]));
    let body = v2(&[bad(), good]);
    let series = proto::message(5, &[proto::bytes(1, [1, 2]), sample(1.0, 5)]);
    let at = body.windows(series.len()).position(|part| part == series).unwrap();
    let expected = [&body[..at], &body[at + series.len()..]].concat();
    assert_eq!(plain(&line.target.request().body), expected);
    indexed(&line.index, 3);

    // Two passes find the faults: of histograms first.
    let nameless = v1_series(&[("job", "nameless")], &[sample(1.0, 5)]);
    let good = v1_series(&[("__name__", "d")], &[sample(1.0, 5)]);
    let wrong =
        proto::message(4, &[proto::int(1, 3), proto::double(3, 0.0), proto::int(6, 0), proto::int(15, 5)]);
    let wrong = v1_series(&[("__name__", "h")], &[wrong]);
    assert_eq!(line.send(&V1, snappy(&[nameless.clone(), wrong, good.clone()].concat())).status, 400);
    assert_eq!(plain(&line.target.request().body), good);

    // Without a good series, there is nothing to send.
    assert_eq!(line.send(&V1, snappy(&nameless)).status, 400);
    let answer = line.send(&V2, snappy(&v2(&[bad()])));
    assert_eq!((answer.status, written(&answer)), (400, [Some(0); 3]));
    assert!(line.target.requests().is_empty());
}
