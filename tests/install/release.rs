//! A release of the chart, and where its gateways have the groups.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Output;

use pushring_harness::http::Client;
use pushring_harness::kubernetes::NAMESPACE;
use pushring_harness::{poll_until, process, tools};

use super::cluster::Cluster;
use super::traffic::{Seen, Traffic};

/// The Services of the chart.
pub(crate) const PUSH: &str = "pushring";
pub(crate) const GATEWAYS: &str = "pushring-gateway";

/// The Envoys of the chart.
const ENVOYS: usize = 2;
/// Groups that are pushed only once.
const ONCE: usize = 60;
/// A busy machine may need more than the default hold for the restart of one pod. The other values make a test shorter: a drain
/// waits until the groups are on the disk of their owners, and the sweeper until its next pass.
const VALUES: [&str; 3] = ["discover.hold=20m", "gateways.persistence.interval=1s", "sweeper.interval=5s"];

/// A cluster with an installed chart.
pub(crate) struct Release {
    pub(crate) cluster: Cluster,
}

impl Release {
    /// Installs the chart and waits until all of it is ready.
    pub(crate) fn install() -> Self {
        let release = Self { cluster: Cluster::start() };
        release.helm("install", &[]);
        release
    }

    /// Runs `helm install` or `helm upgrade` with the values of all tests and these.
    #[track_caller]
    pub(crate) fn helm(&self, action: &str, values: &[&str]) {
        self.helm_ok(self.run_helm(action, values));
    }

