//! The machines that the documents speak of: one with Envoy and Consul (10.0.1.1), and one per gateway (10.0.0.1 to .9).

use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use pushring_harness::http::Client;
use pushring_harness::{Consul, Pushgateway, command, machine, poll_until, tools};
use tempfile::TempDir;

/// Where the documents push to.
pub(crate) const PUSH: &str = "10.0.1.1:9091";

/// Consul at 127.0.0.1:8500 and Pushgateways at 10.0.0.1:9091 to 10.0.0.3:9091. Nothing else runs.
pub(crate) struct Installation {
    pub(crate) consul: Consul,
    pub(crate) gateways: Vec<Pushgateway>,
    /// A copy of the repository that a document may change.
    pub(crate) repository: PathBuf,
    dir: TempDir,
}

impl Installation {
    pub(crate) fn start() -> Self {
        let addresses: Vec<String> = (1..10).map(|last| format!("10.0.0.{last}")).collect();
        machine::add("gateways", &addresses.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let consul = Consul::start_at(dir.path(), [8500, 8300, 8301]).unwrap();
        let repository = copy_of_repository();
        let mut installation = Self { consul, gateways: Vec::new(), repository, dir };
        for last in 1..=3 {
            installation.add_gateway(last);
        }
        installation
    }

    /// Starts the Pushgateway at 10.0.0.`last`:9091.
    pub(crate) fn add_gateway(&mut self, last: u8) {
        let command = machine::on("gateways", &tools::find("pushgateway").unwrap());
        let address = SocketAddr::from(([10, 0, 0, last], 9091));
        self.gateways.push(Pushgateway::run(command, self.dir.path(), address, &[]).unwrap());
    }

    /// Starts a gateway that was killed, without its groups.
    pub(crate) fn restart_gateway(&mut self, index: usize) {
        let command = machine::on("gateways", &tools::find("pushgateway").unwrap());
        let address = self.gateways[index].address;
        self.gateways[index] = Pushgateway::run(command, self.dir.path(), address, &[]).unwrap();
    }

    /// Copies the files that an ingress machine needs to /etc/pushring.
    pub(crate) fn install_files() {
        fs::create_dir_all("/etc/pushring/live").unwrap();
        fs::copy(tools::wasm().unwrap(), "/etc/pushring/pushring_filter.wasm").unwrap();
        for (from, to) in [("envoy", "/etc/pushring"), ("consul-template", "/etc/pushring/consul-template")] {
            fs::create_dir_all(to).unwrap();
            for entry in fs::read_dir(tools::repository().join(from)).unwrap().map(Result::unwrap) {
                if entry.file_type().unwrap().is_file() {
                    fs::copy(entry.path(), Path::new(to).join(entry.file_name())).unwrap();
                }
            }
        }
    }

    /// Registers the gateways at 10.0.0.`last`:9091 and waits until they are passing.
    pub(crate) fn register(&self, lasts: &[u8]) {
        let addresses = lasts.iter().map(|last| format!("10.0.0.{last}:9091"));
        let quick = ["register", "--interval=1s", "--timeout=1s", "--success-before-passing=1"];
        let output = command::pushring(quick.map(str::to_owned).into_iter().chain(addresses)).unwrap();
        assert_eq!(output.code, 0, "{}", output.stderr);
    }

    /// Waits until the ring in Envoy has exactly the members 10.0.0.`last`:9091.
    pub(crate) fn wait_members(&self, lasts: &[u8]) {
        self.wait_members_at(PUSH, lasts);
    }

    /// Waits until the ring in the Envoy at this address has exactly the members 10.0.0.`last`:9091.
    pub(crate) fn wait_members_at(&self, envoy: &str, lasts: &[u8]) {
        let members = || {
            let status = Client::new(envoy.parse().ok()?).ok()?.get("/-/pushring").ok()?.json().ok()?;
            let names = status["members"].as_array()?.iter().filter_map(|member| member["name"].as_str());
            Some(names.map(str::to_owned).collect::<Vec<String>>())
        };
        let wanted: Vec<String> = lasts.iter().map(|last| format!("10.0.0.{last}:9091")).collect();
        poll_until(&format!("the ring {wanted:?}"), || members().filter(|found| *found == wanted)).unwrap();
    }

    /// Waits until the statistics of the Envoy with this admin port have a line.
    pub(crate) fn wait_admin(&self, port: u16, line: &str) {
        let client = Client::new(SocketAddr::from(([127, 0, 0, 1], port))).unwrap();
        let stats =
            || client.get("/stats").ok().filter(|answer| answer.text().lines().any(|found| found == line));
        poll_until(line, stats).unwrap();
    }

    /// Returns the number of copies of the groups of `traffic` on all gateways.
    pub(crate) fn copies(&self) -> usize {
        let groups = self.gateways.iter().flat_map(|gateway| gateway.groups().unwrap());
        groups.filter(|group| group["job"] == "traffic").count()
    }

    /// Waits until this number of registrations is passing in Consul.
    pub(crate) fn wait_passing(&self, count: usize) {
        let client = Client::new(self.consul.address).unwrap();
        let passing = || client.get("/v1/health/service/pushgateway?passing").ok()?.json().ok();
        let enough = || passing().and_then(|list| (list.as_array()?.len() == count).then_some(()));
        poll_until(&format!("{count} passing gateways"), enough).unwrap();
    }

    /// Waits until a field of Envoy's status has this value.
    pub(crate) fn wait_status(&self, field: &str, wanted: &str) {
        let client = Client::new(PUSH.parse().unwrap()).unwrap();
        let status = || client.get("/-/pushring").ok()?.json().ok();
        poll_until(&format!("{field} {wanted}"), || status().filter(|status| status[field] == wanted))
            .unwrap();
    }

    /// Returns the folder of logs.
    pub(crate) fn folder(&self) -> &Path {
        self.dir.path()
    }

    /// Fails unless the newest copy of every group that `traffic` pushed has the value that was stored last.
    pub(crate) fn assert_stored(&self, values: &HashMap<String, u64>) {
        let mut found: HashMap<String, u64> = HashMap::new();
        for gateway in &self.gateways {
            for line in gateway.metrics().unwrap().lines().filter(|line| line.starts_with("traffic{")) {
                let (series, value) = line.rsplit_once(' ').unwrap();
                let instance = series.split('"').nth(1).unwrap();
                let newest = found.entry(format!("/metrics/job/traffic/instance/{instance}")).or_default();
                *newest = value.parse::<f64>().unwrap().max(*newest as f64) as u64;
            }
        }
        assert_eq!(&found, values);
    }

    /// Returns the addresses of the gateways that store a group of this job.
    pub(crate) fn stored_on(&self, job: &str) -> Vec<SocketAddr> {
        let stores =
            |gateway: &&Pushgateway| gateway.groups().unwrap().iter().any(|group| group["job"] == job);
        self.gateways.iter().filter(stores).map(|gateway| gateway.address).collect()
    }
}

/// Waits until the server at this address answers 200.
pub(crate) fn wait_answer(address: &str, path: &str) {
    let client = Client::new(address.parse().unwrap()).unwrap();
    poll_until(&format!("{address}{path}"), || client.get(path).ok().filter(|answer| answer.status == 200))
        .unwrap();
}

/// Mounts the repository at another path, so that changes stay in memory.
pub(crate) fn copy_of_repository() -> PathBuf {
    let path = PathBuf::from("/run/pushring");
    for folder in ["/run/pushring", "/run/changes/upper", "/run/changes/work"] {
        fs::create_dir_all(folder).unwrap();
    }
    let layers = format!(
        "lowerdir={},upperdir=/run/changes/upper,workdir=/run/changes/work",
        tools::repository().display()
    );
    let mounted =
        Command::new("mount").args(["-t", "overlay", "none", "-o", &layers]).arg(&path).output().unwrap();
    assert!(mounted.status.success(), "{}", String::from_utf8_lossy(&mounted.stderr));
    path
}
