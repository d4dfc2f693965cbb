//! Both Prometheus and Alertmanager with the shipped files, at the addresses that these name.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use pushring_harness::http::Client;
use pushring_harness::{Process, poll_until, process, tools};
use serde_json::{Value, json};

use crate::shorten;

/// Name and address of each Prometheus; the documents name the first address.
pub(crate) const PROMETHEUS: [(&str, &str); 2] = [("2.42", "127.0.0.1:9090"), ("3.16", "127.0.0.1:9190")];
const ALERTMANAGER: &str = "127.0.0.1:9093";

/// Ends the servers when dropped.
pub(crate) struct Observers {
    _processes: Vec<Process>,
    rules: Value,
}

impl Observers {
    /// Starts them; Alertmanager sends its messages to `receiver`.
    pub(crate) fn start(dir: &Path, factor: u64, receiver: SocketAddr) -> Self {
        let rules = shorten::rules(shorten::shipped("rules.yml"), factor);
        let mut processes = vec![alertmanager(dir, factor, receiver)];
        for (version, address) in PROMETHEUS {
            processes.push(prometheus(dir, factor, &rules, version, address));
        }
        Self { _processes: processes, rules }
    }

    /// Waits until both Prometheus know the state of a healthy fleet with three gateways.
    pub(crate) fn wait_history(&self) {
        for (version, address) in PROMETHEUS {
            let client = Client::new(address.parse().unwrap()).unwrap();
            // Pushes at every gateway, as rates of 5 seconds ago.
            let query = "/api/v1/query?query=count(gateway:pushring_received:rate5m%20offset%205s%20%3E%200)";
            let known = || {
                let answer = client.get(query).ok()?.json().ok()?;
                (answer["data"]["result"][0]["value"][1] == "3").then_some(())
            };
            poll_until(&format!("the history of Prometheus {version}"), known).unwrap();
        }
    }

    /// Returns the names of all alerts.
    pub(crate) fn alerts(&self) -> Vec<String> {
        let rules = self.rules["groups"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|group| group["rules"].as_array().unwrap());
        rules.filter_map(|rule| rule["alert"].as_str().map(str::to_owned)).collect()
    }

    /// Fails unless both Prometheus evaluate every rule without an error.
    pub(crate) fn assert_healthy(&self) {
        let count = self.rules["groups"]
            .as_array()
            .unwrap()
            .iter()
            .map(|group| group["rules"].as_array().unwrap().len())
            .sum::<usize>();
        for (version, address) in PROMETHEUS {
            let client = Client::new(address.parse().unwrap()).unwrap();
            let rules = || {
                let answer = client.get("/api/v1/rules").ok()?.json().ok()?;
                let groups = answer["data"]["groups"].as_array()?.clone();
                let rules: Vec<Value> = groups
                    .iter()
                    .flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default())
                    .collect();
                (rules.iter().all(|rule| rule["health"] != "unknown") && rules.len() == count)
                    .then_some(rules)
            };
            let bad: Vec<Value> = poll_until("an evaluation of every rule", rules)
                .unwrap()
                .into_iter()
                .filter(|rule| rule["health"] != "ok")
                .collect();
            assert!(bad.is_empty(), "Prometheus {version}: {bad:#?}");
        }
    }
}

fn prometheus(dir: &Path, factor: u64, rules: &Value, version: &str, address: &str) -> Process {
    let folder = dir.join(format!("prometheus-{version}"));
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("rules.yml"), rules.to_string()).unwrap();
    let mut config = shorten::shipped("prometheus-file.yml");
    shorten::fields(&mut config, &["scrape_interval", "evaluation_interval"], factor);
    config["global"]["scrape_timeout"] = config["global"]["scrape_interval"].clone();
    // The alerts of both go through one Alertmanager.
    config["global"]["external_labels"] = json!({"prometheus": version});
    // The second file is for the targets of a test.
    config["scrape_configs"][0]["file_sd_configs"][0]["files"] =
        json!(["/etc/pushring/pushgateways.json", "/etc/pushring/more.json"]);
    config["scrape_configs"].as_array_mut().unwrap().push(serve_job());
    // JSON is YAML.
    fs::write(folder.join("prometheus.yml"), config.to_string()).unwrap();
    let binary = match version {
        "2.42" => tools::debian("bin/prometheus").unwrap(),
        _ => tools::find("prometheus").unwrap(),
    };
    let mut command = process::command(&binary);
    command.arg(format!("--web.listen-address={address}")).arg("--scrape.discovery-reload-interval=100ms");
    command.arg(format!("--config.file={}", folder.join("prometheus.yml").display()));
    command.arg(format!("--storage.tsdb.path={}", folder.join("data").display()));
    ready(Process::start(&format!("prometheus-{version}"), command, dir).unwrap(), address)
}

/// Returns the shipped job of `pushring serve` without the groups, which come from each gateway. A test writes its targets.
fn serve_job() -> Value {
    let config = shorten::shipped("prometheus-serve.yml");
    let jobs = config["scrape_configs"].as_array().unwrap();
    let mut job = jobs.iter().find(|job| job["job_name"] == "pushring-serve").unwrap().clone();
    job.as_object_mut().unwrap().remove("static_configs");
    job["file_sd_configs"] = json!([{"files": ["/etc/pushring/serve.json"]}]);
    // A busy machine needs longer than the shortened interval to read all gateways.
    job["scrape_interval"] = "4s".into();
    job["scrape_timeout"] = "4s".into();
    job["metric_relabel_configs"] =
        json!([{"source_labels": ["__name__"], "regex": "pushring_serve_.+", "action": "keep"}]);
    job
}

fn alertmanager(dir: &Path, factor: u64, receiver: SocketAddr) -> Process {
    let mut config = shorten::shipped("alertmanager.yml");
    shorten::fields(&mut config, &["group_wait", "group_interval", "repeat_interval"], factor);
    let file = dir.join("alertmanager.yml");
    fs::write(&file, config.to_string().replace("127.0.0.1:9099", &receiver.to_string())).unwrap();
    let mut command = process::command(&tools::find("alertmanager").unwrap());
    command.arg(format!("--web.listen-address={ALERTMANAGER}")).arg("--cluster.listen-address=");
    command.arg(format!("--config.file={}", file.display()));
    command.arg(format!("--storage.path={}", dir.join("alertmanager").display()));
    ready(Process::start("alertmanager", command, dir).unwrap(), ALERTMANAGER)
}

fn ready(mut process: Process, address: &str) -> Process {
    let client = Client::new(address.parse().unwrap()).unwrap();
    process
        .wait_until("ready", |_| client.get("/-/ready").ok().filter(|answer| answer.status == 200))
        .unwrap();
    process
}
