//! Gateways that ask Envoy for a certificate, and gateways with the certificate of another host; members without Consul.

use std::fs;
use std::path::PathBuf;

use pushring_harness::{Envoy, Layout, Mode, Module, Ports, Pushgateway, command, poll_until};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::certificates::{Authority, replace};
use crate::curl::{Outcome, curl};

const STORED: Outcome = Outcome::Status(200);
const FAILED: Outcome = Outcome::Status(503);

struct Direct {
    envoy: Envoy,
    authority: Authority,
    dir: TempDir,
    gateway: Pushgateway,
}

impl Direct {
    /// Starts one gateway with a certificate for `names` and publishes it with the section `gateways`.
    fn start(mode: Mode, names: &[&str], client_certificate: bool, gateways: &Value) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let text = |name: &str| path(name).display().to_string();
        let authority = Authority::new("gateways");
        replace(&path("ca.pem"), &authority.pem());
        authority.server(names, &path("gateway.pem"), &path("gateway.key"));
        authority.client("spiffe://example.org/envoy", &path("envoy.pem"), &path("envoy.key"));
        let mut tls = json!({"cert_file": text("gateway.pem"), "key_file": text("gateway.key")});
        if client_certificate {
            tls["client_ca_file"] = json!(text("ca.pem"));
            tls["client_auth_type"] = json!("RequireAndVerifyClientCert");
        }
        fs::write(path("web.yml"), json!({ "tls_server_config": tls }).to_string()).unwrap();
        let flag = format!("--web.config.file={}", text("web.yml"));
        let gateway = Pushgateway::start(dir.path(), &[&flag]).unwrap();

        let patches: &[&str] = if mode == Mode::Endpoint { &["endpoint-gateways-tls"] } else { &[] };
        let layout = Layout::patched(&dir.path().join("pushring"), mode, Ports::default(), patches).unwrap();
        let mut gateways = gateways.clone();
        gateways["ca_file"] = json!(text("ca.pem"));
        if client_certificate {
            gateways["cert_file"] = json!(text("envoy.pem"));
            gateways["key_file"] = json!(text("envoy.key"));
        }
        if client_certificate && mode == Mode::Endpoint {
            uncomment(&layout);
        }
        let settings = json!({"gateways": gateways, "filter": {"mode": mode.to_string()}});
        fs::write(path("settings.yaml"), settings.to_string()).unwrap();
        let address = gateway.address;
        let registration = json!({"address": address.ip(), "port": address.port(), "scheme": "https"});
        fs::write(path("registrations.json"), json!({"registrations": [registration]}).to_string()).unwrap();
        let (live, module) = (layout.live(), layout.module());
        let flag = if layout.form() == Module::Native { "--native" } else { "--wasm" };
        let args = [
            PathBuf::from("publish"),
            "--registrations".into(),
            path("registrations.json"),
            "--settings".into(),
            path("settings.yaml"),
            "--live".into(),
            live,
            flag.into(),
            module,
        ];
        let published = command::pushring(&args).unwrap();
        assert_eq!(published.code, 0, "{}", published.stderr);
        Self { envoy: Envoy::start(&layout, 1).unwrap(), authority, dir, gateway }
    }

    /// Kills the gateway and starts it again, which closes all connections to it.
    fn restart(&mut self) {
        let flag = format!("--web.config.file={}", self.dir.path().join("web.yml").display());
        self.gateway.process.kill();
        self.gateway = Pushgateway::start_at(self.dir.path(), self.gateway.address, &[&flag]).unwrap();
    }

    fn push(&self) -> Outcome {
        curl("PUT", &format!("http://{}/metrics/job/a", self.envoy.push), &[]).0
    }

    /// Returns the sum of a counter of all clusters.
    fn count(&self, counter: &str) -> u64 {
        let stats = self.envoy.admin(&format!("/stats?filter={counter}")).unwrap();
        stats.lines().filter_map(|line| line.rsplit_once(": ")?.1.parse::<u64>().ok()).sum()
    }
}

/// Removes the comment signs before the lines for a client certificate, as the patch says.
fn uncomment(layout: &Layout) {
    let text = fs::read_to_string(layout.bootstrap()).unwrap();
    let (before, rest) = text.split_once("            # tls_certificate_sds_secret_configs:").unwrap();
    let lines = rest
        .replacen("            # - name: gateway-c", "            - name: gateway-c", 1)
        .replacen("            #   sds_config:", "              sds_config:", 1);
    let text = format!("{before}            tls_certificate_sds_secret_configs:{lines}");
    fs::write(layout.bootstrap(), text).unwrap();
}

#[test]
fn envoy_shows_its_certificate_and_uses_a_replaced_one() {
    for mode in Mode::ROUTED {
        let mut direct = Direct::start(mode, &["127.0.0.1", "pushgateway"], true, &json!({}));
        assert_eq!(direct.push(), STORED, "{mode}");
        // A certificate that the gateway does not accept, then a good one again.
        let path = |name: &str| direct.dir.path().join(name);
        let (cert, key) = (path("envoy.pem"), path("envoy.key"));
        let uri = "spiffe://example.org/envoy";
        Authority::new("another").client(uri, &cert, &key);
        poll_until("Envoy to show the wrong certificate", || {
            direct.restart();
            (direct.push() == FAILED).then_some(())
        })
        .unwrap();
        direct.authority.client(uri, &cert, &key);
        poll_until("a push to be stored", || (direct.push() == STORED).then_some(())).unwrap();
    }
}

#[test]
fn a_gateway_with_the_certificate_of_another_host_gets_nothing() {
    for mode in Mode::ROUTED {
        let direct = Direct::start(mode, &["other.example.org", "10.0.0.1"], false, &json!({}));
        assert_eq!(direct.push(), FAILED, "{mode}");
        assert!(direct.count("ssl.fail_verify_san") > 0, "{mode}");
    }
}

#[test]
fn server_name_is_the_name_in_every_certificate() {
    let named = json!({"server_name": "gateways.example.org"});
    assert_eq!(Direct::start(Mode::Cluster, &["gateways.example.org"], false, &named).push(), STORED);
    assert_eq!(Direct::start(Mode::Cluster, &["127.0.0.1"], false, &named).push(), FAILED);
}
