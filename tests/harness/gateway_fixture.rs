//! Some Pushgateways, a configuration with them as members, and the command. Made for tests: what goes wrong panics.

use std::fmt::Display;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use pushring_router::Router;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::command::{self, CommandOutput};
use crate::delaying_proxy::Shift;
use crate::http::Client;
use crate::server::Request;
use crate::{DelayingProxy, Pushgateway};

/// As if everything had been pushed an hour earlier.
pub const HOUR_OLD: Shift = Shift::age(3600);

/// The gateways stop when it is dropped.
#[derive(Debug)]
pub struct GatewayFixture {
    /// In the order of the members, which are named `g0`, `g1`, …
    pub gateways: Vec<Pushgateway>,
    /// Where the command finds them: their own addresses, or those of what stands in front. Call
    /// [`GatewayFixture::configure`] after a change.
    pub addresses: Vec<SocketAddr>,
    /// As it was last written.
    pub config: Value,
    /// Of the configuration file and the logs.
    pub dir: TempDir,
}

impl GatewayFixture {
    /// That many members, and a configuration with nothing else in it.
    #[must_use]
    pub fn start(gateways: usize) -> Self {
        Self::with_flags(gateways, &[])
    }

    /// The same with these flags for each gateway.
    #[must_use]
    pub fn with_flags(gateways: usize, flags: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let gateways: Vec<_> =
            (0..gateways).map(|_| Pushgateway::start(dir.path(), flags).unwrap()).collect();
        let addresses = gateways.iter().map(|gateway| gateway.address).collect();
        let mut world = Self { gateways, addresses, config: Value::Null, dir };
        world.configure(json!({}));
        world
    }

    /// Puts a forwarder in front of one gateway, for the command only; see [`DelayingProxy::start`]. It takes the place of an
    /// earlier one.
    pub fn proxy(&mut self, gateway: usize, shift: Shift, before: impl Fn(&Request) + Send + Sync + 'static) {
        self.addresses[gateway] =
            DelayingProxy::start(self.gateways[gateway].address, shift, before).unwrap().address;
        let settings = self.config.take();
        self.configure(settings);
    }

    /// As if everything on one gateway had been pushed an hour earlier.
    pub fn age(&mut self, gateway: usize) {
        self.proxy(gateway, HOUR_OLD, |_| ());
    }

    /// Writes the configuration anew: these settings, and the members at their addresses.
    pub fn configure(&mut self, settings: Value) {
        let members: Vec<Value> = (self.addresses.iter().enumerate())
            .map(|(index, address)| json!({"name": format!("g{index}"), "address": address.to_string()}))
            .collect();
        self.config = settings;
        self.config["members"] = members.into();
        fs::write(self.config_file(), self.config.to_string()).unwrap();
    }

    /// Where the configuration is.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.dir.path().join("pushring.json")
    }

    /// Which gateway the group of a push path belongs to.
    #[must_use]
    pub fn owner(&self, path: &str) -> usize {
        let router = Router::parse(self.config.to_string().as_bytes()).unwrap();
        router.ring().owner(&router.group(path.as_bytes()).unwrap().key).unwrap()
    }

    /// The push path of a group of `job` that belongs to that gateway.
    #[must_use]
    pub fn path_of(&self, owner: usize, job: impl Display) -> String {
        let mut paths = (0..).map(|n| format!("/metrics/job/{job}/n/{n}"));
        paths.find(|path| self.owner(path) == owner).unwrap()
    }

    /// A new client of a gateway, past what stands in front.
    #[must_use]
    pub fn client(&self, gateway: usize) -> Client {
        self.gateways[gateway].client().unwrap()
    }

    /// Puts to a gateway, which must take it.
    #[track_caller]
    pub fn put(&self, gateway: usize, path: &str, body: &str) {
        let status = self.send(gateway, path, body);
        assert!(matches!(status, 200 | 202), "{path}: {status}");
    }

    /// Puts to a gateway; the status of the answer.
    #[must_use]
    pub fn send(&self, gateway: usize, path: &str, body: &str) -> u16 {
        self.client(gateway).put(path, body.to_owned()).unwrap().status
    }

    /// How many groups each gateway holds, those included whose labels the API does not show.
    #[must_use]
    pub fn counts(&self) -> Vec<usize> {
        let count = |gateway: &Pushgateway| {
            let api = gateway.client().unwrap().get("/api/v1/metrics").unwrap().json().unwrap();
            api["data"].as_array().unwrap().len()
        };
        self.gateways.iter().map(count).collect()
    }

    /// Runs a command with the configuration.
    #[must_use]
    pub fn run(&self, command: &str, args: &[&str]) -> CommandOutput {
        let config = self.config_file();
        command::pushring([command, "--config", config.to_str().unwrap()].iter().chain(args)).unwrap()
    }

    /// The same with `--output json`: exit code and document.
    #[must_use]
    pub fn json(&self, command: &str, args: &[&str]) -> (i32, Value) {
        let output = self.run(command, &[args, &["--output", "json"]].concat());
        (output.code, output.json().unwrap())
    }
}
