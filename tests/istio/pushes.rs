//! Pushes through a gateway of Istio with the shipped resources.

use std::fs;
use std::path::Path;

use pushring_harness::http::Client;
use pushring_harness::kubernetes::{service, workload};
use pushring_harness::load::Load;
use pushring_harness::machine::isolated;
use pushring_harness::witness::{assert_each_group_once, owners};
use pushring_harness::{Process, Pushgateway, command, poll_until, process, tools};
use serde_json::{Value, json};

use super::gateway::{Gateway, addresses, pushgateway, rejected};
use super::mesh::{Mesh, name};
use super::serve::one_address_answers_reads;

/// The gateways are a StatefulSet, and `discover` runs with the arguments and the rights of the shipped Deployment.
#[test]
fn each_group_is_on_its_owner() {
    isolated("pushes::each_group_is_on_its_owner", || {
        let mesh = Mesh::start();
        let gateway = Gateway::start(&mesh);
        // Until there is a configuration, nothing is accepted.
        assert_eq!(gateway.client().put("/metrics/job/early", "a 1\n").unwrap().status, 500);
        let mut fleet = stateful_set(&mesh, 3);
        let mut discover = start_deployment(&mesh);
        gateway.wait_members(&addresses(&[0, 1, 2]));
        wait_routed(&gateway);

        Load::start(gateway.push, 2).stop().assert_none_failed();
        assert_each_group_once(&fleet);
        let before = owners(gateway.push);
        for (path, owner) in &before {
            assert!(has(&fleet[index(owner)], path), "{path} is not on {owner}");
        }

        commands_read_the_ring(&mesh);
        refuses_what_a_gateway_must_not_get(&gateway, &fleet);
        a_delete_reaches_the_owner_and_the_one_before(&gateway, &fleet);
        a_client_that_waits_for_continue_is_answered(&gateway);
        one_address_answers_reads(&mesh, &gateway, &fleet);

        // A gateway that is down: its groups go to their next owners, and only those.
        let dead = fleet.remove(1);
        drop(dead);
        let lasting = [0, 2].map(|index| format!("10.77.0.{}:9091", index + 1));
        Load::start(gateway.push, 2).stop().assert_none_failed();
        for (path, _) in before.iter().filter(|(_, owner)| **owner == name(1)) {
            let on = fleet.iter().filter(|one| has(one, path)).count();
            assert_eq!(on, 1, "{path}: expected on one of {lasting:?}");
        }
        let big = "x 1\n".to_owned() + &"# a comment of some length\n".repeat(30_000);
        let path = before.iter().find(|(_, owner)| **owner == name(1)).unwrap().0;
        assert_eq!(gateway.client().put(path, big).unwrap().status, 200, "the body is kept for the retry");

        bad_configuration_is_refused(&mesh, &gateway, &mut discover);
    });
}

/// As docs/install/istio.md says.
fn commands_read_the_ring(mesh: &Mesh) {
    let output = "jsonpath={.spec.pluginConfig}";
    let ring =
        mesh.kubectl(&["get", "wasmplugin", "pushring", "--namespace", "pushring", "--output", output]);
    let path = mesh.dir.path().join("ring.json");
    fs::write(&path, ring).unwrap();
    let path = path.to_str().unwrap();
    for args in [&["check", path][..], &["groups", "--config", path], &["sweep", "--config", path]] {
        let output = command::pushring(args).unwrap();
        assert_eq!(output.code, 0, "{args:?}: {}{}", output.stdout, output.stderr);
    }
}

/// A WasmPlugin with an error that only the filter finds: Envoy rejects it, and the ring stays.
fn bad_configuration_is_refused(mesh: &Mesh, gateway: &Gateway, discover: &mut Process) {
    discover.kill();
    let ring = gateway.ring().unwrap();
    let before = rejected();
    let bad =
        json!({"spec": {"pluginConfig": {"members": [{"name": "x", "address": "no address", "weight": 1}]}}});
    mesh.patch("wasmplugin", "pushring", &bad);
    poll_until("the rejection", || (rejected() > before).then_some(())).unwrap();
    let load = Load::start(gateway.push, 2);
    assert_eq!(gateway.ring().unwrap()["digest"], ring["digest"]);
    // It is replaced as soon as `discover` runs.
    *discover = start_deployment(mesh);
    let members = || mesh.plugin()["spec"]["pluginConfig"]["members"].as_array().map(Vec::len);
    poll_until("another configuration", || (members() == Some(3)).then_some(())).unwrap();
    load.stop().assert_none_failed();
}

