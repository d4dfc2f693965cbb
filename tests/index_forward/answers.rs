//! Each line of the table of answers: only a 503 is repeated by all senders, and no sender may repeat what never succeeds.

use std::io::Write as _;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread;

use pushring_harness::http::Response;
use pushring_harness::raw_server::serve_raw;
use pushring_harness::{MetricIndex, server};
use serde_json::json;

use super::bodies::{histogram, plain, sample, series_v2, snappy, v1_series, v2};
use super::fixture::{Line, Target, V1, V2, config, index, indexed, send, written};

fn up() -> Vec<u8> {
    snappy(&v1_series(&[("__name__", "up")], &[sample(1.0, 5)]))
}

fn is_503(answer: &Response) {
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(answer.header("retry-after").unwrap().parse::<u32>().unwrap() > 0);
}

#[test]
fn the_answer_of_the_target_is_the_answer_except_where_senders_take_it_wrong() {
    let line = Line::start(&json!({}));
    for (status, expected) in [
        (200, 200),
        (202, 202),
        (204, 204),
        (302, 503),
        (400, 400),
        (401, 401),
        (404, 404),
        (409, 409),
        (413, 400),
        (415, 415),
        (429, 503),
        (500, 503),
        (502, 503),
        (503, 503),
        (504, 503),
    ] {
        line.target.answers(status, &[("x-server", "vminsert"), ("location", "/other")], "the reason");
        let answer = line.send(&V1, up());
        assert_eq!(answer.status, expected, "{status}");
        if expected == 503 {
            is_503(&answer);
            assert!(answer.text().contains(&status.to_string()), "{}", answer.text());
        } else {
            assert_eq!(answer.header("x-server"), Some("vminsert"), "{status}");
        }
        assert!(status == 204 || answer.text().contains("the reason"), "{status}: {}", answer.text());
        assert_eq!(line.target.requests().len(), 1, "{status}: one attempt, and no redirect is followed");
    }
    line.target.answers(429, &[("retry-after", "77")], "");
    assert_eq!(line.send(&V1, up()).header("retry-after"), Some("77"));
}

#[test]
fn a_target_that_is_refused_or_silent_is_503_and_the_index_has_the_series() {
    // No server listens on port 1.
    let (refused, _dir) = index("http://127.0.0.1:1/api/v1/write", &json!({}));
    let answer = send(&refused, &V1, up());
    is_503(&answer);
    assert!(answer.text().contains("refused"), "{}", answer.text());
    indexed(&refused, 1);

    let silent = serve_raw(|_, _| {
        loop {
            thread::park();
        }
    });
    let (slow, _dir) = index(&format!("http://{}/", silent.unwrap()), &json!({"timeout": 1}));
    let answer = send(&slow, &V1, up());
    is_503(&answer);
    assert!(answer.text().contains("remote.write.timeout"), "{}", answer.text());

    let cut = serve_raw(|_, stream| stream.write_all(b"HTTP/1.1 500 Oops\r\ncontent-length: 9\r\n\r\nhal"));
    let (cut, _dir) = index(&format!("http://{}/", cut.unwrap()), &json!({}));
    is_503(&send(&cut, &V1, up()));
}

