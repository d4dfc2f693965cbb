//! A gateway of Istio: a real istiod, and an Envoy on a machine of its own, in place of the proxy of a pod.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use pushring_harness::http::Client;
use pushring_harness::{Process, Pushgateway, machine, poll_until, process, tools};
use serde_json::{Value, json};

use super::mesh::{Mesh, name};

/// The machine of Envoy, and its address.
const MACHINE: &str = "gateway";
const ADDRESS: &str = "10.77.0.50";
/// The address of this machine, where istiod is.
const ISTIOD: &str = "10.0.1.1";

/// Settings of istiod for an Envoy that has none of the filters that only Istio's build has, and no certificates.
const SETTINGS: [(&str, &str); 6] = [
    ("ENABLE_CA_SERVER", "false"),
    ("PILOT_CERT_PROVIDER", "none"),
    ("PILOT_ENABLE_METADATA_EXCHANGE", "false"),
    ("PILOT_ENABLE_TELEMETRY_LABEL", "false"),
    ("PILOT_ENABLE_ALPN_FILTER", "false"),
    ("POD_NAMESPACE", "istio-system"),
];

/// istiod and Envoy of a mesh.
pub(crate) struct Gateway {
    pub(crate) istiod: Process,
    pub(crate) envoy: Process,
    /// The address for pushes.
    pub(crate) push: SocketAddr,
}

impl Gateway {
    /// Starts both, and waits until Envoy listens.
    pub(crate) fn start(mesh: &Mesh) -> Self {
        machine::add(MACHINE, &[ADDRESS]).unwrap();
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {
                "name": "kubernetes", "namespace": "default", "labels": {"kubernetes.io/service-name": "kubernetes"},
            },
            "ports": [{"name": "https", "port": 6443}], "endpoints": [{"addresses": ["10.77.0.100"]}],
        });
        mesh.servers.apply(&slice).unwrap();
        let status = json!({"status": {"phase": "Running", "podIP": ADDRESS, "podIPs": [{"ip": ADDRESS}]}});
        mesh.kubectl(&[
            "patch",
            "pod",
            "gateway-0",
            "-n",
            "pushring",
            "--subresource=status",
            "--type=merge",
            "-p",
            &status.to_string(),
        ]);
        let istiod = start_istiod(mesh);
        let bootstrap = mesh.dir.path().join("envoy.json");
        fs::write(&bootstrap, bootstrap_of_a_pod().to_string()).unwrap();
        let mut command = machine::on(MACHINE, &tools::find("envoy").unwrap());
        command.arg("--config-path").arg(&bootstrap);
        command.args(["--disable-hot-restart", "--log-level", "warning", "--concurrency", "2"]);
        let envoy = Process::start("envoy", command, mesh.dir.path()).unwrap();
        let mut gateway = Self { istiod, envoy, push: SocketAddr::new(ADDRESS.parse().unwrap(), 9091) };
        let listens = || Client::new(gateway.push).unwrap().get("/").is_ok().then_some(());
        gateway.envoy.wait_until("listening", |_| listens()).unwrap();
        gateway
    }

    /// Ends istiod as a crash would, and starts another one.
    pub(crate) fn restart_istiod(&mut self, mesh: &Mesh) {
        self.istiod.kill();
        self.istiod = start_istiod(mesh);
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.push).unwrap()
    }

    /// Returns the ring of one of Envoy's workers; `None` while the filter has none.
    pub(crate) fn ring(&self) -> Option<Value> {
        self.client().get("/-/pushring").ok()?.json().ok()
    }

    /// Returns names and addresses of the members on the ring.
    pub(crate) fn members(&self) -> BTreeMap<String, String> {
        let ring = self.ring().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let members = ring["members"].as_array().into_iter().flatten();
        members.map(|one| (text(&one["name"]), text(&one["address"]))).collect()
    }

    /// Waits until the ring has exactly these members.
    pub(crate) fn wait_members(&self, wanted: &BTreeMap<String, String>) {
        poll_until(&format!("the ring {wanted:?}"), || (self.members() == *wanted).then_some(())).unwrap();
    }

    /// Returns a counter or gauge of Envoy; 0 before its first use.
    pub(crate) fn stat(&self, name: &str) -> u64 {
        let admin = Client::new(format!("{ADDRESS}:15000").parse().unwrap()).unwrap();
        let all = admin.get("/stats").unwrap().text();
        all.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")?.parse().ok())
            .unwrap_or_default()
    }
}