fn refuses_what_a_gateway_must_not_get(gateway: &Gateway, fleet: &[Pushgateway]) {
    let client = gateway.client();
    let poison = client.put("/metrics/job/poison/instance@base64/=", "a 1\n").unwrap();
    assert_eq!(poison.status, 400, "{}", poison.text());
    assert!(poison.text().contains("would reject every later push"), "{}", poison.text());
    // No client chooses the gateway, or retries and timeouts.
    let path = "/metrics/job/chosen";
    for fleet in fleet {
        let address = fleet.address.to_string();
        let headers = [("x-pushring-destination", address.as_str()), ("x-envoy-upstream-rq-timeout-ms", "1")];
        assert_eq!(client.send("PUT", path, &headers, "a 1\n").unwrap().status, 200);
    }
    assert_eq!(fleet.iter().filter(|one| has(one, path)).count(), 1);
    assert_eq!(
        client.send("GET", "/metrics", &[("x-pushring-destination", "10.77.0.1:9091")], "").unwrap().status,
        404
    );
    // An Envoy among the members.
    assert_eq!(client.send("PUT", path, &[("cdn-loop", "pushring")], "a 1\n").unwrap().status, 508);
    // The gateway sees no header of ours, and the answer has none.
    let answer = client.put(path, "a 1\n").unwrap();
    assert!(
        answer.headers.keys().all(|name| !name.as_str().starts_with("x-pushring")),
        "{:?}",
        answer.headers
    );
    let grpc = client
        .send("PUT", path, &[("content-type", "application/grpc"), ("cdn-loop", "pushring")], "")
        .unwrap();
    assert_eq!(grpc.status, 508);
}

fn a_delete_reaches_the_owner_and_the_one_before(gateway: &Gateway, fleet: &[Pushgateway]) {
    let path = "/metrics/job/deleted";
    for one in fleet {
        one.client().unwrap().put(path, "a 1\n").unwrap();
    }
    assert_eq!(gateway.client().send("DELETE", path, &[], "").unwrap().status, 202);
    let left = || (fleet.iter().filter(|one| has(one, path)).count() == 1).then_some(());
    poll_until("the copy of the DELETE", left).unwrap();
}

/// Istio lets the upstream answer `Expect`, so the buffer must not hold such a request.
fn a_client_that_waits_for_continue_is_answered(gateway: &Gateway) {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "a 1\n").unwrap();
    let mut curl = process::command(Path::new("curl"));
    // curl sends the body only after the answer to Expect, or after longer than the test waits for anything.
    curl.args(["--silent", "--show-error", "--expect100-timeout", "600", "--header", "Expect: 100-continue"]);
    curl.args(["--write-out", "%{http_code}", "--upload-file"]).arg(file.path());
    let output = curl.arg(format!("http://{}/metrics/job/patient", gateway.push)).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "200");
}

/// Waits until both workers of Envoy accept pushes: each reads endpoints and filters for itself.
fn wait_routed(gateway: &Gateway) {
    let mut in_a_row = 0;
    poll_until("pushes to be accepted", || {
        let accepted = gateway
            .client()
            .put("/metrics/job/load0/instance/0", "a 1\n")
            .is_ok_and(|answer| answer.status == 200);
        in_a_row = if accepted { in_a_row + 1 } else { 0 };
        (in_a_row == 20).then_some(())
    })
    .unwrap();
}

fn has(gateway: &Pushgateway, path: &str) -> bool {
    let labels = path.strip_prefix("/metrics/").unwrap().split('/').collect::<Vec<_>>();
    let labels = labels.chunks(2).map(|pair| (pair[0].to_owned(), pair[1].to_owned())).collect();
    gateway.groups().unwrap().iter().any(|group| {
        let mut group = group.clone();
        group.retain(|_, value| !value.is_empty());
        group == labels
    })
}

fn index(name: &str) -> usize {
    name.rsplit('-').next().unwrap().parse().unwrap()
}

/// Creates the StatefulSet of the gateways, and runs its pods at 10.77.0.1 and so on.
fn stateful_set(mesh: &Mesh, replicas: usize) -> Vec<Pushgateway> {
    mesh.servers.apply(&service()).unwrap();
    mesh.servers.apply(&workload("StatefulSet", replicas)).unwrap();
    let run = |index: usize| {
        let gateway = pushgateway(mesh, index + 1);
        let created = || mesh.servers.kubectl(&["get", "pod", &name(index)], "").ok();
        poll_until("the pod", created).unwrap();
        mesh.servers.set_ready(&name(index), &gateway.address.ip().to_string(), true).unwrap();
        gateway
    };
    (0..replicas).map(run).collect()
}

