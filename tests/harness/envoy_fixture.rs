//! Pushgateways with an Envoy in front, and the owners that the router computes from the same configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;

use crate::{Envoy, Layout, Member, Mode, Module, Ports, Pushgateway, envoy_files, tools};
use pushring_router::Router;
use serde_json::Value;
use tempfile::TempDir;

/// The labels of a group.
pub type Group = BTreeMap<String, String>;

/// Stops all servers when dropped.
#[derive(Debug)]
pub struct EnvoyFixture {
    /// Serves pushes with one worker.
    pub envoy: Envoy,
    /// Envoy's files.
    pub layout: Layout,
    /// The members.
    pub gateways: Vec<Pushgateway>,
    /// The configuration of the filter.
    pub config: Value,
    dir: TempDir,
}

impl EnvoyFixture {
    /// Starts the shipped configuration with this number of Pushgateways.
    #[must_use]
    pub fn start(mode: Mode, gateways: usize) -> Self {
        Self::with(mode, gateways, |_| ())
    }

    /// Starts it with some settings of the filter changed.
    #[must_use]
    pub fn with(mode: Mode, gateways: usize, change: impl FnOnce(&mut Value)) -> Self {
        Self::build(Module::chosen(), &tools::find("envoy").unwrap(), mode, gateways, &[], &[], change)
    }

    /// Starts it with this form of the filter, whichever the suites test.
    #[must_use]
    pub fn with_module(module: Module, mode: Mode, gateways: usize) -> Self {
        Self::build(module, &tools::find("envoy").unwrap(), mode, gateways, &[], &[], |_| ())
    }

    /// Starts it on another Envoy.
    #[must_use]
    pub fn start_on(binary: &Path, mode: Mode, gateways: usize) -> Self {
        Self::build(Module::chosen(), binary, mode, gateways, &[], &[], |_| ())
    }

    /// Starts it with each first text in Envoy's bootstrap replaced by the second, for example a timeout by a shorter one.
    #[must_use]
    pub fn edited(mode: Mode, gateways: usize, edits: &[(&str, &str)]) -> Self {
        Self::patched(mode, gateways, &[], edits)
    }

    /// As [`EnvoyFixture::edited`], with patches of `examples/` applied before.
    #[must_use]
    pub fn patched(mode: Mode, gateways: usize, patches: &[&str], edits: &[(&str, &str)]) -> Self {
        Self::build(Module::chosen(), &tools::find("envoy").unwrap(), mode, gateways, patches, edits, |_| ())
    }

    fn build(
        module: Module,
        binary: &Path,
        mode: Mode,
        gateways: usize,
        patches: &[&str],
        edits: &[(&str, &str)],
        change: impl FnOnce(&mut Value),
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let gateways: Vec<_> = (0..gateways).map(|_| Pushgateway::start(dir.path(), &[]).unwrap()).collect();
        let members: Vec<Member> = gateways.iter().map(|gateway| gateway.address.into()).collect();
        let mut config = envoy_files::config(mode, &members).unwrap();
        change(&mut config);
        let layout =
            Layout::with_module(module, &dir.path().join("pushring"), mode, Ports::default(), patches)
                .unwrap();
        layout.edit(edits).unwrap();
        layout.write(&config).unwrap();
        let envoy = layout.start(binary, 1).unwrap();
        Self { envoy, layout, gateways, config, dir }
    }

    /// Starts a Pushgateway again, empty and at its address, as a supervisor would after a crash; from then on it ends when
    /// it needs more than `memory` bytes.
    pub fn restart_gateway(&mut self, index: usize, memory: u64) {
        let gateway = &mut self.gateways[index];
        gateway.process.kill();
        *gateway = Pushgateway::start_limited(self.dir.path(), gateway.address, memory, &[]).unwrap();
    }

    /// Returns the index of the owner of the group of a path.
    #[must_use]
    pub fn owner(&self, path: &str) -> usize {
        self.clockwise(path)[0]
    }

    /// Returns the owner of the path's group and all further members in the order of the ring.
    #[must_use]
    pub fn clockwise(&self, path: &str) -> Vec<usize> {
        let router = Router::parse(self.config.to_string().as_bytes()).unwrap();
        let key = router.group(path.as_bytes()).expect("a push path").key;
        let members = &router.config().members;
        router.ring().clockwise(&key).map(|index| self.index(&members[index].address)).collect()
    }

    /// Returns the Pushgateways that store each group.
    #[must_use]
    pub fn holders(&self) -> BTreeMap<Group, BTreeSet<usize>> {
        let mut holders: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for (index, gateway) in self.gateways.iter().enumerate() {
            for group in gateway.groups().unwrap() {
                holders.entry(group).or_default().insert(index);
            }
        }
        holders
    }

    /// Returns the number of requests that Envoy sent to each Pushgateway, over all clusters.
    #[must_use]
    pub fn requests(&self) -> Vec<u64> {
        let text = self.envoy.admin("/clusters").unwrap();
        let count = |address: SocketAddr| {
            let mark = format!("::{address}::rq_total::");
            text.lines().filter_map(|line| line.split_once(&mark)?.1.parse::<u64>().ok()).sum()
        };
        self.gateways.iter().map(|gateway| count(gateway.address)).collect()
    }

    /// Returns the destination header that leads to one Pushgateway.
    #[must_use]
    pub fn destination(&self, gateway: usize) -> String {
        let address = self.gateways[gateway].address;
        match self.layout.mode() {
            Mode::Cluster => format!("pushgateway-{address}"),
            Mode::Endpoint | Mode::Redirect => address.to_string(),
        }
    }

    fn index(&self, address: &str) -> usize {
        self.gateways.iter().position(|gateway| gateway.address.to_string() == address).unwrap()
    }
}

/// Builds a group from labels.
#[must_use]
pub fn group(labels: &[(&str, &str)]) -> Group {
    labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
