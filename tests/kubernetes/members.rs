//! Pods of a StatefulSet that come, go, fail and return, and those of a Deployment.

use std::fs;

use pushring_harness::kubernetes::{service, workload};
use pushring_harness::load::Load;
use pushring_harness::machine::isolated;
use pushring_harness::witness::{self, owners};
use pushring_harness::{Mode, command};

use super::cluster::Cluster;
use super::discover::Discover;
use super::fleet::{Fleet, pod, pods, set_ready};

#[test]
fn the_ring_follows_a_statefulset() {
    isolated("members::the_ring_follows_a_statefulset", || {
        let cluster = Cluster::start();
        let mut fleet = Fleet::start(&cluster, 3);
        let (mut discover, envoy) = Discover::with_envoy(&cluster, Mode::Cluster, 3, &[]);

        // Not ready: registered, not on the ring.
        let ip = fleet.gateways[&pod(1)].address.ip().to_string();
        set_ready(&cluster, &pod(1), &ip, false);
        discover.wait_ring(&[pod(0), pod(2)]);
        discover.wait_metric("pushring_discover_registered", "3");
        set_ready(&cluster, &pod(1), &ip, true);
        discover.wait_ring(&pods(3));

        // Deleted, and back with another address: the same member.
        let before = discover.ring();
        let owners = owners(envoy.push);
        fleet.end(&cluster, &pod(1));
        discover.wait_ring(&[pod(0), pod(2)]);
        envoy.wait_members(&[&pod(0), &pod(2)]).unwrap();
        let load = Load::start(envoy.push, 2);
        fleet.run(&cluster, &pod(1));
        discover.wait_ring(&pods(3));
        let now = discover.ring();
        assert_eq!(now[1], (pod(1), fleet.address(&pod(1))));
        assert_ne!(now[1].1, before[1].1);
        assert_eq!((&now[0], &now[2]), (&before[0], &before[2]));
        envoy.wait_members(&pods(3).iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
        assert_eq!(witness::owners(envoy.push), owners, "groups moved");
        load.stop().assert_none_failed();
        // The new pod gets exactly the groups of its name.
        let own = owners.values().filter(|owner| **owner == pod(1)).count();
        assert!(own > 0);
        assert_eq!(fleet.gateways[&pod(1)].groups().unwrap().len(), own);

        cluster.kubectl(&["scale", "statefulset", "pushgateway", "--replicas=4"]);
        fleet.run(&cluster, &pod(3));
        discover.wait_ring(&pods(4));
        cluster.kubectl(&["scale", "statefulset", "pushgateway", "--replicas=3"]);
        discover.wait_ring(&pods(3));
        fleet.end(&cluster, &pod(3));
        // The StatefulSet no longer has this pod, so it left.
        discover.wait_log("left", &pod(3));
        discover.wait_metric("pushring_discover_registered", "3");

        // The shipped files route to the members.
        let answer = envoy.client().unwrap().put("/metrics/job/x", "a 1\n").unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
    });
}

#[test]
fn a_deployment_needs_name_by_address() {
    isolated("members::a_deployment_needs_name_by_address", || {
        let cluster = Cluster::start();
        cluster.apply(&service());
        cluster.apply(&workload("Deployment", 1));
        let find = || cluster.kubectl(&["get", "pods", "-o", "name"]).strip_prefix("pod/").map(str::to_owned);
        let name = pushring_harness::poll_until("the pod of the Deployment", find).unwrap();
        set_ready(&cluster, &name, "10.77.0.1", true);
        let admin = cluster.admin();
        let layout = Discover::layout(&cluster, Mode::Endpoint);
        let once = |more: &[&str]| {
            let args = Discover::args(&layout, &admin).into_iter().chain(["--once".to_owned()]);
            command::pushring(args.chain(more.iter().map(|&arg| arg.to_owned()))).unwrap()
        };
        let refused = pushring_harness::poll_until("the endpoint", || {
            Some(once(&[])).filter(|output| output.stderr.contains("host name"))
        })
        .unwrap();
        assert_eq!(refused.code, 1, "{}", refused.stderr);
        assert!(refused.stderr.contains("--name-by address"), "{}", refused.stderr);
        assert!(!layout.live().join("ring.yaml").exists());
        let published = once(&["--name-by=address"]);
        assert_eq!(published.code, 0, "{}", published.stderr);
        let ring = fs::read_to_string(layout.live().join("ring.yaml")).unwrap();
        assert!(ring.contains("10.77.0.1:9091"), "{ring}");
    });
}
