//! Two Pushgateways, `g0` and `g1`, a configuration with both as members, and the command.

use std::fs;
use std::net::SocketAddr;

use pushring_router::Router;
use pushring_tests::command::{self, Ran};
use pushring_tests::tap::{Passing, Shift};
use pushring_tests::{Pushgateway, Tap, poll_until};
use serde_json::{Value, json};
use tempfile::TempDir;

/// As if everything had been pushed an hour earlier.
pub(crate) const HOUR_OLD: Shift = Shift { clock: 0, age: 3600 };

pub(crate) struct World {
    pub(crate) gateways: [Pushgateway; 2],
    /// Where the command finds them.
    pub(crate) addresses: [SocketAddr; 2],
    pub(crate) dir: TempDir,
}

impl World {
    pub(crate) fn start(flags: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let gateways = [(), ()].map(|()| Pushgateway::start(dir.path(), flags).unwrap());
        let world = Self { addresses: [gateways[0].address, gateways[1].address], gateways, dir };
        world.configure(json!({}));
        world
    }

    /// Puts a forwarder between the command and a gateway.
    pub(crate) fn tap(
        &mut self,
        gateway: usize,
        shift: Shift,
        before: impl Fn(&Passing) + Send + Sync + 'static,
    ) {
        self.addresses[gateway] = Tap::start(self.gateways[gateway].address, shift, before).unwrap().address;
        self.configure(json!({}));
    }

    /// Writes the configuration anew, with these settings.
    pub(crate) fn configure(&self, mut settings: Value) {
        let [a, b] = self.addresses.map(|address| address.to_string());
        settings["members"] = json!([{"name": "g0", "address": a}, {"name": "g1", "address": b}]);
        fs::write(self.dir.path().join("pushring.json"), settings.to_string()).unwrap();
    }

    pub(crate) fn config(&self) -> String {
        self.dir.path().join("pushring.json").display().to_string()
    }

    /// The push path of a group of `job` that belongs to that gateway.
    pub(crate) fn path_of(&self, owner: usize, job: &str) -> String {
        let router = Router::parse(&fs::read(self.config()).unwrap()).unwrap();
        let owned =
            |path: &String| router.ring().owner(&router.group(path.as_bytes()).unwrap().key) == Some(owner);
        (0..).map(|n| format!("/metrics/job/{job}/n/{n}")).find(owned).unwrap()
    }

    /// Pushes; the gateway must take it.
    pub(crate) fn put(&self, gateway: usize, path: &str, body: &str) {
        let status = self.send(gateway, path, body);
        assert!(matches!(status, 200 | 202), "{path}: {status}");
    }

    /// Pushes; the status of the answer.
    pub(crate) fn send(&self, gateway: usize, path: &str, body: &str) -> u16 {
        self.gateways[gateway].client().unwrap().put(path, body.to_owned()).unwrap().status
    }

    /// Runs a command with the configuration.
    pub(crate) fn run(&self, command: &str, args: &[&str]) -> Ran {
        let config = self.config();
        command::pushring([command, "--config", &config].iter().chain(args)).unwrap()
    }

    /// The same with `--output json`: exit code and document.
    pub(crate) fn json(&self, command: &str, args: &[&str]) -> (i32, Value) {
        let ran = self.run(command, &[args, &["--output", "json"]].concat());
        let json = ran.json().unwrap();
        (ran.code, json)
    }

    /// The jobs of the groups that each gateway holds.
    pub(crate) fn jobs(&self) -> [Vec<String>; 2] {
        [0, 1].map(|gateway| {
            let groups = self.gateways[gateway].groups().unwrap();
            let mut jobs: Vec<String> = groups.iter().map(|labels| labels["job"].clone()).collect();
            jobs.sort();
            jobs
        })
    }

    /// Waits until a gateway has worked off what it answered with 202.
    pub(crate) fn wait_jobs(&self, expected: [&[&str]; 2]) {
        let found = || (self.jobs() == expected).then_some(());
        poll_until(&format!("the jobs {expected:?}"), found).unwrap();
    }
}

/// A field of each group of a report.
pub(crate) fn column(report: &Value, field: &str) -> Vec<Value> {
    report["groups"].as_array().unwrap().iter().map(|group| group[field].clone()).collect()
}

/// `job of the group on gateway: value of the field`, for each group of a report.
pub(crate) fn told(report: &Value, field: &str) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let row = |group: &Value| {
        format!("{} on {}: {}", text(&group["labels"]["job"]), text(&group["on"]), text(&group[field]))
    };
    report["groups"].as_array().unwrap().iter().map(row).collect()
}
