//! `pushring serve` behind a gateway of Istio, by the component of deploy/istio/serve.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use pushring_harness::{Process, Pushgateway, command, poll_until, process, tools};
use serde_json::{Value, json};

use super::gateway::Gateway;
use super::mesh::Mesh;

/// The folder that both containers of the pod share.
const LIVE: &str = "/etc/pushring/live";

/// The gateway answers reads as one Pushgateway, and pushes as before.
pub(crate) fn one_address_answers_reads(mesh: &Mesh, gateway: &Gateway, fleet: &[Pushgateway]) {
    mesh.apply_with_serve();
    let client = gateway.client();
    let status = |method: &str, path: &str| client.send(method, path, &[], "").unwrap().status;
    poll_until("the routes", || (status("GET", "/metrics") == 503).then_some(())).unwrap();
    let _pod = start_pod(mesh);
    let answer = poll_until("the metrics of all gateways", || {
        client.get("/metrics").ok().filter(|answer| answer.status == 200)
    })
    .unwrap();

    let groups = |text: &str| -> BTreeSet<String> {
        let times = text.lines().filter(|line| line.starts_with("push_time_seconds{"));
        times.map(|line| line.split_once('}').unwrap().0.to_owned()).collect()
    };
    let held: BTreeSet<String> = fleet.iter().flat_map(|one| groups(&one.metrics().unwrap())).collect();
    assert!(held.len() > 100, "{held:?}");
    assert_eq!(groups(&answer.text()), held);
    assert!(client.get("/").unwrap().text().contains("<html"));
    assert_eq!(client.get("/api/v1/status").unwrap().json().unwrap()["status"], "success");
    // serve's own answer: without --enable-admin-api there is no such path.
    assert_eq!(status("PUT", "/api/v1/admin/wipe"), 404);
    assert_eq!(status("GET", "/nothing"), 404);
    assert_eq!(status("OPTIONS", "/"), 200);
    assert_eq!(client.put("/metrics/job/pushed", "a 1\n").unwrap().status, 200);
    let text = client.get("/metrics").unwrap().text();
    assert!(text.contains("\na{instance=\"\",job=\"pushed\"} 1\n"), "{text}");
}

/// Runs both containers of the pod with their arguments, and makes it ready.
fn start_pod(mesh: &Mesh) -> [Process; 2] {
    let pod = &mesh.get("deployment", "pushring-serve")["spec"]["template"]["spec"];
    let settings = Path::new("/etc/pushring/settings");
    fs::create_dir_all(settings).unwrap();
    fs::copy("/etc/pushring/settings.yaml", settings.join("settings.yaml")).unwrap();
    fs::create_dir_all(LIVE).unwrap();
    let discover = start(mesh, &pod["initContainers"][0]);
    let ring = || Path::new(LIVE).join("ring.yaml").exists().then_some(());
    poll_until("the ring as a file", ring).unwrap();
    let serve = start(mesh, &pod["containers"][0]);
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {
            "name": "pushring-serve-1", "namespace": "pushring",
            "labels": {"kubernetes.io/service-name": "pushring-serve"},
        },
        "ports": [{"name": "http", "port": 9093}],
        "endpoints": [{"addresses": ["10.77.0.1"], "conditions": {"ready": true}}],
    });
    mesh.servers.apply(&slice).unwrap();
    [discover, serve]
}

/// Starts a container on this machine, where another `discover` already listens.
fn start(mesh: &Mesh, container: &Value) -> Process {
    let mut command = command::prepare(process::command(&tools::pushring().unwrap()));
    for arg in container["args"].as_array().unwrap() {
        command.arg(arg.as_str().unwrap().replace("0.0.0.0:9088", "127.0.0.1:0"));
    }
    command.env_remove("KUBECONFIG");
    command.env("KUBERNETES_SERVICE_HOST", "127.0.0.1").env("KUBERNETES_SERVICE_PORT", "6443");
    let name = format!("pod-{}", container["name"].as_str().unwrap());
    Process::start(&name, command, mesh.dir.path()).unwrap()
}