#[test]
fn the_status_counts_even_if_its_body_is_cut_or_never_ends() {
    let cut = serve_raw(|_, stream| stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhal"));
    let (line, _dir) = index(&format!("http://{}/", cut.unwrap()), &json!({}));
    assert_eq!(send(&line, &V1, up()).status, 200, "the target has written it");
    assert_eq!(line.metric("metric_index_forwarded_total").unwrap(), 1.0);

    let endless = serve_raw(|_, stream| {
        stream.write_all(b"HTTP/1.1 400 No\r\nconnection: close\r\n\r\n")?;
        loop {
            stream.write_all(&[b'x'; 4096])?;
        }
    });
    let (line, _dir) = index(&format!("http://{}/", endless.unwrap()), &json!({}));
    let answer = send(&line, &V1, up());
    assert_eq!((answer.status, answer.body.len()), (400, 64 << 10));
    assert_eq!(line.metric("metric_index_forwarded_total").unwrap(), 0.0);
}

#[test]
fn a_body_that_is_no_remote_write_never_reaches_the_target() {
    let line = Line::start(&json!({}));
    let json = [("content-type", "application/json"), ("content-encoding", "snappy")];
    let gzip = [("content-type", "application/x-protobuf"), ("content-encoding", "gzip")];
    let bomb = b"\x80\x80\x80\x80\x01\x00a".to_vec();
    let up_2 = snappy(&v2(&[series_v2(&[("__name__", "up")], &[sample(1.0, 5)])]));
    for (headers, body, expected) in [
        (&json[..], up(), 415),
        (&gzip[..], up(), 415),
        (&V1[..], b"no snappy".to_vec(), 400),
        (&V1[..], snappy(b"no protobuf"), 400),
        (&V1[..], bomb, 400),
        // Each version with the headers of the other.
        (&V2[..], up(), 400),
        (&V1[..], up_2, 400),
    ] {
        let answer = line.send(headers, body);
        assert_eq!(answer.status, expected, "{}", answer.text());
    }
    assert!(line.target.requests().is_empty());
}

#[test]
fn a_body_that_is_too_large_is_400_and_never_413() {
    let target = Target::start(204);
    let mut config = config(&target.url(), &json!({}));
    config["limits"] = json!({"max_compressed_bytes": 1000, "max_plain_bytes": 2000});
    let dir = tempfile::tempdir().unwrap();
    let index = MetricIndex::start(dir.path(), "index", &config).unwrap();
    let long = |length| snappy(&v1_series(&[("__name__", "up"), ("long", &"x".repeat(length))], &[]));
    assert_eq!(send(&index, &V1, long(1500)).status, 204);
    assert_eq!(send(&index, &V1, long(2500)).status, 400);
    assert_eq!(send(&index, &V1, vec![0; 1001]).status, 400);
    assert_eq!(target.requests().len(), 1);
}

#[test]
fn more_bytes_than_may_be_under_way_are_503() {
    let (release, wait) = mpsc::channel::<()>();
    let (arrived, arrivals) = mpsc::channel();
    let (wait, arrived) = (Arc::new(Mutex::new(wait)), Mutex::new(arrived));
    let address = server::serve(move |_| {
        arrived.lock().unwrap().send(())?;
        wait.lock().unwrap().recv()?;
        Ok(Response::ok(""))
    });
    let mut config = config(&format!("http://{}/", address.unwrap()), &json!({}));
    config["limits"] = json!({"max_inflight_bytes": up().len() + 1});
    let dir = tempfile::tempdir().unwrap();
    let index = MetricIndex::start(dir.path(), "index", &config).unwrap();
    thread::scope(|scope| {
        let first = scope.spawn(|| send(&index, &V1, up()).status);
        arrivals.recv().unwrap();
        is_503(&send(&index, &V1, up()));
        release.send(()).unwrap();
        assert_eq!(first.join().unwrap(), 200);
    });
    release.send(()).unwrap();
    assert_eq!(send(&index, &V1, up()).status, 200, "its bytes are free again");
}

#[test]
fn a_body_without_its_bad_series_counts_as_under_way_too() {
    let good = v1_series(&[("__name__", "up")], &[sample(1.0, 5)]);
    let body = snappy(&[good.clone(), v1_series(&[("job", "nameless")], &[])].concat());
    let both = body.len() + snappy(&good).len();
    let target = Target::start(204);
    for (most, expected) in [(both - 1, 503), (both, 400)] {
        let mut config = config(&target.url(), &json!({}));
        config["limits"] = json!({"max_inflight_bytes": most});
        let dir = tempfile::tempdir().unwrap();
        let index = MetricIndex::start(dir.path(), "index", &config).unwrap();
        assert_eq!(send(&index, &V1, body.clone()).status, expected, "{most}");
        assert_eq!(target.requests().len(), usize::from(expected == 400));
    }
}

#[test]
fn an_index_that_is_full_does_not_delay_or_fail_a_write() {
    let target = Target::start(204);
    let mut config = config(&target.url(), &json!({}));
    config["limits"] = json!({"max_queued_series": 1});
    let dir = tempfile::tempdir().unwrap();
    let index = MetricIndex::start(dir.path(), "index", &config).unwrap();
    let names: Vec<String> = (0..100).map(|number| format!("m{number}")).collect();
    let body: Vec<u8> =
        names.iter().flat_map(|name| v1_series(&[("__name__", name)], &[sample(1.0, 5)])).collect();
    assert_eq!(send(&index, &V1, snappy(&body)).status, 204);
    assert_eq!(plain(&target.request().body), body);
    assert_eq!(index.metric("metric_index_dropped_total").unwrap(), 99.0);
}

#[test]
fn version_2_becomes_1_with_the_numbers_of_what_was_written() {
    let line = Line::start(&json!({}));
    let labels = [("__name__", "up"), ("job", "a")];
    let body = v2(&[series_v2(&labels, &[sample(1.0, 5), sample(2.0, 6)])]);
    let answer = line.send(&V2, snappy(&body));
    assert_eq!((answer.status, written(&answer)), (204, [Some(2), Some(0), Some(0)]));
    let request = line.target.request();
    assert_eq!(plain(&request.body), v1_series(&labels, &[sample(1.0, 5), sample(2.0, 6)]));
    for (name, value) in V1 {
        assert_eq!(request.headers[name], value, "{name}");
    }

    // A target of 1.0 drops native histograms silently.
    let mixed = [sample(1.0, 7), histogram(3, 7)];
    let body = v2(&[series_v2(&labels, &mixed), series_v2(&[("__name__", "h")], &[histogram(3, 7)])]);
    let answer = line.send(&V2, snappy(&body));
    assert_eq!((answer.status, written(&answer)), (400, [Some(1), Some(0), Some(0)]));
    assert!(answer.text().starts_with("2 native histograms were not written"), "{}", answer.text());
    assert_eq!(plain(&line.target.request().body), v1_series(&labels, &[sample(1.0, 7)]));
    let body = v2(&[series_v2(&[("__name__", "h")], &[histogram(3, 8)])]);
    let answer = line.send(&V2, snappy(&body));
    assert_eq!((answer.status, written(&answer)), (400, [Some(0); 3]));
    assert!(line.target.requests().is_empty());
    let dropped = line.index.metric("metric_index_forward_dropped_histograms_total").unwrap();
    assert_eq!(dropped, 3.0);

    for status in [400, 503] {
        line.target.answers(status, &[], "no");
        let answer = line.send(&V2, snappy(&v2(&[series_v2(&labels, &[sample(3.0, 9)])])));
        assert_eq!((answer.status, written(&answer)), (status, [Some(0); 3]));
    }
}

#[test]
fn a_target_of_version_2_gives_the_numbers() {
    let line = Line::start(&json!({"protocol": 2}));
    let body = snappy(&v2(&[series_v2(&[("__name__", "up")], &[sample(1.0, 5), histogram(3, 5)])]));
    let numbers = [
        ("x-prometheus-remote-write-samples-written", "1"),
        ("x-prometheus-remote-write-histograms-written", "1"),
    ];
    line.target.answers(200, &numbers, "");
    let answer = line.send(&V2, body.clone());
    assert_eq!((answer.status, written(&answer)), (200, [Some(1), Some(1), Some(0)]));
    let request = line.target.request();
    assert_eq!(
        (request.body.to_vec(), request.headers["content-type"].to_str().unwrap()),
        (body.clone(), V2[0].1)
    );

    line.target.answers(400, &numbers[..1], "out of order");
    let answer = line.send(&V2, body.clone());
    assert_eq!((answer.status, written(&answer)), (400, [Some(1), Some(0), Some(0)]));
    // VictoriaMetrics answers 204 and drops everything: without numbers, nothing was written.
    line.target.answers(204, &[], "");
    assert_eq!(written(&line.send(&V2, body)), [Some(0); 3]);
}
