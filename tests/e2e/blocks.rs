//! The blocks of examples/observability/ that need no collector: what an operator learns by them.

use pushring_harness::http::Client;
use pushring_harness::{Envoy, Layout, Mode, Ports, Pushgateway, envoy_files, poll_until};
use pushring_router::Router;

use crate::access_log;

const PATH: &str = "/metrics/job/a";

/// Two gateways, the owner of the group of [`PATH`] first.
fn start(mode: Mode, blocks: &[&str]) -> (Envoy, Vec<Pushgateway>, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let mut gateways: Vec<_> = (0..2).map(|_| Pushgateway::start(dir.path(), &[]).unwrap()).collect();
    let members: Vec<_> = gateways.iter().map(|gateway| gateway.address.into()).collect();
    let config = envoy_files::config(mode, &members).unwrap();
    let router = Router::parse(config.to_string().as_bytes()).unwrap();
    let owner = router.owner_of(PATH.as_bytes()).unwrap().owner.unwrap().address.to_string();
    gateways.sort_by_key(|gateway| gateway.address.to_string() != owner);
    let layout = Layout::patched(&dir.path().join("pushring"), mode, Ports::default(), blocks).unwrap();
    layout.write(&config).unwrap();
    (Envoy::start(&layout, 1).unwrap(), gateways, dir)
}

/// Returns the value of the series `name` that has all these labels.
fn sample(envoy: &Envoy, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let text = Client::new(envoy.metrics?).ok()?.get("/metrics").ok()?.text();
    let has = |line: &&str| labels.iter().all(|(name, value)| line.contains(&format!("{name}=\"{value}\"")));
    let mut lines = text.lines().filter(|line| line.starts_with(&format!("{name}{{"))).filter(has);
    lines.next()?.rsplit(' ').next()?.parse().ok()
}

#[test]
fn the_stats_block_counts_by_gateway_failover_and_reason() {
    for mode in Mode::ROUTED {
        let (envoy, mut gateways, _dir) = start(mode, &["stats"]);
        let [owner, next] = [0, 1].map(|index| gateways[index].address.to_string());
        let client = envoy.client().unwrap();
        let pushes = |labels: &[(&str, &str)]| {
            poll_until(&format!("{mode}: a push with {labels:?}"), || {
                sample(&envoy, "envoy_pushring_pushes_total", labels)
            })
        };
        assert_eq!(client.put(PATH, "x 1\n").unwrap().status, 200);
        assert_eq!(pushes(&[("pushgateway", &owner), ("code", "200"), ("attempts", "1")]).unwrap(), 1.0);
        assert_eq!(client.put("/metrics/job/a%ff", "x 1\n").unwrap().status, 400);
        assert_eq!(pushes(&[("reason", "pushring_poison"), ("code", "400")]).unwrap(), 1.0);
        gateways[0].process.kill();
        let status = client.put(PATH, "x 2\n").unwrap().status;
        if mode == Mode::Endpoint {
            assert_eq!(status, 200);
            assert_eq!(pushes(&[("pushgateway", &next), ("code", "200"), ("attempts", "2")]).unwrap(), 1.0);
        } else {
            assert_eq!(status, 503);
            let wanted =
                [("pushgateway", owner.as_str()), ("code", "503"), ("flags", "URX,UF"), ("attempts", "3")];
            assert_eq!(pushes(&wanted).unwrap(), 1.0);
        }
        let timed = [("pushgateway", owner.as_str())];
        poll_until("a time", || {
            sample(&envoy, "envoy_pushring_push_duration_count", &timed).filter(|count| *count >= 1.0)
        })
        .unwrap();
    }
}

#[test]
fn the_failovers_block_logs_a_push_that_succeeded_later() {
    let (envoy, mut gateways, _dir) = start(Mode::Endpoint, &["failovers"]);
    let next = gateways[1].address.to_string();
    let client = envoy.client().unwrap();
    assert_eq!(client.put(PATH, "x 1\n").unwrap().status, 200);
    gateways[0].process.kill();
    assert_eq!(client.put(PATH, "x 2\n").unwrap().status, 200);
    let line = access_log::line(&envoy, PATH);
    assert_eq!(
        (&line["status"], &line["attempts"], &line["upstream"]),
        (&200.into(), &2.into(), &next.into())
    );
    assert_eq!(access_log::lines(&envoy).len(), 1, "the first push is not logged");
}
