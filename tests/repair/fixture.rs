//! Pushgateways in a ring with replicas, and pushes as Envoy mirrors them.

use std::thread;
use std::time::{Duration, Instant};

use pushring_harness::command::{self, CommandOutput};
use pushring_harness::exposed::{Exposed, exposed};
use pushring_harness::{GatewayFixture, Pushgateway, poll_until, proto};
use pushring_router::Router;
use serde_json::{Value, json};

/// A ring with `mirror: all`.
pub(crate) struct RepairFixture {
    pub(crate) inner: GatewayFixture,
    started: Instant,
}

impl RepairFixture {
    pub(crate) fn start(gateways: usize) -> Self {
        let mut inner = GatewayFixture::start(gateways);
        inner.configure(json!({"mirror": "all"}));
        Self { inner, started: Instant::now() }
    }

    /// Waits until clocks of whole seconds show a push later than the start of its gateway and the time of the ring.
    pub(crate) fn age(&self) {
        let ripe = || (self.started.elapsed() > Duration::from_secs(4)).then_some(());
        poll_until("time stamps that differ", ripe).unwrap();
    }

    /// Returns the indices of owner and replica of the group of a push path.
    pub(crate) fn places(&self, path: &str) -> [usize; 2] {
        let router = Router::parse(self.inner.config.to_string().as_bytes()).unwrap();
        let key = router.group(path.as_bytes()).unwrap().key;
        let mut members = router.ring().clockwise(&key);
        [members.next().unwrap(), members.next().unwrap()]
    }

    pub(crate) fn gateway(&self, index: usize) -> &Pushgateway {
        &self.inner.gateways[index]
    }

    /// Sends a request to owner and replica, as Envoy does.
    #[track_caller]
    pub(crate) fn mirrored(&self, method: &str, path: &str, text: &str) {
        for gateway in self.places(path) {
            self.send(gateway, method, path, text);
        }
    }

    /// Sends a request to one gateway, and waits until it has stored it.
    #[track_caller]
    pub(crate) fn send(&self, gateway: usize, method: &str, path: &str, text: &str) {
        send(self.gateway(gateway), method, path, text);
    }

    /// Pushes families in protobuf to owner and replica.
    #[track_caller]
    pub(crate) fn mirrored_protobuf(&self, path: &str, families: &[Vec<u8>]) {
        for gateway in self.places(path) {
            let (client, headers) = (self.inner.client(gateway), [("content-type", proto::CONTENT_TYPE)]);
            let answer = client.send("POST", path, &headers, families.concat()).unwrap();
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        }
    }

    /// Kills a gateway with SIGKILL and starts it again, without its groups.
    pub(crate) fn lose(&mut self, index: usize) {
        let address = self.gateway(index).address;
        self.inner.gateways[index].process.kill();
        self.inner.gateways[index] = Pushgateway::start_at(self.inner.dir.path(), address, &[]).unwrap();
        assert_eq!(self.gateway(index).groups().unwrap(), []);
    }

    pub(crate) fn exposed(&self, index: usize) -> Exposed {
        exposed(self.gateway(index))
    }

    pub(crate) fn exposed_all(&self) -> Vec<Exposed> {
        (0..self.inner.gateways.len()).map(|index| self.exposed(index)).collect()
    }

    pub(crate) fn sweep(&self, args: &[&str]) -> CommandOutput {
        self.sweep_settled("0s", args)
    }

    pub(crate) fn sweep_settled(&self, settle: &str, args: &[&str]) -> CommandOutput {
        command::pushring(self.args(settle, args)).unwrap()
    }

    /// Returns the arguments of a repair. A test decides when a mirrored push arrives, so nothing waits for one.
    pub(crate) fn args(&self, settle: &str, more: &[&str]) -> Vec<String> {
        let config = self.inner.config_file().display().to_string();
        let args = ["sweep", "--repair", "--output", "json", "--config", &config, "--settle", settle];
        let limits = ["--in-flight", "100ms", "--confirm-after", "100ms"];
        args.iter().chain(&limits).chain(more).map(|&arg| arg.to_owned()).collect()
    }

    /// Repairs, which must leave nothing to do, and returns what was repaired.
    #[track_caller]
    pub(crate) fn repair(&self) -> Vec<Value> {
        let output = self.sweep(&[]);
        assert_eq!(output.code, 0, "{} {}", output.stdout, output.stderr);
        output.json().unwrap()["repaired"].as_array().unwrap().clone()
    }
}

#[track_caller]
pub(crate) fn send(gateway: &Pushgateway, method: &str, path: &str, text: &str) {
    let answer = gateway.client().unwrap().send(method, path, &[], text.to_owned()).unwrap();
    assert!(matches!(answer.status, 200 | 202), "{path}: {} {}", answer.status, answer.text());
    if method == "DELETE" {
        let name = path.rsplit('/').next().unwrap();
        let gone =
            || !gateway.groups().unwrap().iter().any(|labels| labels.values().any(|value| value == name));
        poll_until("the deletion", || gone().then_some(())).unwrap();
    }
}

/// Returns the value of a line such as `m{instance="",job="j"} 1` of a gateway.
pub(crate) fn value(gateway: &Pushgateway, series: &str) -> Option<String> {
    let metrics = gateway.metrics().unwrap();
    metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ').map(str::to_owned))
}

/// Lets time pass that is part of a rule: a push must have an age.
pub(crate) fn pass(seconds: u64) {
    thread::sleep(Duration::from_secs(seconds));
}
