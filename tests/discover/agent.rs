//! `pushring register --stay` with real gateways, etcd and Consul.

use std::fs;
use std::net::SocketAddr;

use pushring_harness::etcd::Version;
use pushring_harness::http::Client;
use pushring_harness::{Consul, Etcd, Process, Pushgateway, command, poll_until, process, tools};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::running::{Discover, listening};

const QUICK: [&str; 8] = [
    "--lease",
    "3s",
    "--interval",
    "100ms",
    "--failures-before-critical",
    "2",
    "--success-before-passing",
    "1",
];

/// A gateway with its agent.
pub(crate) struct Agent {
    pub(crate) gateway: Pushgateway,
    pub(crate) process: Process,
    dir: TempDir,
}

impl Agent {
    pub(crate) fn start(flags: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let gateway = Pushgateway::start(dir.path(), &[]).unwrap();
        let process = Self::process(&dir, &gateway, flags);
        Self { gateway, process, dir }
    }

    fn process(dir: &TempDir, gateway: &Pushgateway, flags: &[&str]) -> Process {
        let mut command = command::prepare(process::command(&tools::pushring().unwrap()));
        command.args(["register", "--stay", "--listen", "127.0.0.1:0"]).args(QUICK).args(flags);
        command.arg(gateway.address.to_string());
        Process::start("agent", command, dir.path()).unwrap()
    }

    fn restart(&mut self, flags: &[&str]) {
        self.process.kill();
        self.process = Self::process(&self.dir, &self.gateway, flags);
    }

    pub(crate) fn restart_gateway(&mut self) {
        self.gateway = Pushgateway::start_at(self.dir.path(), self.gateway.address, &[]).unwrap();
    }

    fn metrics(&mut self) -> String {
        let address = self.process.wait_until("the address", |process| listening(&process.log())).unwrap();
        Client::new(address).unwrap().get("/metrics").unwrap().text()
    }

    pub(crate) fn wait_log(&mut self, text: &str, times: usize) {
        let logged = |process: &Process| (process.log().matches(text).count() >= times).then_some(());
        self.process.wait_until(&format!("{text:?} {times} times"), logged).unwrap();
    }

    /// Ends it with SIGTERM.
    fn stop(&mut self) {
        let status = self.process.stop(Signal::TERM).unwrap();
        assert_eq!(status.code(), Some(0), "{}", self.process.log());
    }
}

/// Returns the only value in etcd; `None` without one.
fn value(etcd: &Etcd) -> Option<Value> {
    let values = etcd.values("/service/pushgateway/").unwrap();
    assert!(values.len() <= 1, "{values:?}");
    values.first().map(|value| serde_json::from_str(value).unwrap())
}

fn wait_registered(etcd: &Etcd, registered: bool) {
    let changed = || (value(etcd).is_some() == registered).then_some(());
    poll_until(&format!("registered: {registered}"), changed).unwrap();
}

#[test]
fn keeps_a_key_in_etcd_while_the_check_passes() {
    let dir = tempfile::tempdir().unwrap();
    let etcd = Etcd::start(dir.path(), Version::Oldest).unwrap();
    let flags = ["--etcd", &etcd.url(), "--weight", "2", "--name", "pushgw-1", "--host-metrics"];
    let mut agent = Agent::start(&flags);
    wait_registered(&etcd, true);
    let address = agent.gateway.address;
    let expected = json!({
        "id": format!("127.0.0.1_{}", address.port()), "name": "pushgateway", "host": "127.0.0.1", "port": address.port(),
        "lease_time": 3, "routes": [{"path": "/metrics", "method": "GET"}], "weight": 2, "pushring_name": "pushgw-1",
    });
    assert_eq!(value(&etcd), Some(expected));
    let mut discover = Discover::start(&["--from", "etcd", "--etcd", &etcd.url()]);
    discover.wait_ring(&["pushgw-1"]);

    agent.gateway.process.kill();
    wait_registered(&etcd, false);
    agent.restart_gateway();
    wait_registered(&etcd, true);

    let text = poll_until("the metrics", || {
        let text = agent.metrics();
        (text.contains("\nsystem_processes_count{") && text.contains("_registered 1\n")).then_some(text)
    });
    let text = text.unwrap();
    for line in ["pushring_register_check_passing 1", "pushring_register_renewal_failures_total 0"] {
        assert!(text.contains(&format!("\n{line}\n")), "{text}");
    }
    for name in [
        "pushring_register_last_renewal_timestamp_seconds ",
        "pushring_register_checks_total{result=\"failed\"} ",
        "system_cpu_utilization_ratio ",
        "system_memory_usage_bytes{state=\"used\"} ",
    ] {
        assert!(text.contains(&format!("\n{name}")), "{name}: {text}");
    }

    agent.stop();
    assert_eq!(value(&etcd), None);
    discover.wait_log("left", 1);
    discover.wait_metric("pushring_discover_registered", 0.0);
}

