//! Gateways that fail, groups that do not fit together: a scrape never fails, and says so.

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use pushring_harness::raw_server::serve_raw;
use pushring_harness::{GatewayFixture, tools};
use serde_json::json;

use crate::fixture::{Serve, push, text_families};
use crate::inputs::{all, text};

/// A fleet of a good gateway with one group, and another address.
fn next_to(other: SocketAddr) -> (GatewayFixture, Serve) {
    let mut fleet = GatewayFixture::start(1);
    fleet.addresses.push(other);
    fleet.configure(json!({}));
    let path = fleet.path_of(0, "good");
    fleet.put(0, &path, "good 1\n");
    let serve = Serve::start(&fleet, &["--deadline", "1s"]);
    (fleet, serve)
}

#[track_caller]
fn assert_good_alone(serve: &Serve) {
    for _ in 0..3 {
        let text = serve.metrics();
        assert!(text.contains("\ngood{"), "{text}");
        assert!(text.contains("pushring_serve_gateway_up{gateway=\"g0\"} 1\n"), "{text}");
        assert!(text.contains("pushring_serve_gateway_up{gateway=\"g1\"} 0\n"), "{text}");
        assert_eq!(serve.groups().len(), 1);
    }
}

/// Ends endless servers when the test ends, however it does.
struct Until(Arc<AtomicBool>);

