//! The whole chain with Pushgateways that require TLS and a password: Consul, consul-template, Envoy.

use std::fs;
use std::path::PathBuf;

use pushring_harness::command::{self, CommandOutput};
use pushring_harness::{
    Consul, ConsulTemplate, Envoy, Layout, Mode, Ports, Pushgateway, Templates, poll_until,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::certificates::{Authority, replace};
use crate::curl::{Outcome, curl};

/// bcrypt of "secret".
const HASH: &str = "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW";
/// Base64 of "ops:secret".
pub(crate) const AUTHORIZATION: &str = "Basic b3BzOnNlY3JldA==";

/// Stops all servers when dropped.
pub(crate) struct SecureFleet {
    _consul_template: ConsulTemplate,
    pub(crate) envoy: Envoy,
    pub(crate) consul: Consul,
    pub(crate) gateways: Vec<Pushgateway>,
    pub(crate) layout: Layout,
    pub(crate) dir: TempDir,
}

impl SecureFleet {
    /// Starts two Pushgateways with TLS and a password, registers them as the documents say and waits for them in the ring.
    pub(crate) fn start(mode: Mode) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::new("gateways");
        let path = |name: &str| dir.path().join(name);
        replace(&path("ca.pem"), &authority.pem());
        replace(&path("authorization"), AUTHORIZATION);
        authority.server(&["127.0.0.1", "pushgateway"], &path("gateway.pem"), &path("gateway.key"));
        let web = format!(
            "tls_server_config:\n  cert_file: {}\n  key_file: {}\nbasic_auth_users:\n  ops: {HASH}\n",
            path("gateway.pem").display(),
            path("gateway.key").display()
        );
        fs::write(path("web.yml"), web).unwrap();
        let flag = format!("--web.config.file={}", path("web.yml").display());
        let gateways: Vec<_> = (0..2).map(|_| Pushgateway::start(dir.path(), &[&flag]).unwrap()).collect();

        // The agent verifies the gateways with its own CA certificates.
        let tls = format!(
            "-hcl=enable_agent_tls_for_checks = true\ntls {{ defaults {{ ca_file = \"{}\" }} }}",
            path("ca.pem").display()
        );
        let consul = Consul::start_with(dir.path(), &[&tls]).unwrap();
        let patches: &[&str] = match mode {
            Mode::Endpoint => &["endpoint-gateways-tls", "endpoint-gateways-authorization"],
            _ => &[],
        };
        let layout = Layout::patched(&dir.path().join("pushring"), mode, Ports::default(), patches).unwrap();
        let settings = format!(
            "gateways:\n  scheme: https\n  ca_file: {}\n  authorization_file: {}\nfilter:",
            path("ca.pem").display(),
            path("authorization").display()
        );
        let templates = Templates::install(&layout, &[("filter:", &settings)]).unwrap();
        templates.once(consul.address).unwrap();
        let envoy = Envoy::start(&layout, 1).unwrap();
        templates.set_admin(envoy.admin).unwrap();
        let consul_template = templates.start(consul.address).unwrap();
        let fleet = Self { _consul_template: consul_template, envoy, consul, gateways, layout, dir };
        fleet.register();
        let names: Vec<String> = fleet.gateways.iter().map(|gateway| gateway.address.to_string()).collect();
        fleet.envoy.wait_members(&names.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
        fleet
    }

    fn register(&self) {
        let header = self.path("check-header");
        replace(&header, &format!("Authorization: {AUTHORIZATION}\n"));
        let header = format!("--check-header=@{}", header.display());
        let consul = format!("--consul={}", self.consul.address);
        let ca = format!("--gateway-ca-file={}", self.path("ca.pem").display());
        let mut args = vec!["register", "--scheme=https", &ca, &header, &consul, "--output=json"];
        args.extend(["--interval=1s", "--timeout=1s", "--success-before-passing=1"]);
        let addresses: Vec<String> =
            self.gateways.iter().map(|gateway| gateway.address.to_string()).collect();
        args.extend(addresses.iter().map(String::as_str));
        let output = command::pushring(&args).unwrap();
        assert_eq!(output.code, 0, "{}", output.stderr);
        assert!(!format!("{output:?}").contains("b3Bz"), "{output:?}");
    }

    /// Kills the Pushgateways and starts them again, which closes all connections to them.
    pub(crate) fn restart_gateways(&mut self) {
        let flag = format!("--web.config.file={}", self.path("web.yml").display());
        for gateway in &mut self.gateways {
            gateway.process.kill();
            *gateway = Pushgateway::start_at(self.dir.path(), gateway.address, &[&flag]).unwrap();
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.envoy.push)
    }

    /// Returns the jobs that each gateway stores.
    pub(crate) fn jobs(&self) -> Vec<Vec<String>> {
        let ca = self.path("ca.pem").display().to_string();
        let jobs = |gateway: &Pushgateway| {
            let url = format!("https://{}/api/v1/metrics", gateway.address);
            let (outcome, body) = curl("GET", &url, &["--cacert", &ca, "-u", "ops:secret"]);
            assert_eq!(outcome, Outcome::Status(200), "{body}");
            let body: Value = serde_json::from_str(&body).unwrap();
            let job = |group: &Value| group["labels"]["job"].as_str().unwrap().to_owned();
            body["data"].as_array().unwrap().iter().map(job).collect()
        };
        self.gateways.iter().map(jobs).collect()
    }

    /// Returns how often Envoy rejected a certificate of a gateway.
    pub(crate) fn verification_failures(&self) -> u64 {
        let stats = self.envoy.admin("/stats?filter=ssl.fail_verify_error").unwrap();
        stats.lines().filter_map(|line| line.rsplit_once(": ")?.1.parse::<u64>().ok()).sum()
    }

    /// Runs a command with the members from Consul and the credentials from files.
    pub(crate) fn run(&self, command: &str, ca: &str, args: &[&str]) -> CommandOutput {
        let config = self.layout.live().join("ring.yaml").display().to_string();
        let consul = format!("http://{}", self.consul.address);
        let (ca, password) =
            (self.path(ca).display().to_string(), self.path("password").display().to_string());
        let fixed =
            ["--config", &config, "--consul", &consul, "--gateway-ca-file", &ca, "--gateway-user", "ops"];
        let file = ["--gateway-password-file", &password];
        command::pushring([&[command], &fixed[..], &file, args].concat()).unwrap()
    }

    /// Waits until a push through Envoy has this outcome, because Envoy reads a replaced file soon and not at once.
    pub(crate) fn wait_push(&self, path: &str, outcome: &Outcome) {
        let url = self.url(path);
        poll_until(&format!("a push to end with {outcome:?}"), || {
            (curl("PUT", &url, &[]).0 == *outcome).then_some(())
        })
        .unwrap();
    }
}