#[test]
fn comes_back_when_etcd_lost_the_lease_the_key_or_its_store() {
    let dir = tempfile::tempdir().unwrap();
    let mut etcd = Etcd::start(dir.path(), Version::Newest).unwrap();
    let mut agent = Agent::start(&["--etcd", &format!("http://127.0.0.1:1,{}", etcd.url())]);
    wait_registered(&etcd, true);
    let leases = etcd.call("lease/leases", &json!({})).unwrap();
    etcd.call("lease/revoke", &json!({"ID": leases["leases"][0]["ID"]})).unwrap();
    wait_registered(&etcd, false);
    wait_registered(&etcd, true);
    etcd.delete(&format!("/service/pushgateway/127.0.0.1_{}", agent.gateway.address.port())).unwrap();
    wait_registered(&etcd, true);
    etcd.process().kill();
    agent.wait_log("registration not renewed", 1);
    fs::remove_dir_all(dir.path().join(format!("etcd-{}", etcd.address.port()))).unwrap();
    etcd.restart().unwrap();
    wait_registered(&etcd, true);
    agent.wait_log("registry back", 1);
    agent.stop();
    wait_registered(&etcd, false);
}

#[test]
fn a_registration_without_its_agent_ends_with_the_lease() {
    let dir = tempfile::tempdir().unwrap();
    let etcd = Etcd::start(dir.path(), Version::Newest).unwrap();
    let mut agent = Agent::start(&["--etcd", &etcd.url()]);
    wait_registered(&etcd, true);
    agent.process.kill();
    wait_registered(&etcd, false);
}

/// Returns the status of the only service in Consul and its meta.
fn service(consul: &Consul) -> Option<(String, Value)> {
    let found = Client::new(consul.address).ok()?.get("/v1/health/service/pushgateway").ok()?.json().ok()?;
    let checks = found[0]["Checks"].as_array()?;
    let status = checks.iter().find(|check| check["ServiceID"] != "")?["Status"].as_str()?;
    Some((status.to_owned(), found[0]["Service"]["Meta"].clone()))
}

fn wait_status(consul: &Consul, status: &str) {
    let found = || (service(consul)?.0 == status).then_some(());
    poll_until(&format!("the status {status}"), found).unwrap();
}

#[test]
fn reports_the_check_to_consul() {
    let dir = tempfile::tempdir().unwrap();
    // Without a memory: after a restart it knows no service.
    let mut consul = Consul::start(dir.path()).unwrap();
    let mut agent = Agent::start(&["--consul", &consul.address.to_string(), "--name", "pushgw-1"]);
    wait_status(&consul, "passing");
    assert_eq!(service(&consul).unwrap().1["pushring-name"], "pushgw-1");
    agent.gateway.process.kill();
    wait_status(&consul, "critical");
    agent.restart_gateway();
    wait_status(&consul, "passing");
    consul.process().kill();
    agent.wait_log("registration not renewed", 1);
    consul.restart().unwrap();
    wait_status(&consul, "passing");
    // The name decides which groups it owns, so it stays.
    agent.restart(&["--consul", &consul.address.to_string(), "--weight", "3"]);
    poll_until("the new weight", || {
        let found =
            Client::new(consul.address).ok()?.get("/v1/health/service/pushgateway").ok()?.json().ok()?;
        (found[0]["Service"]["Weights"]["Passing"] == 3).then_some(())
    })
    .unwrap();
    assert_eq!(service(&consul).unwrap().1["pushring-name"], "pushgw-1");
    agent.process.signal(Signal::TERM);
    let leaving = || (service(&consul)?.1["pushring-leaving"] == "true").then_some(());
    poll_until("the farewell", leaving).unwrap();
    assert_eq!(service(&consul).unwrap().0, "passing");
    poll_until("the removal", || service(&consul).is_none().then_some(())).unwrap();
    agent.wait_log("\"ended\"", 1);
}

