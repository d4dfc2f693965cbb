//! `pushring register` and `deregister` with a real Consul and real pushgateways.

use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Output};

use pushring_harness::http::Client;
use pushring_harness::{Consul, Pushgateway, poll_until, tools};
use serde_json::{Value, json};

fn pushring(consul: &Consul, args: &[&str]) -> Output {
    command(consul).args(args).output().unwrap()
}

fn command(consul: &Consul) -> Command {
    let mut command = Command::new(tools::pushring().unwrap());
    command.env("CONSUL_HTTP_ADDR", consul.address.to_string()).env_remove("CONSUL_HTTP_TOKEN");
    command
}

/// Returns the command's result for each Pushgateway, one word each.
fn results(output: &Output) -> Vec<String> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let result = |row: &Value| row["result"].as_str().unwrap().to_owned();
    found["results"].as_array().unwrap().iter().map(result).collect()
}

/// ID, status of the check and last change of each registered pushgateway.
fn registered(consul: &Consul) -> Vec<(String, String, u64)> {
    let services =
        Client::new(consul.address).unwrap().get("/v1/health/service/pushgateway").unwrap().json().unwrap();
    let service = |entry: &Value| {
        let check = entry["Checks"].as_array()?.iter().find(|check| check["ServiceID"] != "")?;
        let id = entry["Service"]["ID"].as_str()?.to_owned();
        Some((id, check["Status"].as_str()?.to_owned(), entry["Service"]["ModifyIndex"].as_u64()?))
    };
    services.as_array().unwrap().iter().map(|entry| service(entry).unwrap()).collect()
}

fn wait_status(consul: &Consul, status: &str) {
    poll_until(&format!("the check to be {status}"), || {
        registered(consul).iter().all(|(_, found, _)| found == status).then_some(())
    })
    .unwrap();
}

