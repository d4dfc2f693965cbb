//! TLS and credentials for the gateways in the rendered files. With a real Envoy: tests/security/gateways.rs.

use std::fs;

use pushring::command::publish::{CLUSTERS_FILE, ENDPOINTS_FILE};
use pushring::fleet::access::Scheme;
use pushring::fleet::members::{Members, Settings};
use pushring::fleet::registration::Registrations;
use serde_json::{Value, json};

use crate::folders::Folders;

fn settings(gateways: Value, filter: Value) -> Settings {
    let mut settings = json!({ "filter": filter });
    if !gateways.is_null() {
        settings["gateways"] = gateways;
    }
    Settings::parse(&settings.to_string()).unwrap()
}

/// Each row is address and scheme.
fn decide(settings: &Settings, rows: &[(&str, &str)]) -> Members {
    let all: Vec<Value> =
        rows.iter().map(|(host, scheme)| json!({"address": host, "port": 9091, "scheme": scheme})).collect();
    Members::decide(settings, &Registrations::parse(&json!({ "registrations": all }).to_string()).unwrap())
}

fn redirect_scheme(members: &Members) -> Option<String> {
    let config: Value = serde_json::from_str(&members.config).unwrap();
    config["redirect_scheme"].as_str().map(str::to_owned)
}

#[test]
fn a_registration_without_a_scheme_has_that_of_the_settings() {
    let rows = [("10.0.0.1", ""), ("10.0.0.2", "http"), ("10.0.0.3", "https")];
    let schemes = |gateways| -> Vec<Scheme> {
        decide(&settings(gateways, json!({})), &rows).clusters.iter().map(|c| c.endpoint.scheme).collect()
    };
    assert_eq!(schemes(Value::Null), [Scheme::Http, Scheme::Http, Scheme::Https]);
    // No registration gets pushes and credentials without TLS if the settings require it.
    assert_eq!(schemes(json!({"scheme": "https"})), [Scheme::Https; 3]);
}

#[test]
fn one_address_has_tls_if_any_of_its_registrations_has_it() {
    let mut rows = [("10.0.0.1", "http"), ("10.0.0.1", "https"), ("10.0.0.1", "")];
    for _ in 0..rows.len() {
        rows.rotate_left(1);
        let members = decide(&settings(Value::Null, json!({})), &rows);
        assert_eq!(members.clusters[0].endpoint.scheme, Scheme::Https);
    }
}

#[test]
fn skips_an_unknown_scheme() {
    let members = decide(&settings(Value::Null, json!({})), &[("10.0.0.1", "ftp"), ("10.0.0.2", "")]);
    assert_eq!(members.clusters.len(), 1);
    assert_eq!(
        members.skipped,
        ["10.0.0.1:9091: pushring-scheme: found \"ftp\", allowed \"http\" or \"https\""]
    );
}

#[test]
fn redirects_to_https_if_every_member_has_tls() {
    let both = [("10.0.0.1", "https"), ("10.0.0.2", "https")];
    assert_eq!(redirect_scheme(&decide(&settings(Value::Null, json!({})), &both)).as_deref(), Some("https"));
    assert_eq!(redirect_scheme(&decide(&settings(Value::Null, json!({})), &[])), None);
    let mixed = [("10.0.0.1", "https"), ("10.0.0.2", "http")];
    assert_eq!(redirect_scheme(&decide(&settings(Value::Null, json!({})), &mixed)), None);
    let given = settings(Value::Null, json!({"redirect_scheme": "http"}));
    assert_eq!(redirect_scheme(&decide(&given, &both)).as_deref(), Some("http"));
}

#[test]
fn rejects_half_a_certificate_and_relative_paths() {
    for (gateways, message) in [
        (json!({"cert_file": "/a"}), "found one of cert_file and key_file"),
        (json!({"ca_file": "ca.pem"}), "gateways.ca_file: found no absolute path, expected one"),
        (json!({"server_name": ""}), "gateways.server_name"),
        (json!({"scheme": "ftp"}), "ftp"),
        (json!({"password": "secret"}), "password"),
    ] {
        let error = Settings::parse(&json!({ "gateways": gateways }).to_string()).unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
    }
}

/// The files of a fleet with one member with TLS, one without, and all settings.
fn published(mode: &str, scheme: &str) -> Folders {
    let folders = Folders::new();
    let secret = folders.live("").with_file_name("authorization");
    fs::write(&secret, "Basic c2VjcmV0").unwrap();
    let settings = json!({"filter": {"mode": mode}, "gateways": {
        "scheme": scheme, "ca_file": "/tls/ca.pem", "cert_file": "/tls/cert.pem", "key_file": "/tls/key.pem",
        "authorization_file": secret,
    }});
    fs::write(folders.settings_file(), settings.to_string()).unwrap();
    let registrations = json!({"registrations": [
        {"address": "10.0.0.1", "port": 9091, "scheme": "https"},
        {"address": "10.0.0.2", "port": 9091, "scheme": "http"},
    ]});
    fs::write(folders.registrations(), registrations.to_string()).unwrap();
    let report = folders.publish();
    // Not the file with the credentials, which exists.
    assert_eq!(report.warnings.len(), 3, "{:?}", report.warnings);
    assert!(report.warnings[0].contains("gateways.ca_file: /tls/ca.pem is not on this machine"));
    let moved = report.moved;
    assert_eq!(moved[..3], ["gateway-ca.yaml", "gateway-certificate.yaml", "gateway-authorization.yaml"]);
    for entry in fs::read_dir(folders.live("")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap_or_default();
        assert!(!text.contains("c2VjcmV0"), "{} has the secret", path.display());
    }
    assert_eq!(folders.publish().moved, [""; 0], "a second publication moves nothing");
    folders
}

#[test]
fn members_with_tls_are_verified_and_all_get_the_credentials() {
    for (scheme, both_have_tls) in [("https", true), ("http", false)] {
        let folders = published("cluster", scheme);
        let clusters = folders.live_yaml(CLUSTERS_FILE);
        let [tls, plain] = [0, 1].map(|index| &clusters["resources"][index]);
        let tls_context = &tls["transport_socket"]["typed_config"]["common_tls_context"];
        let san = &tls_context["combined_validation_context"]["default_validation_context"]["match_typed_subject_alt_names"]
            [0];
        assert_eq!(*san, json!({"san_type": "IP_ADDRESS", "matcher": {"exact": "10.0.0.1"}}));
        assert!(tls_context["tls_certificate_sds_secret_configs"].is_array());
        assert_eq!(plain["transport_socket"].is_object(), both_have_tls);
        for cluster in [tls, plain] {
            assert!(cluster["typed_extension_protocol_options"].is_object());
        }
    }
}

#[test]
fn endpoints_with_tls_are_marked() {
    let folders = published("endpoint", "http");
    let endpoints = folders.live_yaml(ENDPOINTS_FILE);
    let list = &endpoints["resources"][0]["endpoints"][0]["lb_endpoints"];
    let mark = json!({"filter_metadata": {"envoy.transport_socket_match": {"scheme": "https"}}});
    assert_eq!((&list[0]["metadata"], &list[1]["metadata"]), (&mark, &Value::Null));
}
