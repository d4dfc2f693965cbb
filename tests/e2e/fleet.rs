//! Pushgateways with an Envoy in front, and the owners that the router names for the same configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use pushring_harness::{Envoy, Layout, Member, Mode, Ports, Pushgateway, live};
use pushring_router::Router;
use serde_json::Value;
use tempfile::TempDir;

/// The labels of a group.
pub(crate) type Group = BTreeMap<String, String>;

/// Stopped when dropped: Envoy first, the folder last.
pub(crate) struct Fleet {
    pub(crate) envoy: Envoy,
    pub(crate) layout: Layout,
    pub(crate) gateways: Vec<Pushgateway>,
    pub(crate) config: Value,
    _dir: TempDir,
}

impl Fleet {
    /// The shipped configuration with that many pushgateways.
    pub(crate) fn start(mode: Mode, gateways: usize) -> Self {
        Self::with(mode, gateways, |_| ())
    }

    /// The same with some settings of the filter changed.
    pub(crate) fn with(mode: Mode, gateways: usize, change: impl FnOnce(&mut Value)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let gateways: Vec<_> = (0..gateways).map(|_| Pushgateway::start(dir.path(), &[]).unwrap()).collect();
        let members: Vec<Member> = gateways.iter().map(|gateway| gateway.address.into()).collect();
        let mut config = live::config(mode, &members).unwrap();
        change(&mut config);
        let layout = Layout::create(&dir.path().join("pushring"), mode, Ports::default()).unwrap();
        layout.write(&config).unwrap();
        let envoy = Envoy::start(&layout, 1).unwrap();
        Self { envoy, layout, gateways, config, _dir: dir }
    }

    /// Which pushgateway the router says has the group of this path.
    pub(crate) fn owner(&self, path: &str) -> usize {
        self.clockwise(path)[0]
    }

    /// The owner of the path's group and all that come after it on the ring.
    pub(crate) fn clockwise(&self, path: &str) -> Vec<usize> {
        let router = Router::parse(self.config.to_string().as_bytes()).unwrap();
        let key = router.group(path.as_bytes()).expect("a push path").key;
        let members = &router.config().members;
        router.ring().clockwise(&key).map(|index| self.index(&members[index].address)).collect()
    }

    /// Which pushgateways hold each group.
    pub(crate) fn holders(&self) -> BTreeMap<Group, BTreeSet<usize>> {
        let mut holders: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for (index, gateway) in self.gateways.iter().enumerate() {
            for group in gateway.groups().unwrap() {
                holders.entry(group).or_default().insert(index);
            }
        }
        holders
    }

    /// How many requests Envoy has sent to each pushgateway so far, over all its clusters.
    pub(crate) fn requests(&self) -> Vec<u64> {
        let text = self.envoy.admin("/clusters").unwrap();
        let count = |address: SocketAddr| {
            let mark = format!("::{address}::rq_total::");
            text.lines().filter_map(|line| line.split_once(&mark)?.1.parse::<u64>().ok()).sum()
        };
        self.gateways.iter().map(|gateway| count(gateway.address)).collect()
    }

    /// What a client would put into the destination header to reach one pushgateway.
    pub(crate) fn destination(&self, gateway: usize) -> String {
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

/// The group of some labels.
pub(crate) fn group(labels: &[(&str, &str)]) -> Group {
    labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