#[test]
fn registers_and_deregisters() {
    let dir = tempfile::tempdir().unwrap();
    let consul = Consul::start(dir.path()).unwrap();
    let gateway = Pushgateway::start(dir.path(), &["--web.route-prefix=/pg"]).unwrap();
    let SocketAddr::V4(address) = gateway.address else { panic!("IPv4") };
    let yml = dir.path().join("dynamic-sharding.yml");
    let text = format!(
        "consul_server:\n  addr: {}\n  username: u\n  password: p\n  register_service_name: pushgateway\n\
         http_listen_addr: :9292\npushgateway:\n  port: {}\n  servers:\n    - {}\n",
        consul.address,
        address.port(),
        address.ip()
    );
    std::fs::write(&yml, text).unwrap();
    let yml = yml.to_str().unwrap();
    let register = |more: &[&str]| {
        let args = ["register", "--from-dynamic-sharding", yml, "--path-prefix", "/pg/", "--output", "json"];
        pushring(&consul, &[&args[..], more].concat())
    };

    let output = register(&["--dry-run"]);
    assert_eq!(results(&output), ["registered"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("username and .password are ignored"), "{said}");
    assert!(registered(&consul).is_empty());

    // The first check is hours away, so Consul has not seen that the gateway is healthy.
    assert_eq!(results(&register(&["--interval", "24h"])), ["registered"]);
    let id = format!("{}_{}", address.ip(), address.port());
    assert_eq!(registered(&consul)[0].0, id);
    assert_eq!(registered(&consul)[0].1, "critical");

    assert_eq!(results(&register(&["--interval", "100ms"])), ["updated"]);
    wait_status(&consul, "passing");
    let before = registered(&consul);
    assert_eq!(results(&register(&["--interval", "100ms"])), ["unchanged"]);
    assert_eq!(registered(&consul), before);
    // A changed check does not take a healthy member off the ring: the next check is hours away again.
    assert_eq!(results(&register(&["--interval", "24h"])), ["updated"]);
    assert_eq!(registered(&consul)[0].1, "passing");

    let gone = ["deregister", "--from-dynamic-sharding", yml, "--output", "json"];
    assert_eq!(results(&pushring(&consul, &[&gone[..], &["--dry-run"]].concat())), ["deregistered"]);
    assert_eq!(registered(&consul).len(), 1);
    assert_eq!(results(&pushring(&consul, &gone)), ["deregistered"]);
    assert!(registered(&consul).is_empty());
    assert_eq!(results(&pushring(&consul, &gone)), ["absent"]);
}

#[test]
fn a_dead_gateway_turns_critical_and_stays_registered() {
    let dir = tempfile::tempdir().unwrap();
    let consul = Consul::start(dir.path()).unwrap();
    let mut gateway = Pushgateway::start(dir.path(), &[]).unwrap();
    let address = gateway.address.to_string();
    let output = pushring(&consul, &["register", &address, "--interval", "100ms", "--output", "json"]);
    assert_eq!(results(&output), ["registered"]);
    wait_status(&consul, "passing");
    gateway.process.kill();
    wait_status(&consul, "critical");
    let _back = Pushgateway::start_at(dir.path(), gateway.address, &[]).unwrap();
    wait_status(&consul, "passing");
}

#[test]
fn updates_registrations_of_dynamic_sharding() {
    let dir = tempfile::tempdir().unwrap();
    let consul = Consul::start(dir.path()).unwrap();
    let gateway = Pushgateway::start(dir.path(), &[]).unwrap();
    let (host, port) = (gateway.address.ip().to_string(), gateway.address.port());
    // Registers as the code of dynamic-sharding does.
    let original = json!({
        "Name": "pushgateway", "ID": format!("{host}_{port}"), "Address": host, "Port": port,
        "Check": {"HTTP": format!("http://{host}:{port}/-/healthy"), "Interval": "1s", "Timeout": "2s",
                  "DeregisterCriticalServiceAfter": "5s"},
    });
    consul.put("/v1/agent/service/register", &original).unwrap();
    wait_status(&consul, "passing");
    let address = gateway.address.to_string();
    let output = pushring(&consul, &["register", &address, "--interval", "24h", "--output", "json"]);
    assert_eq!(results(&output), ["updated"]);
    let [(_, status, _)] = registered(&consul).try_into().unwrap();
    assert_eq!(status, "passing");
    let client = Client::new(consul.address).unwrap();
    let checks = client.get("/v1/agent/checks").unwrap().json().unwrap();
    let [check] = checks.as_object().unwrap().values().collect::<Vec<_>>().try_into().unwrap();
    assert_eq!((check["Interval"].as_str(), check["Timeout"].as_str()), (Some("24h0m0s"), Some("4s")));
}

#[test]
fn a_token_that_may_not_write_registers_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let acl =
        r#"-hcl=acl { enabled = true default_policy = "allow" tokens { initial_management = "root" } }"#;
    let consul = Consul::start_with(dir.path(), &[acl]).unwrap();
    let client = Client::new(consul.address).unwrap();
    let rules = r#"service_prefix "" { policy = "read" }"#;
    let root = [("X-Consul-Token", "root")];
    let policy = json!({"Name": "reader", "Rules": rules}).to_string();
    let made = poll_until("Consul to have its first token", || {
        let answer = client.send("PUT", "/v1/acl/policy", &root, policy.clone()).ok()?;
        (answer.status == 200).then_some(answer)
    });
    made.unwrap();
    let token = json!({"Policies": [{"Name": "reader"}]}).to_string();
    let token = client.send("PUT", "/v1/acl/token", &root, token).unwrap().json().unwrap();

    let args = ["register", "--no-probe", "10.0.0.1:9091", "10.0.0.2:9091"];
    for (token, message) in [
        (token["SecretID"].as_str().unwrap(), "lacks permission 'service:write'"),
        ("unknown", "ACL not found"),
    ] {
        let output = command(&consul).args(args).env("CONSUL_HTTP_TOKEN", token).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(message) && said.contains("0 done, 2 not"), "{said}");
        assert!(said.contains("the token needs service:write") && !said.contains(token), "{said}");
    }
    assert!(registered(&consul).is_empty());
    let output = command(&consul).args(args).env("CONSUL_HTTP_TOKEN", "root").output().unwrap();
    assert!(output.status.success());
}

/// Certificates of Consul's own making; the agent asks its clients for theirs.
#[test]
fn registers_over_https_with_a_client_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    for args in [&["ca", "create"][..], &["cert", "create", "-server"], &["cert", "create", "-client"]] {
        let made =
            Command::new(tools::find("consul").unwrap()).arg("tls").args(args).current_dir(&dir).output();
        assert!(made.unwrap().status.success());
    }
    let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let tls = format!(
        "-hcl=ports {{ https = {port} }} tls {{ defaults {{ ca_file = \"{}\" cert_file = \"{}\" \
         key_file = \"{}\" verify_incoming = true }} }}",
        file("consul-agent-ca.pem"),
        file("dc1-server-consul-0.pem"),
        file("dc1-server-consul-0-key.pem"),
    );
    let consul = Consul::start_with(dir.path(), &[&tls]).unwrap();
    let mut trusting = command(&consul);
    trusting.args(["register", "--no-probe", "10.0.0.1:9091", "--output", "json"]);
    trusting.env("CONSUL_HTTP_ADDR", format!("https://127.0.0.1:{port}"));
    assert_eq!(trusting.output().unwrap().status.code(), Some(1));
    trusting.env("CONSUL_CACERT", file("consul-agent-ca.pem"));
    assert_eq!(trusting.output().unwrap().status.code(), Some(1));
    trusting.env("CONSUL_CLIENT_CERT", file("dc1-client-consul-0.pem"));
    trusting.env("CONSUL_CLIENT_KEY", file("dc1-client-consul-0-key.pem"));
    assert_eq!(results(&trusting.output().unwrap()), ["registered"]);
}

