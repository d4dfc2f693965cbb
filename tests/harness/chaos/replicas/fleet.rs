//! The gateways, which are killed and come back empty, and the ring that Envoy's files name.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use fastrand::Rng;
use pushring::fleet::ring_file::filter_json;
use pushring_router::Router;

use super::exposition::{self, Exposed};
use super::groups::{self, GROUPS};
use crate::Pushgateway;
use crate::chaos::gateways::name;

/// Times that another address is chosen because a program has it.
const TRIES: usize = 5;

/// Gateways without persistence. Each adds its name to its answers.
#[derive(Debug)]
pub(super) struct Fleet {
    dir: PathBuf,
    gateways: Vec<(SocketAddr, Option<Pushgateway>)>,
}

impl Fleet {
    pub(super) fn start(dir: &Path, count: usize) -> Result<Self> {
        let mut fleet = Self { dir: dir.to_owned(), gateways: Vec::new() };
        for index in 0..count {
            let config =
                format!("http_server_config:\n  headers:\n    Content-Security-Policy: {}\n", name(index));
            fs::write(fleet.web_config(index), config)?;
            let mut started = fleet.run(index, address());
            for _ in 1..TRIES {
                if started.is_err() {
                    started = fleet.run(index, address());
                }
            }
            let started = started?;
            fleet.gateways.push((started.address, Some(started)));
        }
        Ok(fleet)
    }

    fn web_config(&self, index: usize) -> PathBuf {
        self.dir.join(format!("{}.yml", name(index)))
    }

    fn run(&self, index: usize, address: SocketAddr) -> Result<Pushgateway> {
        let config = format!("--web.config.file={}", self.web_config(index).display());
        Pushgateway::start_at(&self.dir, address, &[&config])
    }

    pub(super) fn len(&self) -> usize {
        self.gateways.len()
    }

    pub(super) fn address(&self, index: usize) -> SocketAddr {
        self.gateways[index].0
    }

    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.gateways.iter().map(|(address, _)| *address).collect()
    }

    /// Kills a gateway with SIGKILL.
    pub(super) fn kill(&mut self, index: usize) {
        if let Some(mut gateway) = self.gateways[index].1.take() {
            gateway.process.kill();
        }
    }

    /// Starts a killed gateway again at its address: it holds nothing.
    pub(super) fn restart(&mut self, index: usize) -> Result<()> {
        self.gateways[index].1 = Some(self.run(index, self.address(index))?);
        Ok(())
    }

    /// Returns the content of a gateway.
    pub(super) fn read(&self, index: usize) -> Result<Exposed> {
        let gateway = self.gateways[index].1.as_ref().with_context(|| format!("{} is down", name(index)))?;
        exposition::parse(&gateway.metrics()?)
    }
}

/// Returns an address of its own: on Linux all of 127.0.0.0/8 is this machine, and while a gateway is down no other program
/// gets its port.
fn address() -> SocketAddr {
    let ip = [127, fastrand::u8(128..), fastrand::u8(..), fastrand::u8(1..255)];
    SocketAddr::from((ip, fastrand::u16(10_000..32_000)))
}

/// The ring that is published.
#[derive(Debug)]
pub(super) struct Ring {
    router: Router,
    paths: Vec<String>,
}

impl Ring {
    /// Reads the published file.
    pub(super) fn read(file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
        let router = Router::parse(filter_json(&text)?.as_bytes())?;
        let mut random = Rng::with_seed(0);
        Ok(Self { router, paths: (0..GROUPS).map(|group| groups::path(group, &mut random)).collect() })
    }

    pub(super) fn digest(&self) -> String {
        self.router.digest()
    }

    /// Returns whether exactly these gateways are on it.
    pub(super) fn has(&self, addresses: &[SocketAddr]) -> bool {
        let members = &self.router.config().members;
        let on = |address: &SocketAddr| members.iter().any(|member| member.address == address.to_string());
        members.len() == addresses.len() && addresses.iter().all(on)
    }

    /// Returns the addresses of the owner and of the replica of a group.
    pub(super) fn homes(&self, group: usize) -> Result<[SocketAddr; 2]> {
        let key = self.router.group(self.paths[group].as_bytes()).context("not a push path")?.key;
        let members = &self.router.config().members;
        let mut clockwise = self.router.ring().clockwise(&key).map(|index| members[index].address.parse());
        let mut next = || anyhow::Ok(clockwise.next().context("too few members")??);
        Ok([next()?, next()?])
    }
}
