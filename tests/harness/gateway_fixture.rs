//! Pushgateways, a configuration with them as members, and the command. The fixture panics on errors.

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

/// Shows all groups as pushed an hour earlier.
pub const HOUR_OLD: Shift = Shift::age(3600);

/// Stops the gateways when dropped.
#[derive(Debug)]
pub struct GatewayFixture {
    /// The members `g0`, `g1`, … in this order.
    pub gateways: Vec<Pushgateway>,
    /// The address of each member in the configuration: its own or that of a proxy. Call [`GatewayFixture::configure`]
    /// after a change.
    pub addresses: Vec<SocketAddr>,
    /// The configuration as last written.
    pub config: Value,
    /// Contains the configuration and the logs.
    pub dir: TempDir,
}

impl GatewayFixture {
    /// Starts this number of members with the default settings.
    #[must_use]
    pub fn start(gateways: usize) -> Self {
        Self::with_flags(gateways, &[])
    }

    /// Starts the members with flags for each gateway.
    #[must_use]
    pub fn with_flags(gateways: usize, flags: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let gateways: Vec<_> =
            (0..gateways).map(|_| Pushgateway::start(dir.path(), flags).unwrap()).collect();
        let addresses = gateways.iter().map(|gateway| gateway.address).collect();
        let mut fixture = Self { gateways, addresses, config: Value::Null, dir };
        fixture.configure(json!({}));
        fixture
    }

    /// Puts a proxy in front of one gateway for the command; see [`DelayingProxy::start`]. It replaces an earlier
    /// proxy.
    pub fn proxy(&mut self, gateway: usize, shift: Shift, before: impl Fn(&Request) + Send + Sync + 'static) {
        self.addresses[gateway] =
            DelayingProxy::start(self.gateways[gateway].address, shift, before).unwrap().address;
        let settings = self.config.take();
        self.configure(settings);
    }

    /// Shows everything on one gateway as pushed an hour earlier.
    pub fn age(&mut self, gateway: usize) {
        self.proxy(gateway, HOUR_OLD, |_| ());
    }

    /// Writes a configuration with these settings and with the members at their addresses.
    pub fn configure(&mut self, settings: Value) {
        let members: Vec<Value> = (self.addresses.iter().enumerate())
            .map(|(index, address)| json!({"name": format!("g{index}"), "address": address.to_string()}))
            .collect();
        self.config = settings;
        self.config["members"] = members.into();
        fs::write(self.config_file(), self.config.to_string()).unwrap();
    }

    /// Returns the path of the configuration.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.dir.path().join("pushring.json")
    }

    /// Returns the index of the owner of the group of a push path.
    #[must_use]
    pub fn owner(&self, path: &str) -> usize {
        let router = Router::parse(self.config.to_string().as_bytes()).unwrap();
        router.ring().owner(&router.group(path.as_bytes()).unwrap().key).unwrap()
    }

    /// Returns a push path with this job whose group belongs on these members: the owner, its first successor, and so on.
    #[must_use]
    pub fn placed(&self, members: &[usize], job: impl Display) -> String {
        let router = Router::parse(self.config.to_string().as_bytes()).unwrap();
        let mut paths = (0..).map(|n| format!("/metrics/job/{job}/n/{n}"));
        let order = |path: &str| -> Vec<usize> {
            router.ring().clockwise(&router.group(path.as_bytes()).unwrap().key).take(members.len()).collect()
        };
        paths.find(|path| order(path) == members).unwrap()
    }

    /// Returns a push path with this job whose group `owner` owns.
    #[must_use]
    pub fn path_of(&self, owner: usize, job: impl Display) -> String {
        let mut paths = (0..).map(|n| format!("/metrics/job/{job}/n/{n}"));
        paths.find(|path| self.owner(path) == owner).unwrap()
    }

    /// Returns a new client of a gateway that bypasses its proxy.
    #[must_use]
    pub fn client(&self, gateway: usize) -> Client {
        self.gateways[gateway].client().unwrap()
    }

    /// Puts metrics to a gateway, which must accept them.
    #[track_caller]
    pub fn put(&self, gateway: usize, path: &str, body: &str) {
        let status = self.send(gateway, path, body);
        assert!(matches!(status, 200 | 202), "{path}: {status}");
    }

    /// Puts metrics to a gateway and returns the status of the answer.
    #[must_use]
    pub fn send(&self, gateway: usize, path: &str, body: &str) -> u16 {
        self.client(gateway).put(path, body.to_owned()).unwrap().status
    }

    /// Returns the number of groups on each gateway, including groups whose labels the API does not show.
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

    /// Runs a command with `--output json` and returns exit code and document.
    #[must_use]
    pub fn json(&self, command: &str, args: &[&str]) -> (i32, Value) {
        let output = self.run(command, &[args, &["--output", "json"]].concat());
        (output.code, output.json().unwrap())
    }
}
