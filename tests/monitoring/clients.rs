//! Faults of clients.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use pushring_harness::http::{Client, Response};
use pushring_harness::server;
use serde_json::json;

use crate::fleet::Fleet;
use crate::load::{ENVOYS, Load, Repeat, post};

/// A value that is not UTF-8 poisons a gateway.
const POISON: &str = "/metrics/job/poison/x/%ff";
/// The directory of `file_sd`, which Prometheus reads with the targets of `discover`.
const MORE_TARGETS: &str = "/etc/pushring/more.json";
/// Series of a group that is pushed all the time.
const HUGE: usize = 5_000;

/// Also faults of other programs, because none of them disturbs the others.
pub(crate) fn bad(fleet: &mut Fleet) {
    let every = Duration::from_millis(200);
    let pushes = |path: &'static str, body: &'static str| {
        Repeat::start(every, move |_| drop(post(ENVOYS[0], path, body)))
    };
    let clients = [pushes(POISON, "a 1\n"), pushes("/metrics/job/odd/label", "a 1\n")];
    post(ENVOYS[0], "/metrics/job/inconsistent", "a 1\n").unwrap();
    post(ENVOYS[0], "/metrics/job/inconsistent", "a 1\na 2\n").unwrap();
    let slow: Vec<Repeat> = (0..6).map(|_| Repeat::start(every, |_| drop(push_slowly()))).collect();
    fleet.gateways[2].agent.kill();
    fleet.sweeper.kill();
    let clock = clock_ahead(&fleet.gateways[0].address());
    fs::write(MORE_TARGETS, json!([{"targets": [clock]}]).to_string()).unwrap();
    fleet.expect(&[
        ("PushringPoisonRefused", "10.0.1.1:9087"),
        ("PushringPathsUnparsable", "10.0.1.1:9087"),
        ("PushringPushFailedInGateway", "10.0.0."),
        ("PushringPushesSlow", ""),
        ("PushringAgentDown", "10.0.0.3:9087"),
        ("PushringNobodySweeps", ""),
        ("PushringClockSkew", &clock.to_string()),
    ]);
    drop((clients, slow));
    fleet.gateways[2].restart_agent();
    // The return of the member may move the groups; the next push of each lets the sweeper delete the old copy.
    let mended = ["/metrics/job/inconsistent", "/metrics/job/slow"].map(|path| pushes(path, "a 1\n"));
    fleet.restart_sweeper();
    fs::write(MORE_TARGETS, "[]").unwrap();
    fleet.expect_resolved(&[
        "PushringPoisonRefused",
        "PushringPathsUnparsable",
        "PushringPushFailedInGateway",
        "PushringPushesSlow",
        "PushringAgentDown",
        "PushringNobodySweeps",
        "PushringClockSkew",
        "PushringGroupOnTwoGateways",
        "PushringCopiesKept",
    ]);
    drop(mended);
    fleet.wait_members(3);
}

/// Uploads a push for a second and a half.
fn push_slowly() -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(ENVOYS[0])?;
    stream.write_all(
        b"POST /metrics/job/slow HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 4\r\n\r\na",
    )?;
    thread::sleep(Duration::from_millis(1500));
    stream.write_all(b" 1\n")?;
    stream.read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Serves the metrics of a gateway as if its clock were 100 s ahead.
fn clock_ahead(gateway: &str) -> std::net::SocketAddr {
    let gateway = Client::new(gateway.parse().unwrap()).unwrap();
    server::serve(move |_| {
        let ahead = |line: &str| match line.rsplit_once(' ') {
            Some((series, time)) if line.starts_with("push_time_seconds{") => {
                format!("{series} {}\n", time.parse::<f64>().unwrap_or_default() + 100.0)
            }
            _ => format!("{line}\n"),
        };
        let text: String = gateway.get("/metrics")?.text().lines().map(ahead).collect();
        let mut answer = Response::ok(text);
        answer.headers.insert("content-type", "text/plain; version=0.0.4".parse()?);
        Ok(answer)
    })
    .unwrap()
}

/// The same group by Envoy and to another gateway than its owner.
pub(crate) fn past_the_ring(fleet: &mut Fleet) {
    let path = "/metrics/job/stray";
    let by_ring = Repeat::start(Duration::from_millis(200), move |_| drop(post(ENVOYS[0], path, "a 1\n")));
    let owner = fleet.owner("stray");
    let wrong = fleet.gateways[(owner + 1) % 3].address();
    let target = wrong.clone();
    let stray = Repeat::start(Duration::from_millis(100), move |_| drop(post(&target, path, "a 2\n")));
    fleet.expect(&[
        ("PushringPushesPastRing", &wrong),
        ("PushringGroupOnTwoGateways", ""),
        ("PushringCopiesKept", ""),
    ]);
    drop(stray);
    fleet.expect_resolved(&["PushringPushesPastRing", "PushringGroupOnTwoGateways", "PushringCopiesKept"]);
    drop(by_ring);
}

/// The commands of the runbook mend it.
pub(crate) fn poison(fleet: &mut Fleet) {
    let address = fleet.gateways[1].address();
    post(&address, POISON, "a 1\n").unwrap();
    fleet.expect(&[("PushringPushesRejected", ""), ("PushringGatewayPoisoned", &address)]);
    fleet.expect_resolved(&["PushringGatewayPoisoned", "PushringPushesRejected"]);
}

/// One huge group is pushed all the time, to a gateway with one CPU.
pub(crate) fn overload(fleet: &mut Fleet) {
    fleet.load = None;
    post(ENVOYS[0], "/metrics/job/hot", "a 1\n").unwrap();
    let owner = fleet.owner("hot");
    fleet.gateways[owner].restart_with_one_cpu();
    let body: String = (0..HUGE).map(|n| format!("huge{{n=\"{n}\"}} {n}\n")).collect();
    let hot = |client: usize| {
        let body = body.clone();
        Repeat::start(Duration::ZERO, move |_| drop(post(ENVOYS[client % 2], "/metrics/job/hot", &body)))
    };
    let clients: Vec<Repeat> = (0..8).map(hot).collect();
    let address = fleet.gateways[owner].address();
    fleet.expect(&[("PushringMemberOverloaded", &address), ("PushringLoadUneven", &address)]);
    drop(clients);
    fleet.gateways[owner].restart();
    fleet.load = Some(Load::start());
    // While the gateway restarted, its successor got a copy; the next push lets the sweeper delete it.
    let mended =
        Repeat::start(Duration::from_millis(200), |_| drop(post(ENVOYS[0], "/metrics/job/hot", "huge 1\n")));
    fleet.expect_resolved(&[
        "PushringMemberOverloaded",
        "PushringLoadUneven",
        "PushringGroupOnTwoGateways",
        "PushringCopiesKept",
    ]);
    drop(mended);
}
