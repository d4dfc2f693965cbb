//! etcd with authentication and TLS.

use std::fs;
use std::path::Path;

use pushring_harness::etcd::{Version, base64};
use pushring_harness::{Etcd, command};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use serde_json::{Value, json};

use crate::etcd::{FOUR, put_all};
use crate::running::Discover;

/// The permission to read the keys of the gateways.
pub(crate) fn service_range() -> Value {
    json!({
        "permType": "READ", "key": base64("/service/pushgateway/"), "range_end": base64("/service/pushgateway0"),
    })
}

/// Enables authentication with the users `root` (`rules`) and `reader` (`reads`); returns a token of `root`.
pub(crate) fn enable_auth(etcd: &Etcd) -> String {
    for (user, password) in [("root", "rules"), ("reader", "reads")] {
        etcd.call("auth/user/add", &json!({"name": user, "password": password})).unwrap();
        etcd.call("auth/role/add", &json!({"name": user})).unwrap();
        etcd.call("auth/user/grant", &json!({"user": user, "role": user})).unwrap();
    }
    etcd.call("auth/role/grant", &json!({"name": "reader", "perm": service_range()})).unwrap();
    etcd.call("auth/enable", &json!({})).unwrap();
    etcd.token("root", "rules").unwrap()
}

/// Publishes once; returns the exit code and standard error.
fn once(flags: &[&str]) -> (i32, String) {
    let dir = tempfile::tempdir().unwrap();
    let settings = dir.path().join("settings.yaml");
    fs::write(&settings, "filter: {}\n").unwrap();
    let live = dir.path().join("live");
    let fixed = [
        "discover",
        "--from",
        "etcd",
        "--once",
        "--settings",
        settings.to_str().unwrap(),
        "--live",
        live.to_str().unwrap(),
    ];
    let output = command::pushring(fixed.iter().chain(flags)).unwrap();
    (output.code, output.stderr)
}

#[test]
fn a_token_that_etcd_forgot_is_renewed() {
    let dir = tempfile::tempdir().unwrap();
    let mut etcd = Etcd::start(dir.path(), Version::Newest).unwrap();
    put_all(&etcd, &FOUR[..3]);
    enable_auth(&etcd);
    let password = dir.path().join("password");
    fs::write(&password, "reads\n").unwrap();
    let url = etcd.url();
    let user = ["--etcd", &url, "--etcd-user", "reader", "--etcd-password-file", password.to_str().unwrap()];
    let mut discover = Discover::start(&[&["--from", "etcd"], &user[..]].concat());
    discover.wait_ring(&FOUR[..3]);
    // Simple tokens are in the memory of etcd.
    etcd.process().kill();
    etcd.restart().unwrap();
    discover.wait_log("source back", 1);
    let token = etcd.token("root", "rules").unwrap();
    let put = json!({"key": base64(crate::etcd::key("new")), "value": base64(crate::etcd::value(FOUR[3]))});
    etcd.call_as(&token, "kv/put", &put).unwrap();
    discover.wait_ring(&FOUR);

    fs::write(&password, "wrong").unwrap();
    let (code, error) = once(&user);
    assert!(
        code == 1
            && error.contains("cannot authenticate as \"reader\"")
            && error.contains("invalid user ID or password"),
        "{error}"
    );
    assert!(!error.contains("wrong"), "{error}");
    let (code, error) = once(&["--etcd", &url]);
    assert!(code == 1 && error.contains("--etcd-user"), "{error}");
    let (code, error) = once(&["--etcd", &url, "--etcd-user", "reader"]);
    assert!(code == 2 && error.contains("--etcd-password-file"), "{error}");
}

/// Creates an authority in `ca.pem` and two certificates of it, `server` for 127.0.0.1 and `client`.
fn certificates(dir: &Path) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "the authority of a test");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    fs::write(dir.join("ca.pem"), ca.pem()).unwrap();
    let both = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    for name in ["server", "client"] {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        // etcd's own gateway is a client with the certificate of the server.
        params.extended_key_usages.clone_from(&both);
        fs::write(dir.join(format!("{name}.pem")), params.signed_by(&key, &ca).unwrap().pem()).unwrap();
        fs::write(dir.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

#[test]
fn reads_by_tls_with_a_client_certificate() {
    let dir = tempfile::tempdir().unwrap();
    certificates(dir.path());
    let path = |name: &str| dir.path().join(name).display().to_string();
    let (ca, server, server_key) = (path("ca.pem"), path("server.pem"), path("server.key"));
    let flags =
        ["--cert-file", &server, "--key-file", &server_key, "--trusted-ca-file", &ca, "--client-cert-auth"];
    let etcd = Etcd::start_with(dir.path(), Version::Oldest, &flags.map(str::to_owned)).unwrap();
    let url = etcd.url();
    let (cert, key) = (path("client.pem"), path("client.key"));
    let (code, error) =
        once(&["--etcd", &url, "--etcd-ca-file", &ca, "--etcd-cert", &cert, "--etcd-key", &key]);
    assert_eq!(code, 0, "{error}");
    let (code, error) = once(&["--etcd", &url, "--etcd-ca-file", &ca]);
    assert!(code == 1 && error.to_lowercase().contains("certificate"), "{error}");
    let (code, error) = once(&["--etcd", &url, "--etcd-cert", &cert, "--etcd-key", &key]);
    assert!(code == 1 && error.contains("UnknownIssuer"), "{error}");
    let (code, error) = once(&["--etcd", &url.replace("https", "http")]);
    assert!(code == 1 && error.contains(&etcd.address.to_string()), "{error}");
    let (code, error) = once(&["--etcd", &url, "--etcd-ca-file", "missing.pem"]);
    assert!(code == 2 && error.contains("missing.pem"), "{error}");
}