/// Runs `discover` as the pod of the shipped Deployment: its arguments, its account, its settings.
fn start_deployment(mesh: &Mesh) -> Process {
    let deployment = mesh.get("deployment", "pushring-discover");
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let args = container["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap());
    let settings = mesh.get("configmap", "pushring-settings");
    fs::write("/etc/pushring/settings.yaml", settings["data"]["settings.yaml"].as_str().unwrap()).unwrap();
    let folder = Path::new("/run/secrets/kubernetes.io/serviceaccount");
    fs::create_dir_all(folder).unwrap();
    let token = mesh.kubectl(&["create", "token", "pushring-discover", "-n", "pushring"]);
    fs::write(folder.join("token"), token).unwrap();
    fs::write(folder.join("namespace"), "pushring").unwrap();
    fs::copy(mesh.dir.path().join("certs/apiserver.crt"), folder.join("ca.crt")).unwrap();
    let mut command = command::prepare(process::command(&tools::pushring().unwrap()));
    command.args(args).arg("--state").arg(mesh.dir.path().join("pod"));
    command.env_remove("KUBECONFIG");
    command.env("KUBERNETES_SERVICE_HOST", "127.0.0.1").env("KUBERNETES_SERVICE_PORT", "6443");
    let mut process = Process::start("deployment", command, mesh.dir.path()).unwrap();
    let ready = || Client::new("127.0.0.1:9088".parse().unwrap()).ok()?.get("/-/ready").ok();
    process.wait_until("ready", |_| (ready()?.status == 200).then_some(())).unwrap();
    process
}

/// Members come, go, and come back at other addresses, while `discover` and istiod are killed.
#[test]
fn no_push_is_lost_in_100_changes() {
    isolated("pushes::no_push_is_lost_in_100_changes", || {
        let mesh = Mesh::start();
        let mut gateway = Gateway::start(&mesh);
        // Each member has two addresses.
        let fleet: Vec<Pushgateway> = (0..10).map(|index| pushgateway(&mesh, index + 1)).collect();
        let mut random = fastrand::Rng::with_seed(7);
        let mut at = [0, 1, 2, 3, 4];
        let mut on = [true, true, true, true, false];
        let publish = |at: &[usize; 5], on: &[bool; 5]| {
            let entry = |index: usize| {
                let status = if on[index] { "passing" } else { "critical" };
                json!({"name": name(index), "address": fleet[at[index]].address.to_string(), "status": status})
            };
            mesh.write_gateways(&(0..5).map(entry).collect::<Vec<Value>>());
            let on_ring = (0..5).filter(|index| on[*index]);
            on_ring.map(|index| (name(index), fleet[at[index]].address.to_string())).collect()
        };
        let flags = ["--delay=200ms", "--grace=1s"];
        let admin = mesh.servers.kubeconfig();
        let first = publish(&at, &on);
        let mut discover = mesh.follow(&admin, &flags, &[]);
        gateway.wait_members(&first);
        wait_routed(&gateway);
        let (accepted, vms) = (count(&fleet), gateway.stat("wasm.envoy.wasm.runtime.v8.created"));
        let load = Load::start(gateway.push, 2);
        let mut took = Vec::new();
        for change in 1..=100 {
            let member = random.usize(0..5);
            // At least three are on the ring, so that the guard never holds it.
            if random.bool() || (on[member] && on.iter().filter(|on| **on).count() == 3) {
                at[member] = (at[member] + 5) % 10;
            }
            if on.iter().filter(|on| **on).count() > 3 || !on[member] {
                on[member] = !on[member];
            }
            if change % 10 == 5 {
                discover.kill();
            }
            let began = std::time::Instant::now();
            let wanted = publish(&at, &on);
            match change % 10 {
                5 => discover = mesh.follow(&admin, &flags, &[]),
                // In the middle of the change.
                7 => {
                    discover.kill();
                    discover = mesh.follow(&admin, &flags, &[]);
                }
                _ => {}
            }
            if change == 50 {
                gateway.restart_istiod(&mesh);
            }
            gateway.wait_members(&wanted);
            took.push(began.elapsed());
        }
        let seen = load.stop();
        took.sort_unstable();
        let made = gateway.stat("wasm.envoy.wasm.runtime.v8.created") - vms;
        println!(
            "100 changes, {} pushes; change to ring: median {:?}, slowest {:?}; {made} VMs made, {} active",
            seen.pushes,
            took[50],
            took[99],
            gateway.stat("wasm.envoy.wasm.runtime.v8.active")
        );
        seen.assert_none_failed();
        // Each answer is one that a gateway gave.
        assert!(
            count(&fleet) - accepted >= seen.pushes as u64,
            "{} of {}",
            count(&fleet) - accepted,
            seen.pushes
        );
        // Every group is on its owner at the end.
        Load::start(gateway.push, 2).stop().assert_none_failed();
        for (path, owner) in owners(gateway.push) {
            assert!(has(&fleet[at[index(&owner)]], &path), "{path} is not on {owner}");
        }
        assert_eq!(rejected(), 0);
        drop(discover);
    });
}

/// Returns how many pushes the gateways accepted.
fn count(fleet: &[Pushgateway]) -> u64 {
    let of = |gateway: &Pushgateway| -> u64 {
        let metrics = gateway.metrics().unwrap();
        let counts = metrics.lines().filter(|line| {
            line.starts_with("pushgateway_http_requests_total{code=\"200\"")
                && line.contains("method=\"post\"")
        });
        counts.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap() as u64).sum()
    };
    fleet.iter().map(of).sum()
}
