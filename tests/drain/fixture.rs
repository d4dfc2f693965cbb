//! Pushgateways in a ring, and one that has left it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use pushring_harness::command::{self, CommandOutput};
pub(crate) use pushring_harness::exposed::{Exposed, exposed};
use pushring_harness::http::Response;
use pushring_harness::server::Request;
use pushring_harness::{DelayingProxy, Pushgateway, Shift};
use pushring_router::Router;
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) const PROTOBUF: &str =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

/// Stops all gateways when dropped.
pub(crate) struct DrainFixture {
    /// The members of the ring.
    pub(crate) owners: Vec<Pushgateway>,
    /// The gateway that has left the ring.
    pub(crate) source: Pushgateway,
    /// The proxy in front of each gateway that has one.
    pub(crate) proxies: BTreeMap<SocketAddr, SocketAddr>,
    /// Settings of the filter's configuration.
    pub(crate) settings: Value,
    pub(crate) dir: TempDir,
}

impl DrainFixture {
    /// Starts the source and this number of owners with these flags.
    pub(crate) fn start(owners: usize, flags: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let start = || Pushgateway::start(dir.path(), flags).unwrap();
        Self {
            owners: (0..owners).map(|_| start()).collect(),
            source: start(),
            proxies: BTreeMap::new(),
            settings: json!({}),
            dir,
        }
    }

    /// Puts a proxy between the command and a gateway; `before` is called before a request is forwarded.
    pub(crate) fn proxy(
        &mut self,
        gateway: SocketAddr,
        shift: Shift,
        before: impl Fn(&Request) + Send + Sync + 'static,
    ) {
        self.proxy_with(gateway, shift, before, |_| ());
    }

    /// Puts a proxy in front that also calls `after` once the gateway answered.
    pub(crate) fn proxy_with(
        &mut self,
        gateway: SocketAddr,
        shift: Shift,
        before: impl Fn(&Request) + Send + Sync + 'static,
        after: impl Fn(&Request) + Send + Sync + 'static,
    ) {
        let proxy = DelayingProxy::start_with(gateway, shift, before, after).unwrap();
        self.proxies.insert(gateway, proxy.address);
    }

    /// Returns the address of a gateway for the command.
    pub(crate) fn address(&self, gateway: &Pushgateway) -> String {
        self.proxies.get(&gateway.address).unwrap_or(&gateway.address).to_string()
    }

    /// Writes the filter's configuration with the owners as members and returns its path.
    pub(crate) fn config(&self) -> PathBuf {
        let members: Vec<_> = self.owners.iter().map(|owner| self.address(owner)).collect();
        let mut config = self.settings.clone();
        config["members"] = members.into();
        self.write(&config)
    }

    pub(crate) fn write(&self, config: &Value) -> PathBuf {
        let path = self.dir.path().join("filter.json");
        std::fs::write(&path, config.to_string()).unwrap();
        path
    }

    /// Returns the owner of the group of a push path.
    pub(crate) fn owner(&self, path: &str) -> &Pushgateway {
        self.clockwise(path)[0]
    }

    /// Returns the owner of the group of a push path and its successors.
    pub(crate) fn clockwise(&self, path: &str) -> Vec<&Pushgateway> {
        let router = Router::parse(&std::fs::read(self.config()).unwrap()).unwrap();
        let order = router.ring().clockwise(&router.group(path.as_bytes()).unwrap().key);
        let address = |index: usize| router.config().members[index].address.clone();
        let gateway =
            |address: String| self.owners.iter().find(|gateway| self.address(gateway) == address).unwrap();
        order.map(|index| gateway(address(index))).collect()
    }

    /// Returns the arguments of a drain without a settling time.
    pub(crate) fn args(&self, more: &[&str]) -> Vec<String> {
        let config = self.config().display().to_string();
        let address = self.address(&self.source);
        let args = ["drain", &address, "--config", &config, "--settle", "0s", "--output", "json"];
        args.iter().chain(more).map(|&arg| arg.to_owned()).collect()
    }

    pub(crate) fn drain(&self, more: &[&str]) -> CommandOutput {
        command::pushring(self.args(more)).unwrap()
    }

    /// Drains and checks that nothing is left.
    pub(crate) fn drain_all(&self) -> Value {
        let output = self.drain(&[]);
        assert_eq!(output.code, 0, "{} {}", output.stdout, output.stderr);
        assert_eq!(self.source.groups().unwrap(), []);
        output.json().unwrap()
    }

    /// Drains and returns the code of the reason why the only group was kept.
    pub(crate) fn kept(&self) -> String {
        self.kept_with(&[])
    }

    pub(crate) fn kept_with(&self, args: &[&str]) -> String {
        let output = self.drain(args);
        assert_eq!(output.code, 1, "{} {}", output.stdout, output.stderr);
        let report = output.json().unwrap();
        assert_eq!(report["kept"].as_array().unwrap().len(), 1, "{report}");
        report["kept"][0]["code"].as_str().unwrap().to_owned()
    }

    /// Returns the exposition of all owners together.
    pub(crate) fn owned(&self) -> Exposed {
        let mut all = Exposed::new();
        for (name, (kind, help, metrics)) in self.owners.iter().flat_map(exposed) {
            let family = all.entry(name).or_insert((kind, help.clone(), Vec::new()));
            assert_eq!((family.0, &family.1), (kind, &help));
            family.2.extend(metrics);
            family.2.sort();
        }
        all
    }
}

/// Pushes text that the gateway must accept.
#[track_caller]
pub(crate) fn push(gateway: &Pushgateway, method: &str, path: &str, text: &str) {
    let answer = gateway.client().unwrap().send(method, path, &[], text.to_owned()).unwrap();
    assert!(matches!(answer.status, 200 | 202), "{path}: {} {}", answer.status, answer.text());
}

/// Pushes text and returns the gateway's answer.
pub(crate) fn send(gateway: &Pushgateway, path: &str, text: &str) -> Response {
    gateway.client().unwrap().put(path, text.to_owned()).unwrap()
}

/// Pushes protobuf that the gateway must accept.
#[track_caller]
pub(crate) fn push_protobuf(gateway: &Pushgateway, path: &str, families: &[Vec<u8>]) {
    let client = gateway.client().unwrap();
    let answer = client.send("POST", path, &[("content-type", PROTOBUF)], families.concat()).unwrap();
    assert!(matches!(answer.status, 200 | 202), "{path}: {} {}", answer.status, answer.text());
}

/// Returns whether the text exposition contains a line such as `m{instance="",job="j"} 1`.
pub(crate) fn has(gateway: &Pushgateway, line: &str) -> bool {
    gateway.metrics().unwrap().lines().any(|found| found == line)
}

/// Calls `act` until it takes less than a second: two clocks cannot order pushes that are so close.
pub(crate) fn within_a_second(act: impl Fn()) {
    loop {
        let began = Instant::now();
        act();
        if began.elapsed() < Duration::from_secs(1) {
            return;
        }
    }
}
