//! Consul behind TLS with client certificates and ACLs.

use std::net::TcpListener;

use pushring_harness::command::{self, CommandOutput};
use pushring_harness::{Consul, Pushgateway, poll_until};
use serde_json::json;

use crate::certificates::{Authority, replace};

#[test]
fn token_and_certificates_come_from_files() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let text = |name: &str| path(name).display().to_string();
    let authority = Authority::new("consul");
    replace(&path("ca.pem"), &authority.pem());
    authority.server(&["127.0.0.1"], &path("consul.pem"), &path("consul.key"));
    authority.client("spiffe://example.org/operator", &path("client.pem"), &path("client.key"));
    replace(&path("token"), "root\n");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let agent = format!(
        "-hcl=acl {{ enabled = true default_policy = \"allow\" tokens {{ initial_management = \"root\" }} }}\n\
         ports {{ https = {port} }}\n\
         tls {{ https {{ ca_file = \"{}\" cert_file = \"{}\" key_file = \"{}\" verify_incoming = true }} }}",
        text("ca.pem"),
        text("consul.pem"),
        text("consul.key")
    );
    let _consul = Consul::start_with(dir.path(), &[&agent]).unwrap();
    let gateway = Pushgateway::start(dir.path(), &[]).unwrap();
    replace(&path("pushring.json"), &json!({"members": [], "min_members": 0}).to_string());

    let all = [
        ("CONSUL_HTTP_ADDR", format!("https://127.0.0.1:{port}")),
        ("CONSUL_CACERT", text("ca.pem")),
        ("CONSUL_CLIENT_CERT", text("client.pem")),
        ("CONSUL_CLIENT_KEY", text("client.key")),
        ("CONSUL_HTTP_TOKEN_FILE", text("token")),
    ];
    let run = |args: &[&str], without: &[&str]| {
        let mut command = command::command().unwrap();
        command.args(args).envs(all.iter().filter(|(name, _)| !without.contains(name)).cloned());
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        CommandOutput {
            code: output.status.code().unwrap(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    };
    let address = gateway.address.to_string();
    let register = ["register", &address, "--interval=1s", "--timeout=1s", "--success-before-passing=1"];
    // The agent refuses tokens until its ACLs are ready.
    poll_until("the gateway to be registered", || (run(&register, &[]).code == 0).then_some(())).unwrap();

    // Each file is needed, and the message names the flag or the variable.
    let fails = |without: &[&str], message: &str| {
        let output = run(&register, without);
        assert_eq!(output.code, 1, "{without:?}: {}", output.stderr);
        assert!(output.stderr.contains(message), "{without:?}: {}", output.stderr);
    };
    fails(&["CONSUL_CACERT"], "--consul-ca-file");
    fails(&["CONSUL_CLIENT_CERT", "CONSUL_CLIENT_KEY"], "cannot be reached");
    replace(&path("token"), "a-token-that-does-not-exist");
    fails(&[], "(403)");
    assert!(!run(&register, &[]).stderr.contains("a-token-that"));
    replace(&path("token"), "root");

    let config = text("pushring.json");
    let consul = format!("--consul={}", all[0].1);
    let groups = ["groups", "--config", &config, &consul, "--output=json"];
    poll_until("the command to read the fleet from Consul", || {
        let output = run(&groups, &[]);
        (output.code == 0).then_some(())
    })
    .unwrap();
}
