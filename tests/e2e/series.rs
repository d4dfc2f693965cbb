//! A client chooses no label of a metric, and a scrape stays small: with the shipped files, and with the blocks of
//! examples/observability/.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use pushring_harness::http::{Client, Response};
use pushring_harness::server::serve;
use pushring_harness::{Envoy, Layout, Member, Mode, Ports, envoy_files, poll_until};
use tempfile::TempDir;

/// Starts an Envoy with blocks, in front of these gateways.
fn start(mode: Mode, blocks: &[&str], gateways: &[SocketAddr]) -> (Envoy, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::patched(dir.path(), mode, Ports::default(), blocks).unwrap();
    if blocks.contains(&"zipkin") {
        let collector = format!("port_value: {} ", answer_all(202).port());
        layout.edit(&[("port_value: 9411 ", &collector)]).unwrap();
    }
    let members: Vec<Member> = gateways.iter().map(|&gateway| gateway.into()).collect();
    layout.write(&envoy_files::config(mode, &members).unwrap()).unwrap();
    (Envoy::start(&layout, 1).unwrap(), dir)
}

fn answer_all(status: u16) -> SocketAddr {
    serve(move |_| Ok(Response { status, headers: Default::default(), body: Default::default() })).unwrap()
}

/// Starts gateways that accept every push.
fn gateways(count: usize) -> Vec<SocketAddr> {
    (0..count).map(|_| answer_all(200)).collect()
}

fn scrape(envoy: &Envoy) -> String {
    Client::new(envoy.metrics.unwrap()).unwrap().get("/metrics").unwrap().text()
}

/// Returns names and labels of all samples.
fn series(envoy: &Envoy) -> BTreeSet<String> {
    let text = scrape(envoy);
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples.map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
}

/// Reports whether every gateway has the series that the others have.
fn alike(series: &BTreeSet<String>, gateways: &[SocketAddr]) -> bool {
    let of = |gateway: &SocketAddr| -> BTreeSet<String> {
        // A cluster's name has no dots and colons.
        let address = gateway.to_string();
        let cluster = address.replace(['.', ':'], "_");
        let all = series.iter().filter(|one| one.contains(&address) || one.contains(&cluster));
        all.map(|one| one.replace(&address, "GATEWAY").replace(&cluster, "GATEWAY")).collect()
    };
    gateways.iter().all(|gateway| of(gateway) == of(&gateways[0]))
}

/// Odd requests, each with the number in every place where a client can put a text.
fn requests(n: usize) -> Vec<Vec<u8>> {
    let headers = format!(
        "host: h{n}\r\nuser-agent: u{n}\r\nx-{n}: {n}\r\nx-request-id: r{n}\r\nx-pushring-reason: r{n}\r\n\
         x-pushring-destination: d{n}\r\nx-envoy-upstream-alt-stat-name: a{n}\r\nx-envoy-{n}: {n}\r\n\
         x-forwarded-for: 10.{}.{}.1\r\ncookie: c={n}\r\nauthorization: Basic {n}\r\norigin: http://o{n}\r\n\
         traceparent: 00-{n:032x}-{n:016x}-01\r\ntracestate: t{n}={n}\r\nx-client-trace-id: {n}\r\n\
         grpc-timeout: {n}S\r\nreferer: http://r{n}/\r\naccept: a/{n}\r\n",
        n >> 8 & 255,
        n & 255
    );
    let lines = [
        format!("PUT /metrics/job/j{n}/l{n}/v{n}"),
        format!("POST /metrics/job@base64/{n:08}/l{n}/v"),
        format!("DELETE /metrics/job/d{n}"),
        format!("PUT /metrics/job/%ff{n}"),
        format!("PUT //metrics/job/{n}"),
        format!("PUT /metrics/job/a{n}/odd"),
        format!("GET /metrics/job/a{n}"),
        format!("GET /-/pushring/owner?path=/metrics/job/{n}"),
        format!("GET /{n}?query={n}"),
        format!("PATCH /metrics/job/{n}"),
        format!("PROPFIND /p{n}"),
        format!("OPTIONS /{n}"),
        format!("PUT http://absolute{n}/metrics/job/{n}"),
    ];
    let mut all = Vec::new();
    for line in lines {
        for more in ["content-type: text/plain", "content-type: application/grpc", "cdn-loop: pushring"] {
            let body = "content-length: 4\r\n\r\nx 1\n";
            all.push(format!("{line} HTTP/1.1\r\n{headers}{more};n={n}\r\n{body}").into_bytes());
        }
    }
    // An unknown method, no header, no host, and too long a path.
    let last = match n % 4 {
        0 => format!("M{n} /metrics/job/a HTTP/1.1\r\nhost: a\r\n\r\n"),
        1 => format!("PUT /metrics/job/a HTTP/1.1\r\nhost: a\r\nbad {n}\r\n\r\n"),
        2 => format!("PUT /metrics/job/{n} HTTP/1.0\r\n\r\n"),
        _ => format!("PUT /{} HTTP/1.1\r\nhost: {n}\r\n\r\n", "p".repeat(70_000)),
    };
    all.push(last.into_bytes());
    all
}

