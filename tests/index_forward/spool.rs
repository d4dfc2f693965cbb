//! The spool: a success only for what is on disk, in order, through kills, and 503 when it is full.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use pushring_harness::http::Response;
use pushring_harness::{poll_until, server, tools};
use serde_json::json;
use tempfile::TempDir;

use super::bodies::{plain, sample, series_v2, snappy, v1_series, v2};
use super::fixture::{Line, V1, V2, config, configure, index, send, written};

/// A line with a spool in its folder, whose target is away.
fn start(max_bytes: u64) -> (Line, TempDir) {
    let spool = tempfile::tempdir().unwrap();
    let line = Line::start(&json!({"spool": {"path": spool.path(), "max_bytes": max_bytes}}));
    line.target.answers(503, &[], "away");
    (line, spool)
}

fn body(number: i64) -> Vec<u8> {
    v1_series(&[("__name__", "up")], &[sample(number as f64, number)])
}

fn write(line: &Line, number: i64) -> Response {
    line.send(&V1, snappy(&body(number)))
}

/// Waits until the spool is empty; returns the bodies that the target got with a success.
fn replayed(line: &Line) -> Vec<Vec<u8>> {
    line.target.answers(204, &[], "");
    poll_until("the replay", || (line.index.metric("metric_index_spool_bytes").ok()? == 0.0).then_some(()))
        .unwrap();
    line.target.requests().iter().map(|request| plain(&request.body)).collect()
}

#[test]
fn requests_are_replayed_in_order_also_after_a_kill() {
    let (mut line, spool) = start(1 << 20);
    for number in 0..5 {
        assert_eq!(write(&line, number).status, 204);
    }
    assert_eq!(line.index.metric("metric_index_spool_bytes").unwrap(), 5.0 * 4096.0);
    assert_eq!(line.index.metric("metric_index_spool_requests").unwrap(), 5.0);

    line.index.process().kill();
    // A kill while the sixth is written leaves a part of it, which was never answered.
    let whole = fs::read(spool.path().join(format!("{:020}.write", 4))).unwrap();
    fs::write(spool.path().join(format!("{:020}.part", 5)), &whole[..20]).unwrap();
    line.index.restart().unwrap();
    assert_eq!(write(&line, 5).status, 204);

    // The sender hears of a bad series also if the good ones are in the spool.
    let nameless = v1_series(&[("job", "a")], &[sample(1.0, 5)]);
    assert_eq!(line.send(&V1, snappy(&[nameless, body(6)].concat())).status, 400);

    let expected: Vec<_> = (0..7).map(body).collect();
    let found = replayed(&line);
    assert_eq!(found, expected);
    assert_eq!(write(&line, 7).status, 204);
    assert_eq!(plain(&line.target.request().body), body(7), "it passes again");
    assert!(fs::read_dir(spool.path()).unwrap().next().is_none());
}

#[test]
fn a_request_waits_behind_one_that_the_target_does_not_accept_yet() {
    let (accepted, is_back) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
    let (of, back) = (accepted.clone(), is_back.clone());
    let target = server::serve(move |request| {
        let found = plain(&request.body);
        let is_busy = found == body(0) && !back.load(Ordering::Relaxed);
        if !is_busy {
            of.lock().unwrap().push(found);
        }
        Ok(Response { status: if is_busy { 503 } else { 204 }, ..Response::ok("") })
    });
    let path = tempfile::tempdir().unwrap();
    let url = format!("http://{}/", target.unwrap());
    let (index, _dir) = index(&url, &json!({"spool": {"path": path.path()}}));
    (0..3).for_each(|number| assert_eq!(send(&index, &V1, snappy(&body(number))).status, 204));
    assert_eq!(*accepted.lock().unwrap(), Vec::<Vec<u8>>::new());
    is_back.store(true, Ordering::Relaxed);
    let all = poll_until("all", || Some(accepted.lock().unwrap().clone()).filter(|all| all.len() == 3));
    assert_eq!(all.unwrap(), [body(0), body(1), body(2)]);
}

