//! Some Pushgateways, a configuration with them as members, and the command.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use pushring_router::Router;
use pushring_tests::command::{Ran, pushring};
use pushring_tests::http::Client;
use pushring_tests::tap::{Passing, Shift};
use pushring_tests::{Pushgateway, Tap, poll_until};
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) struct World {
    pub(crate) gateways: Vec<Pushgateway>,
    /// Where the command finds them: their own addresses, or those of what stands in front.
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) config: Value,
    pub(crate) dir: TempDir,
}

impl World {
    /// That many members, named `g0`, `g1`, …
    pub(crate) fn start(gateways: usize) -> Self {
        Self::with_flags(gateways, &[])
    }

    pub(crate) fn with_flags(gateways: usize, flags: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let gateways: Vec<_> =
            (0..gateways).map(|_| Pushgateway::start(dir.path(), flags).unwrap()).collect();
        let addresses = gateways.iter().map(|gateway| gateway.address).collect();
        let mut world = Self { gateways, addresses, config: Value::Null, dir };
        world.configure(json!({}));
        world
    }

    /// Puts a forwarder in front of one gateway, for the command only.
    pub(crate) fn tap(
        &mut self,
        gateway: usize,
        shift: Shift,
        before: impl Fn(&Passing) + Send + Sync + 'static,
    ) {
        self.addresses[gateway] = Tap::start(self.gateways[gateway].address, shift, before).unwrap().address;
        self.configure(json!({}));
    }

    /// As if everything on one gateway had been pushed an hour earlier.
    pub(crate) fn age(&mut self, gateway: usize) {
        self.tap(gateway, Shift { age: 3600, ..Shift::default() }, |_| ());
    }

    /// Writes the configuration anew, with these settings.
    pub(crate) fn configure(&mut self, settings: Value) {
        let members: Vec<Value> = (self.addresses.iter().enumerate())
            .map(|(index, address)| json!({"name": format!("g{index}"), "address": address.to_string()}))
            .collect();
        self.config = settings;
        self.config["members"] = members.into();
        fs::write(self.config_file(), self.config.to_string()).unwrap();
    }

    pub(crate) fn config_file(&self) -> PathBuf {
        self.dir.path().join("pushring.json")
    }

    pub(crate) fn router(&self) -> Router {
        Router::parse(self.config.to_string().as_bytes()).unwrap()
    }

    pub(crate) fn owner(&self, path: &str) -> usize {
        let router = self.router();
        router.ring().owner(&router.group(path.as_bytes()).unwrap().key).unwrap()
    }

    /// A push path whose group belongs to that gateway; another one for each `number`.
    pub(crate) fn path_of(&self, owner: usize, number: usize) -> String {
        let paths = (0..).map(|job| format!("/metrics/job/j{job}/n/{number}"));
        paths.filter(|path| self.owner(path) == owner).take(1).next().unwrap()
    }

    pub(crate) fn client(&self, gateway: usize) -> Client {
        self.gateways[gateway].client().unwrap()
    }

    pub(crate) fn put(&self, gateway: usize, path: &str, body: &str) {
        let answer = self.client(gateway).put(path, body.to_owned()).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    pub(crate) fn post(&self, gateway: usize, path: &str, body: &str) {
        let answer = self.client(gateway).post(path, body.to_owned()).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// How many groups each gateway holds.
    pub(crate) fn counts(&self) -> Vec<usize> {
        let count = |gateway: &Pushgateway| {
            let api = gateway.client().unwrap().get("/api/v1/metrics").unwrap().json().unwrap();
            api["data"].as_array().unwrap().len()
        };
        self.gateways.iter().map(count).collect()
    }

    /// `pushring sweep`, without waiting for the members to settle.
    pub(crate) fn sweep(&self, args: &[&str]) -> Ran {
        let config = self.config_file();
        let fixed = ["sweep", "--config", config.to_str().unwrap(), "--settle", "0s", "--output", "json"];
        pushring(fixed.iter().chain(args)).unwrap()
    }
}

/// The misplaced copies of a report: gateway -> (result, reason), for reports with one copy a gateway.
pub(crate) fn misplaced(ran: &Ran) -> BTreeMap<String, (String, String)> {
    let json = ran.json().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let copies = json["misplaced"].as_array().unwrap().iter();
    copies.map(|copy| (text(&copy["on"]), (text(&copy["result"]), text(&copy["reason"])))).collect()
}

/// Lets more time pass than the margin within which two pushes count as simultaneous.
pub(crate) fn margin() {
    let since = Instant::now();
    let passed = || (since.elapsed() > Duration::from_millis(2500)).then_some(());
    poll_until("the margin between two pushes to pass", passed).unwrap();
}
