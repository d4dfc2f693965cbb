//! `--watch --repair`: passes repair what was lost since the last one.

use std::net::SocketAddr;

use pushring_harness::http::Client;
use pushring_harness::{Process, command, poll_until, process, tools};
use rustix::process::Signal;
use serde_json::Value;

use crate::fixture::RepairFixture;

fn events(sweeper: &Process) -> Vec<Value> {
    let log = sweeper.log();
    let whole = log.rfind('\n').map_or("", |end| &log[..end]);
    whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn metric(sweeper: &Process, name: &str) -> Option<String> {
    let events = events(sweeper);
    let url = events.iter().find(|event| event["message"] == "started")?["url"].as_str()?;
    let address: SocketAddr = url.strip_prefix("http://")?.strip_suffix("/metrics")?.parse().ok()?;
    let text = Client::new(address).ok()?.get("/metrics").ok()?.text();
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned))
}

#[test]
fn passes_repair_what_is_lost() {
    let mut fixture = RepairFixture::start(2);
    for owner in 0..2 {
        let path = fixture.inner.path_of(owner, "j");
        fixture.mirrored("PUT", &path, "a 1\n");
    }
    let before = fixture.exposed_all();
    let mut command = command::prepare(process::command(&tools::pushring().unwrap()));
    let config = fixture.inner.config_file();
    command.args(["sweep", "--repair", "--watch", "1s", "--single", "--settle", "0s", "--config"]);
    command.arg(config).args(["--listen", "127.0.0.1:0"]);
    let mut sweeper = Process::start("sweeper", command, fixture.inner.dir.path()).unwrap();
    for (round, lost) in [0, 1, 0].into_iter().enumerate() {
        fixture.lose(lost);
        poll_until("the groups", || (fixture.exposed_all() == before).then_some(())).unwrap();
        let total = ((round + 1) * 2).to_string();
        let counts = || metric(&sweeper, "pushring_sweep_repaired_total").filter(|count| *count == total);
        poll_until("the counter", counts).unwrap();
    }
    assert_eq!(metric(&sweeper, "pushring_sweep_unrepaired{reason=\"doubt\"}").as_deref(), Some("0"));
    let repaired: Vec<_> =
        events(&sweeper).into_iter().filter(|event| event["message"] == "repaired").collect();
    let copied: u64 = repaired.iter().map(|event| event["copied"].as_u64().unwrap()).sum();
    assert_eq!(copied, 6, "{repaired:?}");
    assert_eq!(sweeper.stop(Signal::TERM).unwrap().code(), Some(0));
}