#[test]
fn a_damaged_record_is_put_aside_and_the_others_arrive() {
    let (mut line, spool) = start(1 << 20);
    (0..3).for_each(|number| assert_eq!(write(&line, number).status, 204));
    line.index.process().kill();
    let torn = spool.path().join(format!("{:020}.write", 2));
    let whole = fs::read(&torn).unwrap();
    fs::write(&torn, &whole[..whole.len() - 3]).unwrap();
    line.index.restart().unwrap();
    assert_eq!(replayed(&line), [body(0), body(1)]);
    assert_eq!(line.index.metric("metric_index_spool_damaged_total").unwrap(), 1.0);
    assert_eq!(fs::read_dir(spool.path()).unwrap().count(), 1);
}

#[test]
fn a_full_spool_is_503_and_loses_nothing() {
    let (line, _spool) = start(2 * 4096);
    assert_eq!((write(&line, 0).status, write(&line, 1).status), (204, 204));
    let answer = write(&line, 2);
    assert_eq!(answer.status, 503);
    assert!(answer.header("retry-after").is_some() && answer.text().contains("full"), "{}", answer.text());
    assert_eq!(replayed(&line), [body(0), body(1)]);
    assert_eq!(write(&line, 3).status, 204);

    let (line, _spool) = start(1);
    line.target.answers(503, &[("retry-after", "77")], "away");
    let answer = write(&line, 4);
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("77")));
    assert!(answer.text().contains("full") && answer.text().contains("away"), "{}", answer.text());
}

#[test]
fn a_reload_gives_the_spool_more_room() {
    let (mut line, spool) = start(1);
    assert_eq!(write(&line, 0).status, 503);
    let more = json!({"spool": {"path": spool.path(), "max_bytes": 1 << 20}});
    configure(&mut line.index, line.dir.path(), &config(&line.target.url(), &more));
    poll_until("the room", || (write(&line, 1).status == 204).then_some(())).unwrap();
    assert_eq!(replayed(&line), [body(1)]);
}

#[test]
fn a_request_that_the_target_rejects_holds_nothing_up() {
    let (line, _spool) = start(1 << 20);
    assert_eq!(write(&line, 0).status, 204);
    // A target that says nothing about the body keeps the request.
    line.target.answers(404, &[], "");
    let mut attempts = 0;
    poll_until("attempts", || {
        attempts += line.target.requests().len();
        (attempts > 1).then_some(())
    })
    .unwrap();
    assert_eq!(line.index.metric("metric_index_spool_requests").unwrap(), 1.0);
    line.target.answers(400, &[], "too old");
    let rejected = || line.index.metric("metric_index_spool_rejected_total").ok();
    poll_until("the rejection", || (rejected()? == 1.0).then_some(())).unwrap();
    assert_eq!(line.index.metric("metric_index_spool_bytes").unwrap(), 0.0);
}

#[test]
fn version_2_has_its_numbers_and_fits_the_target_of_the_replay() {
    let path = tempfile::tempdir().unwrap();
    let mut line = Line::start(&json!({"protocol": 2, "spool": {"path": path.path()}}));
    line.target.answers(503, &[], "away");
    let labels = [("__name__", "up")];
    let answer = line.send(&V2, snappy(&v2(&[series_v2(&labels, &[sample(1.0, 5)])])));
    assert_eq!((answer.status, written(&answer)), (204, [Some(1), Some(0), Some(0)]));
    let spool = json!({"protocol": 1, "spool": {"path": path.path()}});
    configure(&mut line.index, line.dir.path(), &config(&line.target.url(), &spool));
    poll_until("the other version", || {
        let requests = line.target.requests();
        requests
            .iter()
            .any(|request| plain(&request.body) == v1_series(&labels, &[sample(1.0, 5)]))
            .then_some(())
    })
    .unwrap();
}

#[test]
fn one_process_has_the_spool() {
    let (line, spool) = start(1 << 20);
    let file = line.dir.path().join("second.yaml");
    let spool = json!({"spool": {"path": spool.path()}});
    fs::write(&file, config(&line.target.url(), &spool).to_string()).unwrap();
    let mut command = std::process::Command::new(tools::metric_index().unwrap());
    command.args(["serve", "--listen", "127.0.0.1:0", "--config"]).arg(&file);
    let output = command.arg("--data").arg(line.dir.path().join("second")).output().unwrap();
    assert!(!output.status.success());
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("remote.write.spool.path") && text.contains("another process"), "{text}");
}
