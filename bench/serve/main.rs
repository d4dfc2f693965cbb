//! `make bench-serve`: the time and the memory of a scrape of `pushring serve`.
//!
//! One process simulates fifty gateways; they answer from memory, in the form and size of a Pushgateway. The server is the
//! release build. Its memory is the peak of its resident memory, over all scrapes.

mod gateways;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use pushring_bench::{progress, table};
use pushring_harness::http::Client;
use pushring_harness::process::memory;
use serde_json::json;

use gateways::{FAMILIES, GROUPS, Gateways};

/// Number of gateways.
const GATEWAYS: usize = 50;
/// Scrapes of each kind, of which the slowest is reported.
const SCRAPES: usize = 5;
const PROTOBUF: &str =
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";

/// The kinds of requests: name, path, `Accept`, `Accept-Encoding`.
const REQUESTS: [(&str, &str, &str, &str); 5] = [
    ("text", "/metrics", "text/plain", ""),
    ("text, gzip", "/metrics", "text/plain", "gzip"),
    ("protobuf, gzip", "/metrics", PROTOBUF, "gzip"),
    ("API", "/api/v1/metrics", "application/json", ""),
    ("page", "/", "text/html", ""),
];

fn main() -> Result<()> {
    let command = std::env::args().nth(1).context("usage: serve PATH, the path of the pushring command")?;
    let bar = progress("serve", 2 * REQUESTS.len() * SCRAPES);
    let mut table = table(&["mirror", "answer", "bytes", "s", "MB"]);
    for mirror in ["deletes", "all"] {
        let dir = tempfile::tempdir()?;
        let config = dir.path().join("pushring.json");
        let gateways = Gateways::start(GATEWAYS)?;
        let settings = json!({"members": gateways.addresses(), "mirror": mirror});
        std::fs::write(&config, settings.to_string())?;
        gateways.fill(&settings, mirror == "all")?;
        for (name, path, accept, encoding) in REQUESTS {
            let mut server = Server::start(&command, &config)?;
            let client = Client::new(server.address)?;
            let (mut slowest, mut bytes) = (Duration::ZERO, 0);
            for _ in 0..SCRAPES {
                let began = Instant::now();
                let headers = [("accept", accept), ("accept-encoding", encoding)];
                let answer = client.send("GET", path, &headers, "")?;
                slowest = slowest.max(began.elapsed());
                ensure!(answer.status == 200, "{name}: {} {}", answer.status, answer.text());
                bytes = answer.body.len();
                if (path, encoding) == ("/metrics", "") {
                    let found =
                        answer.text().lines().filter(|line| line.starts_with("metric_number_")).count();
                    ensure!(
                        found == GROUPS * FAMILIES,
                        "found {found} series, expected {}",
                        GROUPS * FAMILIES
                    );
                }
                bar.inc(1);
            }
            let (seconds, memory) =
                (format!("{:.2}", slowest.as_secs_f64()), format!("{:.0}", server.memory_mb()?));
            table.add_row([mirror, name, &bytes.to_string(), &seconds, &memory]);
        }
    }
    bar.finish_and_clear();
    println!(
        "{GATEWAYS} gateways, {GROUPS} groups of {FAMILIES} families; the slowest of {SCRAPES} scrapes; goals: 2 s, 300 MB\n{table}"
    );
    Ok(())
}

/// A running server; it ends when dropped.
struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    fn start(command: &str, config: &Path) -> Result<Self> {
        let mut command = Command::new(command);
        command.args(["serve", "--listen", "127.0.0.1:0", "--config"]).arg(config).stderr(Stdio::piped());
        let mut process = command.spawn()?;
        let mut line = String::new();
        BufReader::new(process.stderr.take().context("no standard error")?).read_line(&mut line)?;
        let address = line.split_once(r#""url":"http://"#).and_then(|(_, rest)| rest.split('"').next());
        let address = address.and_then(|address| address.parse().ok());
        let address = address.with_context(|| format!("serve did not start: {line}"))?;
        Ok(Self { process, address })
    }

    /// Returns the peak of the resident memory.
    fn memory_mb(&mut self) -> Result<f64> {
        Ok(memory(self.process.id(), "VmHWM")? as f64 / f64::from(1 << 20))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