/// Number of pushes in [`requests`].
const PUSHES: usize = 40;

/// Sends each request on a connection of its own, and leaves with the first bytes of the answer: Envoy closes some connections
/// only a second later.
fn send(envoy: &Envoy, numbers: std::ops::Range<usize>) {
    for request in numbers.flat_map(requests) {
        let mut stream = TcpStream::connect(envoy.push).unwrap();
        // Envoy may answer and close before it has read all of a long path.
        let _ = stream.write_all(&request);
        let _ = stream.read(&mut [0; 4096]);
    }
}

#[test]
fn ten_thousand_odd_pushes_add_no_series() {
    let all: &[&str] = &["stats", "failovers", "zipkin"];
    for (mode, blocks) in [(Mode::Cluster, &[] as &[&str]), (Mode::Endpoint, all)] {
        let gateways = gateways(3);
        let (envoy, _dir) = start(mode, blocks, &gateways);
        // The counter of a status comes with its first answer. The ports of this run decide the owner of a group, so the rounds
        // continue until every gateway has got every kind of request.
        let mut sent = 0;
        let complete = || {
            send(&envoy, sent..sent + 8);
            sent += 8;
            alike(&series(&envoy), &gateways).then_some(())
        };
        poll_until("every kind of request at every gateway", complete).unwrap();
        if blocks.contains(&"zipkin") {
            envoy.wait_stat("tracing.zipkin.reports_sent", |sent| sent > 0).unwrap();
        }
        // The scrapes count themselves.
        let scraped = "envoy_cluster_upstream_rq_xx{envoy_response_code_class=\"2\",envoy_cluster_name=\"envoy-admin\"}";
        poll_until("a second scrape", || series(&envoy).contains(scraped).then_some(())).unwrap();
        let before = series(&envoy);
        assert_eq!(
            before.iter().any(|one| one.starts_with("envoy_pushring_pushes_total{")),
            !blocks.is_empty()
        );
        send(&envoy, 7_654_000..7_654_000 + 10_000 / PUSHES);
        let after = series(&envoy);
        let new: Vec<_> = after.difference(&before).collect();
        assert!(new.is_empty(), "{mode} {blocks:?}: {new:#?}");
        assert!(!after.iter().any(|one| one.contains("7654")), "{mode}: a number of a client");
    }
}

#[test]
fn a_scrape_of_fifty_members_has_at_most_two_megabytes() {
    for (mode, blocks) in [(Mode::Cluster, &["stats"]), (Mode::Endpoint, &["stats"])] {
        let (envoy, _dir) = start(mode, blocks, &gateways(50));
        let client = envoy.client().unwrap();
        // Every member needs a group, and the ports of this run decide how many it gets.
        for n in 0..2000 {
            assert_eq!(client.put(&format!("/metrics/job/{n}"), "x 1\n").unwrap().status, 200);
        }
        let text = scrape(&envoy);
        let counted =
            |line: &&str| line.starts_with("envoy_cluster_endpoint_rq_total{") && !line.ends_with(" 0");
        assert_eq!(text.lines().filter(counted).count(), 50, "{mode}: every member got a push");
        assert!(text.len() <= 2_000_000, "{mode}: {} bytes", text.len());
        println!("{mode}: {} bytes, {} lines", text.len(), text.lines().count());
    }
}
