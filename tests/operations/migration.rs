//! The migration guide step by step: placement and answers of dynamic-sharding through the whole chain, then the
//! proxying modes without a moved group, then the canonical keys.

use std::fs;
use std::net::SocketAddr;

use pushring_harness::{Consul, Envoy, Layout, Mode, Ports, Pushgateway, Templates, command, poll_until};
use pushring_router::Router;
use serde_json::json;

/// Settings of step 1.
const AS_ORIGINAL: [(&str, &str); 2] = [
    ("route_by: group #", "route_by: path #"),
    ("placement: { type: ring, points: 1024 } #", "placement: { type: dynamic-sharding } #"),
];

/// The owners of the original for three members `1.1.1.1:9091` to `1.1.1.3:9091`, by path; computed from its algorithm
/// (testdata/README.md): labels in both orders, a slash at the end, an exact hit, the wrap-around.
const ORIGINAL: [(&str, &str); 9] = [
    ("/metrics/job/job_a", "1.1.1.3"),
    ("/metrics/job/job_b", "1.1.1.1"),
    ("/metrics/job/job_c", "1.1.1.2"),
    ("/metrics/job/some_job/", "1.1.1.3"),
    ("/metrics/job/j/a/1/b/2", "1.1.1.1"),
    ("/metrics/job/j/b/2/a/1", "1.1.1.3"),
    ("/metrics/job/a%20b", "1.1.1.2"),
    ("/metrics/job/e7256553", "1.1.1.1"),
    ("/metrics/job/w2316", "1.1.1.3"),
];

#[test]
fn answers_equal_those_of_dynamic_sharding() {
    let dir = tempfile::tempdir().unwrap();
    let consul = Consul::start(dir.path()).unwrap();
    for host in ["1.1.1.1", "1.1.1.2", "1.1.1.3"] {
        consul.register(format!("{host}:9091").parse().unwrap(), "passing").unwrap();
    }
    let layout = Layout::create(&dir.path().join("pushring"), Mode::Redirect, Ports::default()).unwrap();
    let edits = [&AS_ORIGINAL[..], &[("mirror_deletes: true", "mirror_deletes: false")]].concat();
    Templates::install(&layout, &edits).unwrap().once(consul.address).unwrap();
    let envoy = Envoy::start(&layout, 1).unwrap();
    let client = envoy.client().unwrap();
    for (path, host) in ORIGINAL {
        let url = format!("http://{host}:9091{path}");
        let lookup = client.get(path).unwrap();
        assert_eq!((lookup.status, lookup.text()), (200, format!("nextUrl:{url}")));
        for method in ["PUT", "POST"] {
            // With a query, which dynamic-sharding loses.
            let answer = client.send(method, &format!("{path}?x=%2F"), &[], "x 1\n").unwrap();
            assert_eq!(answer.status, 307);
            assert_eq!(answer.header("location"), Some(format!("{url}?x=%2F").as_str()));
        }
    }
}

#[test]
fn no_group_moves_until_the_keys_change() {
    let dir = tempfile::tempdir().unwrap();
    let consul = Consul::start(dir.path()).unwrap();
    let gateways: Vec<_> = (0..3).map(|_| Pushgateway::start(dir.path(), &[]).unwrap()).collect();
    // dynamic-sharding registers a check that is critical after one failure and deregisters after a minute.
    for gateway in &gateways {
        register_as_original(&consul, gateway.address);
    }
    for gateway in &gateways {
        wait_passing(&consul, gateway.address);
    }

    // Step 2: `pushring register` updates the registrations, and no member becomes critical.
    for gateway in &gateways {
        take_over(&consul, gateway.address);
        assert_eq!(
            status(&consul, gateway.address),
            "passing",
            "taking over must not take a member off the ring"
        );
    }

    // Step 4, both modes: each push reaches the owner that dynamic-sharding chose.
    for mode in Mode::ROUTED {
        let layout = Layout::create(&dir.path().join(mode.to_string()), mode, Ports::default()).unwrap();
        Templates::install(&layout, &AS_ORIGINAL).unwrap().once(consul.address).unwrap();
        let envoy = Envoy::start(&layout, 1).unwrap();
        let client = envoy.client().unwrap();
        let paths: Vec<String> = (0..100).map(|i| format!("/metrics/job/{mode}{i}/b/2/a/1")).collect();
        for (path, owner) in paths.iter().zip(original_owners(&gateways, &paths)) {
            assert_eq!(client.put(path, "x 1\n").unwrap().status, 200);
            let job = path.split('/').nth(3).unwrap();
            for gateway in &gateways {
                let holds = gateway.groups().unwrap().iter().any(|group| group["job"] == job);
                assert_eq!(holds, gateway.address == owner, "{path} on {}", gateway.address);
            }
        }
    }
}

/// Returns the owners by the placement of dynamic-sharding, which golden vectors in testdata/ verify.
fn original_owners(gateways: &[Pushgateway], paths: &[String]) -> Vec<SocketAddr> {
    let members: Vec<String> = gateways.iter().map(|gateway| gateway.address.to_string()).collect();
    let config = json!({"members": members, "route_by": "path", "placement": {"type": "dynamic-sharding"}});
    let router = Router::parse(config.to_string().as_bytes()).unwrap();
    let owner = |path: &String| router.owner(&router.group(path.as_bytes()).unwrap().key).unwrap();
    paths.iter().map(|path| owner(path).address.parse().unwrap()).collect()
}

fn register_as_original(consul: &Consul, address: SocketAddr) {
    let id = format!("{}_{}", address.ip(), address.port());
    let service = json!({
        "Name": "pushgateway", "ID": id, "Address": address.ip(), "Port": address.port(),
        "Check": {"HTTP": format!("http://{address}/-/healthy"), "Interval": "1s", "Timeout": "2s",
                  "DeregisterCriticalServiceAfter": "5s"},
    });
    consul.put("/v1/agent/service/register", &service).unwrap();
}

/// `pushring register --from-dynamic-sharding dynamic-sharding.yml`
fn take_over(consul: &Consul, address: SocketAddr) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("dynamic-sharding.yml");
    let text = format!(
        "consul_server:\n  addr: {}\n  username:\n  password:\n  register_service_name: pushgateway\n\
         http_listen_addr: :9292\npushgateway:\n  port: {}\n  servers: [{}]\n",
        consul.address,
        address.port(),
        address.ip()
    );
    fs::write(&file, text).unwrap();
    let output = command::command()
        .unwrap()
        .args(["register", "--from-dynamic-sharding"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("updated"), "the same ID must be found again: {said}");
}

fn status(consul: &Consul, address: SocketAddr) -> String {
    let client = pushring_harness::http::Client::new(consul.address).unwrap();
    let checks = client.get("/v1/health/checks/pushgateway").unwrap().json().unwrap();
    let id = format!("{}_{}", address.ip(), address.port());
    let check = checks.as_array().unwrap().iter().find(|check| check["ServiceID"] == *id).unwrap();
    check["Status"].as_str().unwrap().to_owned()
}

fn wait_passing(consul: &Consul, address: SocketAddr) {
    poll_until(&format!("{address} to pass"), || (status(consul, address) == "passing").then_some(()))
        .unwrap();
}
