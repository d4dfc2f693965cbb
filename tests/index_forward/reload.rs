//! Another target in the configuration of a server that runs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use pushring_harness::poll_until;
use serde_json::json;

use super::bodies::{plain, sample, snappy, v1_series};
use super::fixture::{Line, Target, V1, config, configure, send};

/// Ends the sender also if the test fails.
struct SetOnDrop<'b>(&'b AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn another_target_takes_over_without_a_lost_request() {
    let mut line = Line::start(&json!({}));
    let others = [Target::start(204), Target::start(204)];
    let end = AtomicBool::new(false);
    let body = |number: i64| v1_series(&[("__name__", "up")], &[sample(1.0, number)]);
    let address = line.index.address;
    let sent = thread::scope(|scope| {
        let ended = SetOnDrop(&end);
        let sender = scope.spawn(|| {
            let client = pushring_harness::http::Client::new(address).unwrap();
            let mut number = 0;
            while !end.load(Ordering::Relaxed) {
                number += 1;
                let answer = client.send("POST", "/api/v1/write", &V1, snappy(&body(number))).unwrap();
                assert_eq!(answer.status, 204, "{}", answer.text());
            }
            number
        });
        let mut arrived = Vec::new();
        for target in [&line.target.clone()].into_iter().chain(&others).cycle().take(6) {
            configure(&mut line.index, line.dir.path(), &config(&target.url(), &json!({})));
            let mut count = 0;
            poll_until("the requests", || {
                let requests = target.requests();
                count += requests.len();
                arrived.extend(requests);
                (count > 20).then_some(())
            })
            .unwrap();
        }
        drop(ended);
        let sent = sender.join().unwrap();
        for target in others.iter().chain([&line.target]) {
            arrived.extend(target.requests());
        }
        let mut found: Vec<_> = arrived.iter().map(|request| plain(&request.body)).collect();
        let mut expected: Vec<_> = (1..=sent).map(body).collect();
        found.sort();
        expected.sort();
        assert_eq!(found.len(), expected.len());
        assert_eq!(found, expected);
        sent
    });
    assert!(sent > 100);
}

#[test]
fn a_target_that_is_invalid_changes_nothing() {
    let mut line = Line::start(&json!({}));
    configure(&mut line.index, line.dir.path(), &config("vminsert:8480", &json!({})));
    poll_until("the rejection", || {
        let text = line.index.get("/metrics").ok()?;
        text.contains("metric_index_config_last_reload_successful 0").then_some(())
    })
    .unwrap();
    let body = snappy(&v1_series(&[("__name__", "up")], &[sample(1.0, 1)]));
    assert_eq!(send(&line.index, &V1, body).status, 204);
    assert_eq!(line.target.requests().len(), 1);
}