#[test]
fn hands_its_groups_over_when_it_leaves() {
    let dir = tempfile::tempdir().unwrap();
    let consul = Consul::start(dir.path()).unwrap();
    let config = dir.path().join("pushring.json");
    let heir = Pushgateway::start(dir.path(), &[]).unwrap();
    consul.register(heir.address, "passing").unwrap();
    fs::write(&config, json!({"members": [heir.address.to_string()]}).to_string()).unwrap();
    let address = consul.address.to_string();
    let flags = ["--consul", &address, "--drain", "--config", config.to_str().unwrap(), "--settle", "0s"];
    let mut agent = Agent::start(&flags);
    poll_until("both gateways", || {
        let all = Client::new(consul.address)
            .ok()?
            .get("/v1/health/service/pushgateway?passing")
            .ok()?
            .json()
            .ok()?;
        (all.as_array()?.len() == 2).then_some(())
    })
    .unwrap();
    let client = agent.gateway.client().unwrap();
    for job in 0..5 {
        assert_eq!(client.put(&format!("/metrics/job/j{job}"), "a 1\n").unwrap().status, 200);
    }
    agent.stop();
    assert_eq!(agent.gateway.groups().unwrap().len(), 0);
    assert_eq!(heir.groups().unwrap().len(), 5);
}

/// Runs `pushring` with a gateway and etcd; returns exit code, output and errors.
fn run(args: &[&str]) -> (i32, String, String) {
    let output = command::pushring(args).unwrap();
    (output.code, output.stdout, output.stderr)
}

#[test]
fn deregisters_in_etcd() {
    let dir = tempfile::tempdir().unwrap();
    let etcd = Etcd::start(dir.path(), Version::Oldest).unwrap();
    let url = etcd.url();
    crate::etcd::put_all(&etcd, &crate::etcd::FOUR);
    etcd.put(crate::etcd::key("twin"), crate::etcd::value("10.0.0.4:9091")).unwrap();
    let mut discover = Discover::start(&["--from", "etcd", "--etcd", &url]);
    discover.wait_ring(&crate::etcd::FOUR);
    let args = ["deregister", "--etcd", &url, "--output", "json", "10.0.0.4:9091", "10.0.0.9:9091"];
    let (code, text, error) = run(&[&args[..], &["--dry-run"]].concat());
    assert_eq!(code, 0, "{error}");
    assert_eq!(etcd.values("/service/pushgateway/").unwrap().len(), 5);
    let (code, again, error) = run(&args);
    assert_eq!(code, 0, "{error}");
    let results = |text: &str| {
        let report: Value = serde_json::from_str(text).unwrap();
        assert_eq!(report["etcd"], url);
        let result = |row: &Value| row["result"].as_str().unwrap().to_owned();
        report["results"].as_array().unwrap().iter().map(result).collect::<Vec<_>>()
    };
    assert_eq!(results(&text), ["deregistered", "absent"]);
    assert_eq!(results(&again), ["deregistered", "absent"]);
    assert_eq!(etcd.values("/service/pushgateway/").unwrap().len(), 3);
    discover.wait_ring(&crate::etcd::FOUR[..3]);
    discover.wait_metric("pushring_discover_registered", 3.0);
}

#[test]
fn refuses_wrong_usage() {
    let dir = tempfile::tempdir().unwrap();
    let gateway = Pushgateway::start(dir.path(), &[]).unwrap();
    let etcd = Etcd::start(dir.path(), Version::Oldest).unwrap();
    let (gateway, url) = (gateway.address.to_string(), etcd.url());
    // Something else answers there.
    let other: SocketAddr = etcd.address;
    let other = other.to_string();
    for (args, expected) in [
        (vec!["register", "--etcd", &url, &gateway], "--etcd: needs --stay"),
        (vec!["register", "--stay", "--etcd", &url, &gateway, "10.0.0.1:9091"], "expected one address"),
        (vec!["register", "--stay", "--etcd", &url, "--consul", "a:1", &gateway], "not with --etcd"),
        (vec!["register", "--stay", "--etcd", &url, "--service", "a/b", &gateway], "without a slash"),
        (vec!["register", "--stay", "--etcd", &url, "--drain", &gateway], "--config"),
        (vec!["register", "--stay", "--etcd", &url, "--check", "ftp://x", &gateway], "--check"),
        (vec!["register", "--stay", "--etcd", &url, &other], "is no Pushgateway"),
    ] {
        let (code, _, error) = run(&args);
        assert!(code == 2 && error.contains(expected), "{args:?}: {code} {error}");
    }
}