/// The name, the weight and the tags decide which groups a gateway owns.
#[test]
fn an_update_keeps_name_weight_and_tags() {
    let dir = tempfile::tempdir().unwrap();
    let consul = Consul::start(dir.path()).unwrap();
    let original = json!({
        "Name": "pushgateway", "ID": "10.0.0.1_9091", "Address": "10.0.0.1", "Port": 9091, "Tags": ["prod", "eu"],
        "Meta": {"pushring-name": "pg-0", "rack": "7", "pushring-scheme": "https"},
        "Weights": {"Passing": 7, "Warning": 3}, "EnableTagOverride": true,
    });
    consul.put("/v1/agent/service/register", &original).unwrap();
    let args = ["register", "--no-probe", "10.0.0.1:9091", "--output", "json"];
    assert_eq!(results(&pushring(&consul, &args)), ["updated"]);
    assert_eq!(results(&pushring(&consul, &args)), ["unchanged"]);
    let services = Client::new(consul.address).unwrap().get("/v1/agent/services").unwrap().json().unwrap();
    let found = &services["10.0.0.1_9091"];
    for field in ["Tags", "Weights", "EnableTagOverride"] {
        assert_eq!(found[field], original[field], "{field}");
    }
    let meta = found["Meta"].as_object().unwrap();
    assert_eq!((&meta["pushring-name"], &meta["rack"]), (&json!("pg-0"), &json!("7")));
    assert!(meta.contains_key("pushring-check") && !meta.contains_key("pushring-scheme"), "{meta:?}");
}

#[test]
fn an_id_of_another_address_is_replaced_only_on_request() {
    let dir = tempfile::tempdir().unwrap();
    let consul = Consul::start(dir.path()).unwrap();
    let client = Client::new(consul.address).unwrap();
    let addresses = || {
        let services = client.get("/v1/agent/services").unwrap().json().unwrap();
        let address =
            |service: &Value| format!("{}:{}", service["Address"].as_str().unwrap(), service["Port"]);
        services.as_object().unwrap().values().map(address).collect::<Vec<_>>()
    };
    for (id, address, port, target) in [
        ("10.0.0.1_9091", "10.0.0.2", 9091, "10.0.0.1:9091"),
        ("10.0.0.1_9091", "10.0.0.1", 9092, "10.0.0.1:9091"),
        // The address is that of the node, 127.0.0.1.
        ("10.0.0.1_9091", "", 9091, "10.0.0.1:9091"),
        ("pg.test_9091", "PG.test.example", 9091, "pg.test:9091"),
    ] {
        let other = json!({"Name": "pushgateway", "ID": id, "Address": address, "Port": port,
                           "Meta": {"pushring-name": "pg-0"}});
        consul.put("/v1/agent/service/register", &other).unwrap();
        let in_catalog = || {
            let found = client.get("/v1/catalog/service/pushgateway").ok()?.json().ok()?;
            found.as_array()?.iter().any(|entry| entry["ServiceAddress"] == address).then_some(())
        };
        poll_until("the catalog to have it", in_catalog).unwrap();
        let before = addresses();
        for more in [&[][..], &["--dry-run"]] {
            let args = ["register", "--no-probe", "10.0.0.9:9091", target];
            let output = pushring(&consul, &[&args, more].concat());
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{said}");
            let shown = if address.is_empty() { "127.0.0.1" } else { address };
            let text =
                format!("ID {id} is registered for {shown}:{port}; registering {target} would replace it");
            assert!(said.contains(&text), "{text}: {said}");
        }
        assert_eq!(addresses(), before);
        let replace = ["register", "--no-probe", target, "--replace", "--output", "json"];
        assert_eq!(results(&pushring(&consul, &replace)), ["replaced"]);
        assert_eq!(addresses(), [target]);
        assert_eq!(results(&pushring(&consul, &replace)), ["unchanged"]);
        consul.put(&format!("/v1/agent/service/deregister/{id}"), &Value::Null).unwrap();
    }
    // Another spelling is the same address.
    let same =
        json!({"Name": "pushgateway", "ID": "10.0.0.1_9091", "Address": "::ffff:10.0.0.1", "Port": 9091});
    consul.put("/v1/agent/service/register", &same).unwrap();
    let args = ["register", "--no-probe", "10.0.0.1:9091", "--output", "json"];
    assert_eq!(results(&pushring(&consul, &args)), ["updated"]);
}
