//! Starts a real MariaDB.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use crate::ports::on_free_ports;
use crate::process::Process;
use crate::tools;

/// A running MariaDB with the database `metrics`; the user `root` has no password. Dropping it kills the process.
#[derive(Debug)]
pub struct MariaDb {
    /// The address for clients.
    pub address: SocketAddr,
    process: Process,
    dir: PathBuf,
}

impl MariaDb {
    /// Starts a MariaDB on a free port; data and log are in `dir`.
    ///
    /// # Errors
    /// If it is not installed or does not become ready.
    pub fn start(dir: &Path) -> Result<Self> {
        install(dir)?;
        let started = on_free_ports(|[port, ..]| Self::start_at(dir, port))?;
        started.query("CREATE DATABASE metrics")?;
        Ok(started)
    }

    fn start_at(dir: &Path, port: u16) -> Result<Self> {
        let mut command = tools::stores_command("sbin/mariadbd")?;
        command.args([
            "--no-defaults",
            "--user=root",
            "--bind-address=127.0.0.1",
            "--skip-log-bin",
            "--performance-schema=OFF",
            "--innodb-buffer-pool-size=64M",
            "--character-set-server=utf8mb4",
        ]);
        command.arg(format!("--basedir={}", tools::stores("")?.display()));
        command.arg(format!("--datadir={}", data(dir).display()));
        command.arg(format!("--socket={}", dir.join("mariadb.sock").display()));
        command.arg(format!("--port={port}"));
        let process = Process::start("mariadb", command, dir)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut started = Self { address, process, dir: dir.to_owned() };
        let ready = || query(address, "", "SELECT 1").ok();
        started.process.wait_until("ready", |_| ready())?;
        Ok(started)
    }

    /// Starts it again, at the same port and with its data, after its process was killed.
    ///
    /// # Errors
    /// If it does not become ready.
    pub fn restart(&mut self) -> Result<()> {
        *self = Self::start_at(&self.dir, self.address.port())?;
        Ok(())
    }

    /// Runs statements; returns the fields of each row.
    ///
    /// # Errors
    /// If the server refuses one.
    pub fn query(&self, sql: &str) -> Result<Vec<Vec<String>>> {
        query(self.address, "", sql)
    }

    /// Runs statements in the database `metrics`, as [`MariaDb::query`].
    ///
    /// # Errors
    /// If the server refuses one.
    pub fn metrics(&self, sql: &str) -> Result<Vec<Vec<String>>> {
        query(self.address, "metrics", sql)
    }

    /// Returns the process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// Writes the tables of the system.
fn install(dir: &Path) -> Result<()> {
    let mut command = tools::stores_command("bin/mariadb-install-db")?;
    command.args([
        "--no-defaults",
        "--user=root",
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
    ]);
    command.arg(format!("--basedir={}", tools::stores("")?.display()));
    command.arg(format!("--datadir={}", data(dir).display()));
    let output = command.output()?;
    ensure!(output.status.success(), "mariadb-install-db: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn query(address: SocketAddr, database: &str, sql: &str) -> Result<Vec<Vec<String>>> {
    let mut command = tools::stores_command("bin/mariadb")?;
    command.args(["--no-defaults", "--host=127.0.0.1", "--user=root", "--batch", "--skip-column-names"]);
    command.args([
        "--default-character-set=utf8mb4",
        "--connect-timeout=5",
        &format!("--port={}", address.port()),
    ]);
    let output = command.arg(format!("--execute={sql}")).arg(format!("--database={database}")).output()?;
    ensure!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
    let row = |line: &str| line.split('\t').map(str::to_owned).collect();
    Ok(String::from_utf8(output.stdout)?.lines().map(row).collect())
}

fn data(dir: &Path) -> PathBuf {
    dir.join("mariadb-data")
}
