//! Starts a real Kafka: one process, broker and controller.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::ports::on_free_ports;
use crate::process::{self, Process};
use crate::tools;

/// An identifier as any other of a cluster.
const CLUSTER: &str = "AAAAAAAAAAAAAAAAAAAAAQ";
/// Settings of a cluster of one broker with little memory.
const SETTINGS: &str = "\
process.roles=broker,controller
node.id=1
controller.listener.names=CONTROLLER
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
num.partitions=4
num.network.threads=1
num.io.threads=2
log.cleaner.dedupe.buffer.size=2097152
";

/// A running Kafka. Dropping it kills the process.
#[derive(Debug)]
pub struct Kafka {
    /// The address for clients.
    pub address: SocketAddr,
    process: Process,
    dir: PathBuf,
}

impl Kafka {
    /// Starts a Kafka on free ports; data and log are in `dir`.
    ///
    /// # Errors
    /// If it is not installed, Java is missing, or it does not become ready.
    pub fn start(dir: &Path) -> Result<Self> {
        on_free_ports(|[port, controller, _]| {
            let data = dir.join(format!("kafka-{port}"));
            let settings = format!(
                "{SETTINGS}controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
log.dirs={}
",
                data.display()
            );
            let file = properties(dir, port);
            fs::write(&file, settings)?;
            let mut format = java()?;
            format.args(["-Xmx128m", "kafka.tools.StorageTool", "format", "--cluster-id", CLUSTER]);
            let output = format.arg("--config").arg(&file).output().context("cannot start java")?;
            ensure!(output.status.success(), "format: {}", String::from_utf8_lossy(&output.stderr));
            Self::start_at(dir, port)
        })
    }

    fn start_at(dir: &Path, port: u16) -> Result<Self> {
        let mut command = java()?;
        command.args(["-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "kafka.Kafka"]);
        command.arg(properties(dir, port));
        let mut process = Process::start("kafka", command, dir)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        process.wait_until("listening", |_| TcpStream::connect(address).ok())?;
        Ok(Self { address, process, dir: dir.to_owned() })
    }

    /// Starts it again, at the same port and with its data, after its process was killed.
    ///
    /// # Errors
    /// If it does not become ready.
    pub fn restart(&mut self) -> Result<()> {
        *self = Self::start_at(&self.dir, self.address.port())?;
        Ok(())
    }

    /// Returns the process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

fn properties(dir: &Path, port: u16) -> PathBuf {
    dir.join(format!("kafka-{port}.properties"))
}

/// A command for Java with the libraries of Kafka.
fn java() -> Result<Command> {
    let mut command = process::command(Path::new("java"));
    command.arg("-cp").arg(tools::kafka()?.join("*"));
    Ok(command)
}
