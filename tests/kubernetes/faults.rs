//! Faults between `discover` and the API server. The ring stays each time.

use std::fs;
use std::path::Path;

use pushring_harness::machine::isolated;
use pushring_harness::witness::{assert_each_group_once, sit_out};
use pushring_harness::{Mode, Witness, command, poll_until};
use rustix::process::Signal;

use super::cluster::{Cluster, document};
use super::discover::Discover;
use super::fleet::{Fleet, pod, pods, set_ready};

#[test]
fn an_account_needs_exactly_the_documented_rights() {
    isolated("faults::an_account_needs_exactly_the_documented_rights", || {
        let mut cluster = Cluster::start();
        let _fleet = Fleet::start(&cluster, 2);
        let (kubeconfig, token) = cluster.account("pushring");
        let layout = Discover::layout(&cluster, Mode::Cluster);
        let once = || {
            let args = Discover::args(&layout, &kubeconfig).into_iter().chain(["--once".to_owned()]);
            command::pushring(args).unwrap()
        };
        let refused = once();
        assert_eq!(refused.code, 1, "{}", refused.stderr);
        assert!(
            refused.stderr.contains("403") && refused.stderr.contains("cannot list resource"),
            "{}",
            refused.stderr
        );
        assert!(!layout.live().join("ring.yaml").exists());

        cluster.kubectl_with(&["apply", "-f", "-"], &document("docs/command/discover.md", "rbac.yaml"));
        let mut discover = Discover::start(&cluster, layout, None, &kubeconfig, &[]);
        discover.wait_ring(&pods(2));
        let ring = discover.ring();

        // The token is read for each request.
        let good = fs::read_to_string(&token).unwrap();
        fs::write(&token, "another").unwrap();
        cluster.kubectl(&["delete", "rolebinding", "pushring-discover"]);
        // Each watch continues with the token with which it began; a new connection needs a new one.
        cluster.servers.api.kill();
        cluster.servers.restart_api().unwrap();
        discover.wait_log("source away; the ring stays", "answered 401");
        fs::write(&token, good).unwrap();
        discover.wait_log("source away; the ring stays", "answered 403");
        assert_eq!(discover.ring(), ring);
        discover.wait_metric("pushring_discover_source_up", "0");
        cluster.kubectl_with(&["apply", "-f", "-"], &document("docs/command/discover.md", "rbac.yaml"));
        discover.wait_metric("pushring_discover_source_up", "1");
        assert_eq!(discover.ring(), ring);
    });
}

/// A pod finds the API server by its environment, and its credentials in files.
#[test]
fn a_pod_needs_no_kubeconfig() {
    isolated("faults::a_pod_needs_no_kubeconfig", || {
        let cluster = Cluster::start();
        let _fleet = Fleet::start(&cluster, 2);
        let (_, token) = cluster.account("pushring");
        cluster.kubectl_with(&["apply", "-f", "-"], &document("docs/command/discover.md", "rbac.yaml"));
        let layout = Discover::layout(&cluster, Mode::Cluster);
        let once = || {
            let mut command = command::command().unwrap();
            let args = Discover::args(&layout, Path::new("")).into_iter();
            command.args(args.filter(|arg| !arg.starts_with("--kubeconfig"))).arg("--once");
            command.env_remove("KUBECONFIG");
            command.env("KUBERNETES_SERVICE_HOST", "127.0.0.1").env("KUBERNETES_SERVICE_PORT", "6443");
            let output = command.output().unwrap();
            (output.status.code(), String::from_utf8(output.stderr).unwrap())
        };
        // /run belongs to the test.
        let folder = Path::new("/run/secrets/kubernetes.io/serviceaccount");
        let (code, error) = once();
        assert_eq!(code, Some(2), "{error}");
        assert!(error.contains("serviceaccount/namespace"), "{error}");
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join("namespace"), "monitoring").unwrap();
        fs::copy(token, folder.join("token")).unwrap();
        fs::copy(cluster.dir.path().join("certs/apiserver.crt"), folder.join("ca.crt")).unwrap();
        let published =
            || (once().0 == Some(0) && super::discover::ring(&layout.live()).len() == 2).then_some(());
        poll_until("the ring", published).unwrap();
    });
}

#[test]
fn the_ring_stays_while_the_api_server_is_away() {
    isolated("faults::the_ring_stays_while_the_api_server_is_away", || {
        let mut cluster = Cluster::start();
        let fleet = Fleet::start(&cluster, 3);
        let (mut discover, envoy) = Discover::with_envoy(&cluster, Mode::Cluster, 3, &[]);
        let witness = Witness::start(&envoy, &discover.layout.live());
        cluster.servers.api.kill();
        discover.wait_log("source away; the ring stays", "");
        discover.wait_metric("pushring_discover_source_up", "0");
        sit_out("kubernetes", &discover.process);
        cluster.servers.restart_api().unwrap();
        discover.wait_metric("pushring_discover_source_up", "1");
        discover.wait_metric("pushring_discover_registered", "3");
        witness.end_unmoved();
        assert_each_group_once(fleet.gateways.values());
        // It follows again, from a list that begins a new watch.
        let ip = fleet.gateways[&pod(0)].address.ip().to_string();
        set_ready(&cluster, &pod(0), &ip, false);
        discover.wait_ring(&[pod(1), pod(2)]);
    });
}

#[test]
fn an_empty_list_is_held() {
    isolated("faults::an_empty_list_is_held", || {
        let cluster = Cluster::start();
        let fleet = Fleet::start(&cluster, 3);
        let (mut discover, envoy) = Discover::with_envoy(&cluster, Mode::Cluster, 3, &[]);
        let witness = Witness::start(&envoy, &discover.layout.live());
        // A selector that finds no pod empties the slices.
        let select = |app: &str| {
            let patch = format!(r#"{{"spec": {{"selector": {{"app": "{app}"}}}}}}"#);
            cluster.kubectl(&["patch", "service", "pushgateway", "-p", &patch]);
        };
        select("nothing");
        discover.wait_metric("pushring_discover_held", "1");
        discover.wait_metric("pushring_discover_on_ring", "0");
        discover.wait_log("held", "the last ring stays");
        assert_eq!(discover.process.stop(Signal::TERM).unwrap().code(), Some(0));
        let args =
            Discover::args(&discover.layout, &cluster.admin()).into_iter().chain(["--once".to_owned()]);
        let once = command::pushring(args).unwrap();
        assert!(once.code == 2 && once.stderr.contains("the last ring stays"), "{}", once.stderr);
        let discover =
            Discover::start(&cluster, discover.layout.clone(), Some(&envoy), &cluster.admin(), &[]);
        discover.wait_metric("pushring_discover_held", "1");
        select("pushgateway");
        discover.wait_metric("pushring_discover_held", "0");
        discover.wait_metric("pushring_discover_on_ring", "3");
        witness.end_unmoved();
        assert_each_group_once(fleet.gateways.values());
    });
}
