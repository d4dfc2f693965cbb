//! The accounts of the chart may do what their programs do in the namespace of the release, and nothing else.

use std::fs;

use pushring_harness::machine::isolated;
use pushring_harness::{Process, command, process, tools};

use super::cluster::Cluster;
use super::helm::{objects, render};

#[test]
fn each_account_has_the_least_rights() {
    isolated("rights::each_account_has_the_least_rights", || {
        let cluster = Cluster::start();
        let kinds = ["ServiceAccount", "Role", "RoleBinding", "Lease"];
        let rendered = render(&[]).unwrap();
        for object in objects(&rendered).iter().filter(|one| kinds.iter().any(|kind| one["kind"] == *kind)) {
            cluster.servers.apply(object).unwrap();
        }
        let discover = ["endpointslices.discovery.k8s.io [] [list watch]"];
        assert_eq!(
            rights(&cluster, "pushring"),
            [&discover[..], &["statefulsets.apps [pushring-gateway] [get]"]].concat()
        );
        assert_eq!(
            rights(&cluster, "pushring-sweeper"),
            [
                &discover[..],
                &[
                    "leases.coordination.k8s.io [] [create]",
                    "leases.coordination.k8s.io [pushring-sweeper] [get update]",
                    "statefulsets.apps [pushring-gateway] [get]"
                ]
            ]
            .concat()
        );
        assert_eq!(rights(&cluster, "pushring-gateway"), Vec::<String>::new());

        // The server's own decision.
        for (account, verb, resource, namespace, allowed) in [
            ("pushring", "list", "endpointslices", "monitoring", true),
            ("pushring", "watch", "endpointslices", "monitoring", true),
            ("pushring", "get", "statefulsets/pushring-gateway", "monitoring", true),
            ("pushring", "get", "statefulsets/other", "monitoring", false),
            ("pushring", "list", "endpointslices", "default", false),
            ("pushring", "update", "endpointslices", "monitoring", false),
            ("pushring", "get", "leases/pushring-sweeper", "monitoring", false),
            ("pushring-sweeper", "create", "leases", "monitoring", true),
            ("pushring-sweeper", "update", "leases/pushring-sweeper", "monitoring", true),
            ("pushring-sweeper", "update", "leases/other", "monitoring", false),
            ("pushring-sweeper", "delete", "leases/pushring-sweeper", "monitoring", false),
            ("pushring-sweeper", "get", "pods", "monitoring", false),
            ("pushring-sweeper", "get", "secrets", "monitoring", false),
            ("pushring-gateway", "get", "pods", "monitoring", false),
        ] {
            let user = format!("--as=system:serviceaccount:monitoring:{account}");
            let output = cluster.kubectl(&["auth", "can-i", verb, resource, &user, "-n", namespace], "");
            let answer = String::from_utf8(output.stdout).unwrap();
            assert_eq!(answer.trim() == "yes", allowed, "{account} {verb} {resource}: {answer}");
        }
        a_sweeper_takes_the_lock(&cluster);
    });
}

/// With its account, and the Lease of the chart.
fn a_sweeper_takes_the_lock(cluster: &Cluster) {
    let dir = tempfile::tempdir().unwrap();
    let ring = dir.path().join("ring.json");
    fs::write(&ring, r#"{"members": ["127.0.0.1:9091"], "status_path": "/-/pushring"}"#).unwrap();
    let (kubeconfig, _) = cluster.servers.account("pushring-sweeper").unwrap();
    let mut command = command::prepare(process::command(&tools::pushring().unwrap()));
    command.args(["sweep", "--watch", "1s", "--lock", "kubernetes", "--lock-name", "pushring-sweeper"]);
    command.args(["--listen", "127.0.0.1:0", "--config"]).arg(ring).arg("--kubeconfig").arg(kubeconfig);
    let mut sweeper = Process::start("sweep", command, dir.path()).unwrap();
    let gained = |sweeper: &Process| sweeper.log().contains("lock gained").then_some(());
    sweeper.wait_until("the lock", gained).unwrap();
}

/// Returns the rights of an account that others do not have: resource, names, verbs.
fn rights(cluster: &Cluster, account: &str) -> Vec<String> {
    let all = listed(cluster, "any");
    listed(cluster, account).into_iter().filter(|right| !all.contains(right)).collect()
}

fn listed(cluster: &Cluster, account: &str) -> Vec<String> {
    let user = format!("--as=system:serviceaccount:monitoring:{account}");
    let output = cluster.kubectl(&["auth", "can-i", "--list", "--no-headers", &user], "");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let mut all: Vec<String> = text
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ").replacen(" []", "", 1))
        .collect();
    all.sort();
    all
}
