//! The same requests through metric-index in line and through vmagent, to the same sink.

use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use pushring_harness::{MetricIndex, Process, VmAgent};
use serde_json::json;

use crate::report::{Goal, Report, micros};
use crate::requests::Requests;
use crate::sender::{fill, replay};
use crate::sink::Sink;

/// Rounds with known series, in which the programs take turns.
const ROUNDS: usize = 5;
/// vmagent sends what it has at this interval, or earlier.
const FLUSH: Duration = Duration::from_secs(1);

pub(crate) fn measure(dir: &Path, requests: &Requests, report: &mut Report) -> Result<()> {
    let sink = Sink::start()?;
    let url = format!("http://{}/api/v1/write", sink.address);
    let config = json!({
        "metric_store": {"cache": {"default_expire": 86_400}},
        "remote": {"write": {"url": url}},
    });
    let mut index = MetricIndex::start(dir, "in-line", &config)?;
    let agent = VmAgent::start(dir, &url, &[])?;
    fill(&index, requests.version, &requests.bodies)?;
    round(agent.address, &agent.process, requests)?;

    let (mut ours, mut theirs) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..ROUNDS {
        let writes = sink.writes();
        ours += round(index.address, index.process(), requests)?;
        let forwarded = (sink.writes() - writes) as usize;
        ensure!(forwarded == requests.bodies.len(), "metric-index forwarded {forwarded} writes");
        let writes = sink.writes();
        theirs += round(agent.address, &agent.process, requests)?;
        ensure!(sink.writes() > writes, "vmagent forwarded nothing");
    }
    let series = requests.series() * ROUNDS;
    let (ours, theirs) = (micros(ours, series), micros(theirs, series));
    report.goal(
        "CPU time of metric-index in line, as a part of vmagent's",
        Goal::AtMost(1.0 / 3.0),
        ours / theirs,
        format!("{ours:.3} µs a series, vmagent {theirs:.3}; same requests, same sink"),
    );
    Ok(())
}

/// Sends all requests; returns the CPU time until the server has nothing left to do.
fn round(address: SocketAddr, process: &Process, requests: &Requests) -> Result<Duration> {
    let before = process.cpu_time()?;
    replay(address, requests)?;
    loop {
        let cpu = process.cpu_time()?;
        thread::sleep(2 * FLUSH);
        if process.cpu_time()? - cpu <= FLUSH / 50 {
            return Ok(process.cpu_time()? - before);
        }
    }
}
