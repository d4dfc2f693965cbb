//! The observers of the fleet: `pushring serve`, Prometheus, Alertmanager, Zipkin and node_exporter.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use pushring_harness::http::Client;
use pushring_harness::{Process, command, process, tools};
use serde_json::Value;

use super::config;

/// Zipkin with its page, from Maven.
const ZIPKIN: &str = "target/tools/zipkin-server.jar";

/// Starts `pushring serve`, and waits until Envoy, at this address, passes requests to it.
pub(super) fn serve(dir: &Path, address: SocketAddr, ring: &Path, envoy: SocketAddr) -> Result<Process> {
    let mut command = command::prepare(process::command(&tools::pushring()?));
    command.arg("serve").arg("--config").arg(ring).arg(format!("--listen={address}"));
    ready(Process::start("serve", command, dir)?, envoy, "/")
}

/// Starts Prometheus with rules and scrape configuration, and waits until it is ready.
pub(super) fn prometheus(dir: &Path, address: SocketAddr, config: &Value, speed: u64) -> Result<Process> {
    fs::write(dir.join("rules.yml"), config::shipped("rules.yml", speed)?)?;
    let file = dir.join("prometheus.yml");
    // JSON is YAML.
    fs::write(&file, serde_json::to_string_pretty(config)?)?;
    let mut command = process::command(&tools::find("prometheus")?);
    command.arg(format!("--web.listen-address={address}")).arg("--log.level=warn");
    command.arg(format!("--config.file={}", file.display()));
    command.arg(format!("--storage.tsdb.path={}", dir.join("prometheus-data").display()));
    ready(Process::start("prometheus", command, dir)?, address, "/-/ready")
}

/// Starts Alertmanager, which sends its messages to `receiver`.
pub(super) fn alertmanager(
    dir: &Path,
    address: SocketAddr,
    receiver: SocketAddr,
    speed: u64,
) -> Result<Process> {
    let text = config::shipped("alertmanager.yml", speed)?.replace("127.0.0.1:9099", &receiver.to_string());
    let file = dir.join("alertmanager.yml");
    fs::write(&file, text)?;
    let mut command = process::command(&tools::find("alertmanager")?);
    command.arg(format!("--config.file={}", file.display())).arg("--cluster.listen-address=");
    command.arg(format!("--web.listen-address={address}")).arg("--log.level=warn");
    command.arg(format!("--storage.path={}", dir.join("alertmanager-data").display()));
    ready(Process::start("alertmanager", command, dir)?, address, "/-/ready")
}

/// Starts node_exporter.
pub(super) fn node_exporter(dir: &Path, address: SocketAddr) -> Result<Process> {
    let mut command = process::command(&tools::debian("bin/prometheus-node-exporter")?);
    command.arg(format!("--web.listen-address={address}")).arg("--collector.processes");
    command.args(["--no-collector.systemd", "--no-collector.textfile"]);
    ready(Process::start("node_exporter", command, dir)?, address, "/")
}

/// Starts Zipkin, which takes longer than all others, and does not wait for it; the error says why it cannot run.
pub(super) fn zipkin(dir: &Path, address: SocketAddr) -> Result<Process, String> {
    let jar: PathBuf = tools::repository().join(ZIPKIN);
    if !jar.exists() {
        return Err(format!(
            "{ZIPKIN} is missing; `make observe` downloads it if Java and Maven are installed"
        ));
    }
    let java = Command::new("java").arg("-version").output().is_ok_and(|output| output.status.success());
    if !java {
        return Err("Java is not installed".to_owned());
    }
    let mut command = process::command(Path::new("java"));
    command.args(["-Xmx400m", "-XX:+UseSerialGC", "-jar"]).arg(jar);
    command.arg(format!("--armeria.ports[0].ip={}", address.ip()));
    command
        .arg(format!("--armeria.ports[0].port={}", address.port()))
        .arg("--armeria.ports[0].protocol=http");
    Process::start("zipkin", command, dir).map_err(|error| format!("{error:#}"))
}

/// Returns whether a server answers this path.
pub(super) fn answers(address: SocketAddr, path: &str) -> bool {
    let get = || Client::new(address)?.get(path);
    get().is_ok_and(|answer| answer.status == 200)
}

fn ready(mut process: Process, address: SocketAddr, path: &str) -> Result<Process> {
    process.wait_until("ready", |_| answers(address, path).then_some(()))?;
    Ok(process)
}