fn start_istiod(mesh: &Mesh) -> Process {
    let config = mesh.dir.path().join("mesh.yaml");
    let text =
        json!({"enableAutoMtls": false, "defaultConfig": {"discoveryAddress": format!("{ISTIOD}:15010")}});
    fs::write(&config, text.to_string()).unwrap();
    let mut command = process::command(&tools::find("pilot-discovery").unwrap());
    command
        .arg("discovery")
        .arg("--kubeconfig")
        .arg(mesh.servers.kubeconfig())
        .arg("--meshConfig")
        .arg(&config);
    command.args(["--grpcAddr", "0.0.0.0:15010", "--httpAddr", "127.0.0.1:8080", "--httpsAddr", ""]);
    command.args(["--secureGRPCAddr", "", "--monitoringAddr", "127.0.0.1:15014", "--ctrlz_port", "0"]);
    command.args(["--networksConfig", "/dev/null"]).envs(SETTINGS).current_dir(mesh.dir.path());
    let mut istiod = Process::start("istiod", command, mesh.dir.path()).unwrap();
    istiod.wait_until("ready", |_| (istiod_get("127.0.0.1:8080", "/ready")?.0 == 200).then_some(())).unwrap();
    istiod
}

/// Returns how many configurations of filters Envoy rejected, as istiod counts them.
pub(crate) fn rejected() -> u64 {
    let (_, text) = istiod_get("127.0.0.1:15014", "/metrics").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("pilot_total_xds_rejects{type=\"ecds\"} "));
    line.map_or(0, |count| count.parse().unwrap())
}

fn istiod_get(address: &str, path: &str) -> Option<(u16, String)> {
    let answer = Client::new(address.parse().unwrap()).unwrap().get(path).ok()?;
    Some((answer.status, answer.text()))
}

/// Returns the parts of the bootstrap of Istio's proxy that matter here.
fn bootstrap_of_a_pod() -> Value {
    let http2 = json!({"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    }});
    let address = |host: &str, port: u16| json!({"socket_address": {"address": host, "port_value": port}});
    let from_istiod = json!({"ads": {}, "resource_api_version": "V3"});
    json!({
        "node": {
            "id": format!("router~{ADDRESS}~gateway-0.pushring~pushring.svc.cluster.local"),
            "cluster": "pushring-gateway",
            "metadata": {
                "LABELS": {"istio": "pushring-gateway"}, "NAMESPACE": "pushring", "ISTIO_VERSION": "1.31.0",
                "CLUSTER_ID": "Kubernetes", "INSTANCE_IPS": ADDRESS,
            },
        },
        "admin": {"address": address(ADDRESS, 15000)},
        "dynamic_resources": {
            "lds_config": from_istiod, "cds_config": from_istiod,
            "ads_config": {
                "api_type": "DELTA_GRPC", "set_node_on_first_message_only": true, "transport_api_version": "V3",
                "grpc_services": [{"envoy_grpc": {"cluster_name": "xds-grpc"}}],
            },
        },
        "static_resources": {"clusters": [{
            "name": "xds-grpc", "type": "STATIC", "connect_timeout": "1s",
            "typed_extension_protocol_options": http2,
            "load_assignment": {
                "cluster_name": "xds-grpc",
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(ISTIOD, 15010)}}]}],
            },
        }]},
    })
}

/// Starts a Pushgateway at 10.77.0.`host`.
pub(crate) fn pushgateway(mesh: &Mesh, host: usize) -> Pushgateway {
    let ip = format!("10.77.0.{host}");
    let added = Command::new("ip").args(["address", "add", &format!("{ip}/32"), "dev", "lo"]).status();
    assert!(added.unwrap().success());
    Pushgateway::start_at(mesh.dir.path(), SocketAddr::new(ip.parse().unwrap(), 9091), &[]).unwrap()
}

/// Returns names and addresses of members whose hosts are 10.77.0.1 and so on.
pub(crate) fn addresses(members: &[usize]) -> BTreeMap<String, String> {
    members.iter().map(|index| (name(*index), format!("10.77.0.{}:9091", index + 1))).collect()
}