    /// As `helm`, for an upgrade that the chart rejects. Returns the reason.
    #[track_caller]
    pub(crate) fn rejected_upgrade(&self, values: &[&str]) -> String {
        let output = self.run_helm("upgrade", values);
        assert!(!output.status.success(), "accepted: {values:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Runs `helm` in the namespace of the release.
    #[track_caller]
    pub(crate) fn helm_with(&self, args: &[&str]) {
        self.helm_ok(self.helm_output(args));
    }

    fn run_helm(&self, action: &str, values: &[&str]) -> Output {
        let chart = tools::repository().join("deploy/helm/pushring");
        let mut args = vec![action, "pushring", chart.to_str().unwrap()];
        for value in VALUES.iter().chain(values) {
            args.extend(["--set", value]);
        }
        self.helm_output(&args)
    }

    fn helm_output(&self, args: &[&str]) -> Output {
        let mut command = process::command(&tools::find("helm").unwrap());
        command.args(args).args(["--namespace", NAMESPACE, "--timeout", "10m", "--wait"]);
        command.env("KUBECONFIG", self.cluster.servers.kubeconfig());
        command.output().unwrap()
    }

    #[track_caller]
    fn helm_ok(&self, output: Output) {
        let error = String::from_utf8_lossy(&output.stderr);
        let pods = || self.cluster.kubectl(&["get", "pods", "-o", "wide"]);
        assert!(output.status.success(), "helm: {error}\n{}", pods());
    }

    /// Starts to push to the release.
    pub(crate) fn traffic(&self) -> Traffic {
        Traffic::start(self.cluster.api(), PUSH)
    }

    /// Returns the ready gateways.
    pub(crate) fn gateways(&self) -> BTreeMap<String, SocketAddr> {
        self.cluster.ready(GATEWAYS)
    }

    /// Waits until this number of gateways and all Envoys are ready, and every Envoy has exactly these gateways on its ring.
    pub(crate) fn wait_ring(&self, count: usize) {
        let expected: Vec<String> = (0..count).map(|index| format!("{GATEWAYS}-{index}")).collect();
        poll_until(&format!("a ring of {count} on every Envoy"), || {
            let envoys = self.cluster.ready(PUSH);
            let same = |address: &SocketAddr| members(*address).is_some_and(|names| names == expected);
            (self.gateways().len() == count && envoys.len() >= ENVOYS && envoys.values().all(same))
                .then_some(())
        })
        .unwrap();
    }

    /// Pushes groups that nothing pushes again, and returns them with their values.
    pub(crate) fn push_once(&self) -> BTreeMap<String, usize> {
        let envoy = *self.cluster.ready(PUSH).values().next().expect("an Envoy");
        let client = Client::new(envoy).unwrap();
        let push = |value: usize| {
            let path = format!("/metrics/job/once/instance/{value}");
            let answer = client.put(&path, format!("load {value}\n")).unwrap();
            assert_eq!(answer.status, 200, "{}", answer.text());
            (path, value)
        };
        (0..ONCE).map(push).collect()
    }

    /// Returns the owner of each group, as an Envoy says.
    pub(crate) fn owners(&self, groups: &BTreeMap<String, usize>) -> BTreeMap<String, String> {
        let envoy = *self.cluster.ready(PUSH).values().next().expect("an Envoy");
        let client = Client::new(envoy).unwrap();
        let owner = |path: &String| {
            let answer = client.send("GET", path, &[("accept", "application/json")], "").unwrap();
            let owner = answer.json().unwrap()["owner"]["name"].as_str().unwrap().to_owned();
            (path.clone(), owner)
        };
        groups.keys().map(owner).collect()
    }

    /// Waits until each group is on its owner alone, with the last value that was accepted: the sweeper deletes other copies.
    /// Returns the owners.
    pub(crate) fn assert_on_owners(&self, groups: &BTreeMap<String, usize>) -> BTreeMap<String, String> {
        let owners = self.owners(groups);
        let mut found = BTreeMap::new();
        let placed = poll_until("each group on its owner alone", || {
            found = self.copies();
            let right = |(path, value): (&String, &usize)| {
                found.get(path).is_some_and(|copies| copies[..] == [(owners[path].clone(), *value)])
            };
            groups.iter().all(right).then_some(())
        });
        placed.unwrap_or_else(|error| {
            let wrong =
                groups.iter().filter(|(path, _)| found.get(*path).is_none_or(|copies| copies.len() != 1));
            let wrong: Vec<_> =
                wrong.map(|(path, value)| (path, value, &owners[path], found.get(path))).collect();
            panic!("{error}: {wrong:?}\n{found:?}");
        });
        owners
    }

    /// Returns the gateways and values of each group.
    fn copies(&self) -> BTreeMap<String, Vec<(String, usize)>> {
        let mut all: BTreeMap<String, Vec<(String, usize)>> = BTreeMap::new();
        for (name, address) in self.gateways() {
            let text = Client::new(address).unwrap().get("/metrics").unwrap().text();
            for line in text.lines().filter_map(|line| line.strip_prefix("load{instance=\"")) {
                let (instance, rest) = line.split_once("\",job=\"").unwrap();
                let (job, value) = rest.split_once("\"} ").unwrap();
                let path = format!("/metrics/job/{job}/instance/{instance}");
                all.entry(path).or_default().push((name.clone(), value.parse::<f64>().unwrap() as usize));
            }
        }
        all
    }

    /// Pushes during an event, and returns the groups with their last values. No push may need a second attempt.
    #[track_caller]
    pub(crate) fn during(&self, event: &str, act: impl FnOnce(&Self)) -> BTreeMap<String, usize> {
        self.during_any(event, act).assert_all_accepted()
    }

    /// Pushes during an event and until no gateway has a copy of a group of another, and returns what the clients saw. The
    /// sweeper keeps a copy until its owner got the group 2 s later, so the clients must push until then.
    pub(crate) fn during_any(&self, event: &str, act: impl FnOnce(&Self)) -> Seen {
        println!("{event} …");
        let traffic = self.traffic();
        act(self);
        let single = || self.copies().values().all(|copies| copies.len() == 1).then_some(());
        poll_until("each group on one gateway", single).unwrap_or_else(|error| panic!("{event}: {error}"));
        traffic.end(event)
    }

    /// Uninstalls it and fails unless only the volumes of the gateways stay, as Kubernetes keeps those of a StatefulSet.
    #[track_caller]
    pub(crate) fn uninstall(self) {
        self.helm_with(&["uninstall", "pushring"]);
        let kinds =
            self.cluster.kubectl(&["api-resources", "--namespaced", "--verbs=list,delete", "-o", "name"]);
        // Events are a log, which ends by age.
        let kinds: Vec<&str> = kinds.lines().filter(|kind| !kind.starts_with("events")).collect();
        let own = |name: &&str| {
            let of_kubernetes = ["configmap/kube-root-ca.crt", "serviceaccount/default"].contains(name);
            !of_kubernetes && !name.starts_with("persistentvolumeclaim/data-pushring-gateway-")
        };
        let mut left = String::new();
        let gone = poll_until("an empty namespace", || {
            left = self.cluster.kubectl(&["get", &kinds.join(","), "-o", "name", "--ignore-not-found"]);
            left.lines().all(|name| !own(&name)).then_some(())
        });
        gone.unwrap_or_else(|error| panic!("{error}:\n{left}"));
        println!("left after helm uninstall:\n{left}");
    }
}

/// Returns the sorted names of the members on the ring of an Envoy; `None` if it does not answer.
fn members(envoy: SocketAddr) -> Option<Vec<String>> {
    let answer = Client::new(envoy).ok()?.get("/-/pushring").ok()?.json().ok()?;
    let members = answer["members"].as_array()?.iter();
    let mut names: Vec<String> =
        members.map(|one| one["name"].as_str().unwrap_or_default().to_owned()).collect();
    names.sort();
    Some(names)
}
