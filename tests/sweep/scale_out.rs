//! Three gateways become four during pushes of every kind. No group is missing at any moment, and after the next push
//! of each group one sweep leaves every group on exactly one gateway.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pushring_harness::command::pushring;
use pushring_harness::http::Client;
use pushring_harness::{Envoy, Layout, Member, Mode, Ports, Pushgateway, envoy_files, poll_until};
use pushring_router::Router;
use serde_json::Value;

use crate::watcher::Watcher;

const GROUPS: usize = 2000;

type Labels = BTreeMap<String, String>;

fn path(number: usize) -> String {
    format!("/metrics/job/j{}/instance/{number}", number % 100)
}

fn labels(number: usize) -> Labels {
    [("job", format!("j{}", number % 100)), ("instance", number.to_string())]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
}

/// The client deletes every tenth group after the change.
fn is_deleted(number: usize) -> bool {
    number % 10 == 9
}

/// Every fifth group is pushed all the time.
fn is_busy(number: usize) -> bool {
    number.is_multiple_of(5)
}

/// Pushes a group as its client does: in one request or one family after the other.
fn push(client: &Client, number: usize) {
    let path = path(number);
    let answers = if number.is_multiple_of(2) {
        vec![client.put(&path, "a 1\nb 1\n")]
    } else {
        vec![client.post(&path, "a 1\n"), client.post(&path, "b 1\n")]
    };
    for answer in answers {
        let answer = answer.unwrap();
        assert_eq!(answer.status, 202, "{path}: {}", answer.text());
    }
}

#[test]
fn scaling_from_three_to_four_gateways_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    // The consistency check takes most of the time of a push and is not under test.
    let start = || Pushgateway::start(dir.path(), &["--push.disable-consistency-check"]).unwrap();
    let gateways: Vec<Pushgateway> = (0..4).map(|_| start()).collect();
    let addresses: Vec<SocketAddr> = gateways.iter().map(|gateway| gateway.address).collect();
    let members: Vec<Member> = addresses.iter().map(|address| (*address).into()).collect();
    let layout = Layout::create(&dir.path().join("pushring"), Mode::Cluster, Ports::default()).unwrap();
    layout.write(&envoy_files::config(Mode::Cluster, &members[..3]).unwrap()).unwrap();
    let envoy = Envoy::start(&layout, 2).unwrap();
    let client = envoy.client().unwrap();
    (0..GROUPS).for_each(|number| push(&client, number));

    let watcher = Watcher::default();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let stopper = Stopper(&watcher, &stop);
        let watching = scope.spawn(|| stopper.0.watch(&addresses));
        let busy = scope.spawn(|| {
            let client = envoy.client().unwrap();
            while !stop.load(Ordering::Relaxed) {
                (0..GROUPS).filter(|number| is_busy(*number)).for_each(|number| push(&client, number));
            }
        });
        let config = envoy_files::config(Mode::Cluster, &members).unwrap();
        layout.publish(&config, Some(envoy.admin)).unwrap();
        let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
        envoy.wait_members(&names).unwrap();
        // The next push of each group must be later than the last one by more than the margin for two clocks.
        let moved = Instant::now();
        let later = || (moved.elapsed() > Duration::from_millis(2500)).then_some(());
        poll_until("the margin between two pushes to pass", later).unwrap();

        // Until its next push, a moved group is stored on its former owner only. All of them stay.
        let output = sweep(&layout, &envoy);
        assert_eq!(output.0, 1, "{}", output.1);
        let left_behind = output.1["misplaced"].as_array().unwrap().len();
        assert!(left_behind > GROUPS / 10, "only {left_behind} groups moved");

        for number in 0..GROUPS {
            if is_deleted(number) {
                watcher.forget(&labels(number));
                assert_eq!(client.delete(&path(number)).unwrap().status, 202);
            } else {
                push(&client, number);
            }
        }
        let (code, report) = sweep(&layout, &envoy);
        assert_eq!(code, 0, "{report}");
        let router = Router::parse(config.to_string().as_bytes()).unwrap();
        assert_each_on_its_owner(&router, &gateways);
        drop(stopper);
        busy.join().unwrap();
        assert!(watching.join().unwrap() > 3, "too few rounds to prove anything");
    });
}

/// Ends the threads when dropped, also by a panic, because the scope waits for them.
struct Stopper<'s>(&'s Watcher, &'s AtomicBool);

impl Drop for Stopper<'_> {
    fn drop(&mut self) {
        self.0.stop();
        self.1.store(true, Ordering::Relaxed);
    }
}

/// Runs a sweep with Envoy's ring file; returns exit code and report.
fn sweep(layout: &Layout, envoy: &Envoy) -> (i32, Value) {
    let (ring, envoy) = (layout.live().join("ring.yaml"), format!("http://{}", envoy.push));
    let args = ["sweep", "--config", ring.to_str().unwrap(), "--envoy", &envoy];
    let output = pushring(args.iter().chain(&["--settle", "1s", "--output", "json"])).unwrap();
    (output.code, output.json().unwrap())
}

fn assert_each_on_its_owner(router: &Router, gateways: &[Pushgateway]) {
    let mut seen: BTreeSet<Labels> = BTreeSet::new();
    for gateway in gateways {
        for group in gateway.groups().unwrap() {
            let path = format!("/metrics/job/{}/instance/{}", group["job"], group["instance"]);
            let owner = router.owner(&router.group(path.as_bytes()).unwrap().key).unwrap();
            assert_eq!(owner.address, gateway.address.to_string(), "{group:?} is misplaced");
            assert!(seen.insert(group.clone()), "{group:?} is doubled");
        }
    }
    let expected: BTreeSet<Labels> = (0..GROUPS).filter(|number| !is_deleted(*number)).map(labels).collect();
    assert_eq!(seen.len(), expected.len());
    assert!(seen == expected, "what clients deleted is back, or something is gone");
}
