//! Two Pushgateways, an optional Consul that lists them, and sweepers that watch them.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use pushring_harness::http::Client;
use pushring_harness::server::Request;
use pushring_harness::{Consul, DelayingProxy, Process, Pushgateway, Shift, command, process, tools};
use pushring_router::Router;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Two gateways and a group that the first one owns, regardless of the addresses.
pub(crate) struct WatchFixture {
    pub(crate) gateways: [Pushgateway; 2],
    /// The proxy in front of the second gateway, which shows everything as pushed an hour earlier.
    pub(crate) front: DelayingProxy,
    pub(crate) dir: TempDir,
}

/// A running `pushring sweep --watch`.
pub(crate) struct Sweeper {
    pub(crate) process: Process,
}

impl WatchFixture {
    pub(crate) fn start() -> Self {
        Self::with_hook(|_| ())
    }

    /// `before` is called before each request of a sweeper to the second gateway.
    pub(crate) fn with_hook(before: impl Fn(&Request) + Send + Sync + 'static) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let gateways = [(); 2].map(|()| Pushgateway::start(dir.path(), &[]).unwrap());
        let aged = Shift::age(3600);
        let front = DelayingProxy::start(gateways[1].address, aged, before).unwrap();
        let fixture = Self { gateways, front, dir };
        fixture.configure(2);
        fixture
    }

    /// Returns the addresses of the gateways for a sweeper.
    pub(crate) fn addresses(&self) -> [SocketAddr; 2] {
        [self.gateways[0].address, self.front.address]
    }

    /// Writes the configuration with this number of members.
    pub(crate) fn configure(&self, members: usize) {
        fs::write(self.config(), self.json(members).to_string()).unwrap();
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.dir.path().join("pushring.json")
    }

    fn json(&self, members: usize) -> Value {
        json!({"members": &self.addresses()[..members], "status_path": "/-/pushring"})
    }

    /// Registers both gateways in Consul on a node without an agent, so that their status stays as it is.
    pub(crate) fn register(&self, consul: &Consul) {
        for address in self.addresses() {
            let id = address.to_string();
            let service =
                json!({"ID": id, "Service": "pushgateway", "Address": address.ip(), "Port": address.port()});
            let check =
                json!({"CheckID": format!("check-{id}"), "Name": "x", "ServiceID": id, "Status": "passing"});
            let body = json!({"Node": "far", "Address": "127.0.0.1", "Service": service, "Check": check});
            consul.put("/v1/catalog/register", &body).unwrap();
        }
    }

    /// Returns a push path whose group the first gateway owns.
    pub(crate) fn path(&self) -> String {
        let router = Router::parse(self.json(2).to_string().as_bytes()).unwrap();
        let owner = |path: &String| router.ring().owner(&router.group(path.as_bytes()).unwrap().key);
        (0..)
            .map(|job| format!("/metrics/job/j{job}"))
            .find(|path| owner(path) == self.first(&router))
            .unwrap()
    }

    /// The members are sorted, so the first gateway need not be the first member.
    fn first(&self, router: &Router) -> Option<usize> {
        let first = self.gateways[0].address.to_string();
        router.config().members.iter().position(|member| member.address == first)
    }

    pub(crate) fn put(&self, gateway: usize) {
        let answer = self.gateways[gateway].client().unwrap().put(&self.path(), "a 1\n").unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    pub(crate) fn delete(&self, gateway: usize) {
        let answer = self.gateways[gateway].client().unwrap().delete(&self.path()).unwrap();
        assert_eq!(answer.status, 202, "{}", answer.text());
    }

    /// Stores a stale copy on the second gateway.
    pub(crate) fn leave_a_copy(&self) {
        self.put(1);
        self.put(0);
        assert_eq!(self.counts(), [1, 1]);
    }

    /// Returns the number of groups on each gateway.
    pub(crate) fn counts(&self) -> [usize; 2] {
        [0, 1].map(|index: usize| self.gateways[index].groups().unwrap().len())
    }

    /// Starts `pushring sweep --watch 1s` with these arguments.
    pub(crate) fn watch(&self, name: &str, args: &[&str]) -> Sweeper {
        self.watch_every("1s", name, args)
    }

    /// Starts it with another interval.
    pub(crate) fn watch_every(&self, interval: &str, name: &str, args: &[&str]) -> Sweeper {
        let mut command = command::prepare(process::command(&tools::pushring().unwrap()));
        command
            .args(["sweep", "--watch", interval, "--listen", "127.0.0.1:0", "--config"])
            .arg(self.config());
        command.args(args);
        Sweeper { process: Process::start(name, command, self.dir.path()).unwrap() }
    }

    /// Starts it with the members from Consul.
    pub(crate) fn watch_with(&self, name: &str, consul: &Consul) -> Sweeper {
        let url = format!("http://{}", consul.address);
        self.watch(name, &["--settle", "0s", "--consul", &url])
    }
}

impl Sweeper {
    /// Returns the logged events. Every complete line must be JSON.
    pub(crate) fn events(&self) -> Vec<Value> {
        let log = self.process.log();
        let whole = log.rfind('\n').map_or("", |end| &log[..end]);
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
        whole.lines().map(parse).collect()
    }

    /// Returns the events with this message.
    pub(crate) fn logged(&self, message: &str) -> Vec<Value> {
        let mut events = self.events();
        events.retain(|event| event["message"] == message);
        events
    }

    /// Waits until it has logged `message` this number of times.
    pub(crate) fn wait(&mut self, message: &str, times: usize) -> Vec<Value> {
        let logged =
            |process: &Process| (process.log().matches(&quoted(message)).count() >= times).then_some(());
        self.process.wait_until(&format!("{message:?} {times} times"), logged).unwrap();
        self.logged(message)
    }

    /// Returns the messages in order, without those of passes.
    pub(crate) fn messages(&self) -> Vec<String> {
        let events = self.events();
        let messages = events.iter().map(|event| event["message"].as_str().unwrap().to_owned());
        messages.filter(|message| message != "pass").collect()
    }

    /// Returns its metrics by name with labels.
    pub(crate) fn metrics(&mut self) -> BTreeMap<String, f64> {
        let started = self.wait("started", 1).remove(0);
        let address = started["url"].as_str().unwrap().strip_prefix("http://").unwrap();
        let address: SocketAddr = address.strip_suffix("/metrics").unwrap().parse().unwrap();
        let answer = Client::new(address).unwrap().get("/metrics").unwrap();
        assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
        let text = answer.text();
        let samples = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let samples = samples.map(|line| line.rsplit_once(' ').unwrap());
        samples.map(|(name, value)| (name.to_owned(), value.parse().unwrap())).collect()
    }

    pub(crate) fn is_active(&mut self) -> bool {
        self.metrics().get("pushring_sweep_active") == Some(&1.0)
    }

    /// Stops it with SIGTERM.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        self.process.stop(Signal::TERM).unwrap().code()
    }
}

fn quoted(message: &str) -> String {
    format!("\"message\":{}", Value::from(message))
}