impl Drop for Until {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn until() -> (Until, Arc<AtomicBool>) {
    let ended = Arc::new(AtomicBool::new(false));
    (Until(ended.clone()), ended)
}

fn wait(ended: &AtomicBool) {
    while !ended.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_gateway_that_is_down_or_hangs_or_trickles_costs_only_its_groups() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (_fleet, serve) = next_to(closed);
    assert_good_alone(&serve);

    let (_until, ended) = until();
    let hanging = serve_raw(move |_, _| {
        wait(&ended);
        Ok(())
    });
    let (_fleet, serve) = next_to(hanging.unwrap());
    assert_good_alone(&serve);

    let (_until, ended) = until();
    let trickling = serve_raw(move |_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ndate: Sat, 21 Nov 2026 10:00:00 GMT\r\n\r\n{")?;
        while !ended.load(Ordering::Relaxed) {
            stream.write_all(b" ")?;
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    });
    let (_fleet, serve) = next_to(trickling.unwrap());
    assert_good_alone(&serve);
}

#[test]
fn without_any_gateway_there_is_no_answer_rather_than_an_empty_one() {
    let mut fleet = GatewayFixture::start(1);
    fleet.gateways[0].process.kill();
    let serve = Serve::start(&fleet, &[]);
    for path in ["/metrics", "/api/v1/metrics", "/-/ready"] {
        assert_eq!(serve.client.get(path).unwrap().status, 503, "{path}");
    }
    assert_eq!(serve.client.get("/-/healthy").unwrap().status, 200);
}

#[test]
fn a_poisoned_gateway_is_read_by_its_api() {
    let fleet = GatewayFixture::start(1);
    let client = fleet.client(0);
    // All but the groups that need UTF-8 names; native histograms are not in the API.
    for input in all().iter().filter(|input| !input.path.contains("%F0")) {
        push(&client, input);
    }
    let want = text_families(&fleet.gateways[0].metrics().unwrap());
    assert_eq!(client.put("/metrics/job/a%ff", "a 1\n").unwrap().status, 400);
    assert_eq!(client.get("/metrics").unwrap().status, 500);
    let serve = Serve::start(&fleet, &[]);
    let text = serve.metrics();
    assert!(text.contains("pushring_serve_gateway_poisoned{gateway=\"g0\"} 1\n"), "{text}");
    let got = text_families(&text);
    let lost = ["kind_native", "kind_both", "kind_gauge_histogram"];
    for (name, want) in want.iter().filter(|(name, _)| !lost.contains(&&***name)) {
        // The API does not show an empty `# HELP` text from none.
        let want = want.replace(&format!("# HELP {name} \n"), "");
        assert_eq!(got.get(name).map(String::as_str), Some(&*want), "{name}");
    }
    check(&text, false);
}

#[test]
fn families_that_do_not_fit_together_are_left_out() {
    let fleet = GatewayFixture::start(2);
    let path = |owner, job| fleet.path_of(owner, job);
    fleet.put(0, &path(0, "a"), "# TYPE kind counter\nkind 1\n");
    fleet.put(0, &path(0, "b"), "# TYPE kind counter\nkind 2\n");
    fleet.put(1, &path(1, "c"), "# TYPE kind gauge\nkind 3\n");
    fleet.put(0, &path(0, "d"), "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n");
    fleet.put(0, &path(0, "e"), "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n");
    fleet.put(1, &path(1, "f"), "# TYPE h_count gauge\nh_count 7\n");
    fleet.put(1, &path(1, "g"), "# TYPE pushring_serve_conflicts counter\npushring_serve_conflicts 9\n");
    // The same series from two groups.
    let job = (0..).map(|n| format!("twice{n}")).find(|job| {
        fleet.owner(&format!("/metrics/job/{job}")) == 0
            && fleet.owner(&format!("/metrics/job/{job}/instance/i")) == 1
    });
    let job = job.unwrap();
    fleet.put(0, &format!("/metrics/job/{job}"), "twice{instance=\"i\"} 1\n");
    fleet.put(1, &format!("/metrics/job/{job}/instance/i"), "twice 2\n");
    let serve = Serve::start(&fleet, &[]);
    let text = serve.metrics();
    assert!(text.contains("pushring_serve_conflicts 4\n"), "{text}");
    assert!(text.contains("# TYPE kind counter\n"), "{text}");
    assert_eq!(text.matches("\nkind{").count(), 2, "{text}");
    assert!(!text.contains("} 7\n"), "{text}");
    assert_eq!(text.matches("\nh_count{").count(), 2, "{text}");
    let twice: Vec<&str> = text.lines().filter(|line| line.starts_with("twice{")).collect();
    assert_eq!(twice, [format!("twice{{instance=\"i\",job=\"{job}\"}} 2")]);
    check(&text, false);
    // The API shows all.
    assert_eq!(serve.groups().len(), 9);
}

#[test]
fn promtool_is_content_with_the_own_metrics() {
    let fleet = GatewayFixture::start(2);
    check(&Serve::start(&fleet, &[]).metrics(), true);
}

/// Lets Prometheus' own parser read a text. `lint`: it has no complaint about style, either.
fn check(text: &str, lint: bool) {
    let mut command = Command::new(tools::debian("bin/promtool").unwrap());
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    process.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = process.wait_with_output().unwrap();
    let report = String::from_utf8_lossy(&output.stderr);
    assert!(!report.contains("error while linting"), "{report}");
    assert!(
        output.status.success() || !lint && output.status.code() == Some(3),
        "{:?} {report}",
        output.status
    );
}

#[test]
fn a_wipe_reaches_all_gateways_or_names_those_that_it_did_not() {
    let mut fleet = GatewayFixture::start(2);
    for owner in 0..2 {
        fleet.put(owner, &fleet.path_of(owner, "job"), "a 1\n");
    }
    let serve = Serve::start(&fleet, &["--enable-admin-api"]);
    assert_eq!(serve.groups().len(), 2);
    let wipe = || serve.client.put("/api/v1/admin/wipe", "").unwrap();
    assert_eq!(wipe().status, 202);
    pushring_harness::poll_until("no groups", || serve.groups().is_empty().then_some(())).unwrap();
    for owner in 0..2 {
        push(&fleet.client(owner), &text(&fleet.path_of(owner, "job"), "a 1\n"));
    }
    fleet.gateways[1].process.kill();
    let failed = wipe();
    assert_eq!(failed.status, 502);
    assert!(failed.text().contains("g1: ") && !failed.text().contains("g0: "), "{}", failed.text());
    assert_eq!(fleet.gateways[0].groups().unwrap().len(), 0);
}
