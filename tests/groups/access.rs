//! Gateways behind TLS, a password or a token.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use hyper::header::AUTHORIZATION;
use pushring_harness::http::Response;
use pushring_harness::server::serve;
use pushring_harness::{Pushgateway, command};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use serde_json::json;
use tempfile::TempDir;

/// bcrypt of "secret".
const HASH: &str = "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW";

struct Files {
    dir: TempDir,
}

impl Files {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Creates an authority in `ca.pem` and two certificates of it, `server` for 127.0.0.1 and `client`.
    fn new() -> Self {
        let files = Self { dir: tempfile::tempdir().unwrap() };
        let mut params = CertificateParams::default();
        // Its name differs from theirs, because equal names look self-signed.
        params.distinguished_name.push(DnType::CommonName, "the authority of a test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        fs::write(files.path("ca.pem"), ca.pem()).unwrap();
        for (name, usage) in
            [("server", ExtendedKeyUsagePurpose::ServerAuth), ("client", ExtendedKeyUsagePurpose::ClientAuth)]
        {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
            params.extended_key_usages = vec![usage];
            fs::write(files.path(&format!("{name}.pem")), params.signed_by(&key, &ca).unwrap().pem())
                .unwrap();
            fs::write(files.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
        }
        files
    }

    /// Starts a Pushgateway that requires https, a client certificate and a password.
    fn gateway(&self) -> Pushgateway {
        let text = format!(
            "tls_server_config:\n  cert_file: {}\n  key_file: {}\n  client_ca_file: {}\n  \
             client_auth_type: RequireAndVerifyClientCert\nbasic_auth_users:\n  ops: {HASH}\n",
            self.text("server.pem"),
            self.text("server.key"),
            self.text("ca.pem")
        );
        fs::write(self.path("web.yml"), text).unwrap();
        let flag = format!("--web.config.file={}", self.text("web.yml"));
        Pushgateway::start(self.dir.path(), &[&flag]).unwrap()
    }
}

fn config(dir: &Path, address: SocketAddr) -> String {
    let path = dir.join("pushring.json");
    fs::write(&path, json!({"members": [address.to_string()]}).to_string()).unwrap();
    path.display().to_string()
}

#[test]
fn uses_https_with_an_authority_a_certificate_and_a_password() {
    let files = Files::new();
    let gateway = files.gateway();
    let config = config(files.dir.path(), gateway.address);
    let (ca, cert, key) = (files.text("ca.pem"), files.text("client.pem"), files.text("client.key"));
    // The gateway is poisoned, so that the printed command must contain all credentials too.
    let mend = |path: &str, method: &str| {
        let url = format!("https://{}{path}", gateway.address);
        let args =
            ["-sS", "-u", "ops:secret", "--cacert", &ca, "--cert", &cert, "--key", &key, "-X", method, &url];
        let output =
            std::process::Command::new("curl").args(args).args(["--data-binary", "a 1\n"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    mend("/metrics/job/a", "PUT");
    mend("/metrics/job/b%ff", "PUT");

    let all = [
        "--gateway-scheme",
        "https",
        "--gateway-ca-file",
        &ca,
        "--gateway-cert",
        &cert,
        "--gateway-key",
        &key,
        "--gateway-user",
        "ops",
        "--gateway-password",
        "secret",
    ];
    let run = |command: &str, more: &[&str]| {
        command::pushring([&[command, "--config", &config], more].concat()).unwrap()
    };
    let listed = run("groups", &[&all[..], &["--state", "in-place", "--output", "json"]].concat());
    assert_eq!((listed.code, &listed.json().unwrap()["groups"][0]["labels"]), (0, &json!({"job": "a"})));
    let conflicts = run("groups", &[&all[..], &["--conflicts", "--output", "json"]].concat()).json().unwrap();
    let printed = conflicts["poisoned"][0]["culprits"][0]["mend"].as_str().unwrap().to_owned();
    assert_eq!(
        printed,
        format!(
            "curl -fgsS -u 'ops' --cacert '{ca}' --cert '{cert}' --key '{key}' -X DELETE \
             'https://{}/metrics/job@base64/Yv8'",
            gateway.address
        )
    );
    let deleted = run("delete", &[&all[..], &["--job", "a", "--yes", "--output", "json"]].concat());
    assert_eq!((deleted.code, &deleted.json().unwrap()["groups"][0]["result"]), (0, &json!("deleted")));

    // The command needs each of them, and the error names the missing one.
    let without = |flags: &[&str]| {
        let at = all.iter().position(|flag| flag == &flags[0]).unwrap();
        let mut fewer = all.to_vec();
        fewer.drain(at..at + flags.len() * 2);
        let output = run("groups", &[&fewer[..], &["--output", "json"]].concat());
        assert_eq!(output.code, 1);
        output.json().unwrap()["unreadable"][0]["reason"].as_str().unwrap().to_owned()
    };
    assert!(without(&["--gateway-user", "--gateway-password"]).contains("401"));
    assert!(without(&["--gateway-ca-file"]).contains("certificate"), "{}", without(&["--gateway-ca-file"]));
    assert!(!without(&["--gateway-cert", "--gateway-key"]).is_empty());
    assert!(!without(&["--gateway-scheme"]).is_empty());
}

#[test]
fn sends_a_token_and_names_the_flags_after_a_401() {
    let dir = tempfile::tempdir().unwrap();
    let (sender, authorizations) = mpsc::channel();
    let address = serve(move |request| {
        sender.send(request.headers.get(AUTHORIZATION).cloned())?;
        Ok(Response { status: 401, ..Response::ok("") })
    });
    let config = config(dir.path(), address.unwrap());
    let args = ["groups", "--config", &config, "--gateway-token", "s3cret", "--output", "json"];
    let output = command::pushring(args).unwrap();
    assert_eq!(authorizations.try_recv().unwrap().unwrap(), "Bearer s3cret");
    let reason = output.json().unwrap()["unreadable"][0]["reason"].as_str().unwrap().to_owned();
    assert!(
        reason.contains("401") && reason.contains("--gateway-user or PUSHRING_GATEWAY_TOKEN"),
        "{reason}"
    );
    assert!(!output.stdout.contains("s3cret") && !output.stderr.contains("s3cret"));
}
