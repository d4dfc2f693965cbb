//! Renders TLS and credentials towards the Pushgateways. Envoy reads them from files by its secret discovery, so that a
//! file that is replaced is used without a restart, and no rendered file contains a secret.

use std::net::IpAddr;
use std::path::Path;

use serde_json::{Value, json};

use super::access::{Access, Scheme};
use super::render::Endpoint;

/// Returns the fields of a cluster for one gateway: none without TLS and credentials. `live` is the live folder as Envoy
/// finds it.
pub(super) fn cluster_fields(endpoint: &Endpoint, access: &Access, live: &Path) -> String {
    let mut text = String::new();
    if endpoint.scheme == Scheme::Https {
        text += &transport_socket(&endpoint.host, access, live);
    }
    if access.authorization_file.is_some() {
        text += &authorization(live);
    }
    text
}

fn transport_socket(host: &str, access: &Access, live: &Path) -> String {
    let name = access.server_name.as_deref().unwrap_or(host);
    let is_ip = name.parse::<IpAddr>().is_ok();
    let san_type = if is_ip { "IP_ADDRESS" } else { "DNS" };
    let name = json!(name);
    // RFC 6066 allows no IP address there.
    let sni = if is_ip { String::new() } else { format!("      sni: {name}\n") };
    let certificate = match &access.cert_file {
        Some(_) => format!(
            "        tls_certificate_sds_secret_configs:\n        - {}\n",
            secret("gateway-certificate", live)
        ),
        None => String::new(),
    };
    let ca = secret("gateway-ca", live);
    format!(
        r#"  transport_socket:
    name: envoy.transport_sockets.tls
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
{sni}      common_tls_context:
        tls_params: {{ tls_maximum_protocol_version: TLSv1_3 }}
{certificate}        combined_validation_context:
          default_validation_context:
            match_typed_subject_alt_names: [{{ san_type: {san_type}, matcher: {{ exact: {name} }} }}]
          validation_context_sds_secret_config: {ca}
"#
    )
}

/// An upstream filter, so that retries and mirrored requests carry the header, too.
fn authorization(live: &Path) -> String {
    let secret = secret("gateway-authorization", live);
    format!(
        r#"  typed_extension_protocol_options:
    envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
      "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
      explicit_http_config: {{ http_protocol_options: {{}} }}
      http_filters:
      - name: envoy.filters.http.credential_injector
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.http.credential_injector.v3.CredentialInjector
          overwrite: true
          credential:
            name: envoy.http.injected_credentials.generic
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.http.injected_credentials.generic.v3.Generic
              credential: {secret}
      - name: envoy.filters.http.upstream_codec
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec
"#
    )
}

fn secret(name: &str, live: &Path) -> String {
    let path = json!(live.join(format!("{name}.yaml")).to_string_lossy());
    format!(
        "{{ name: {name}, sds_config: {{ resource_api_version: V3, path_config_source: {{ path: {path} }} }} }}"
    )
}

/// Renders the names and texts of the files (SDS) that name the certificates and the credentials. Envoy reads only one secret
/// from each file.
#[must_use]
pub fn secrets(access: &Access) -> Vec<(&'static str, String)> {
    let file = |path: &Path| json!({ "filename": path.to_string_lossy() });
    let folder = |path: &Path| json!({ "path": path.parent().map(Path::to_string_lossy) });
    let mut all = vec![(
        ("gateway-ca", "gateway-ca.yaml"),
        "validation_context",
        json!({"trusted_ca": file(&access.ca_file), "watched_directory": folder(&access.ca_file)}),
    )];
    if let (Some(cert), Some(key)) = (&access.cert_file, &access.key_file) {
        let certificate = json!({
            "certificate_chain": file(cert), "private_key": file(key), "watched_directory": folder(cert),
        });
        all.push((("gateway-certificate", "gateway-certificate.yaml"), "tls_certificate", certificate));
    }
    if let Some(path) = &access.authorization_file {
        let mut secret = file(path);
        secret["watched_directory"] = folder(path);
        all.push((
            ("gateway-authorization", "gateway-authorization.yaml"),
            "generic_secret",
            json!({ "secret": secret }),
        ));
    }
    all.into_iter().map(|((name, file), kind, value)| (file, render_secret(name, kind, &value))).collect()
}

fn render_secret(name: &str, kind: &str, value: &Value) -> String {
    format!(
        r#"# Names files for the connections to the Pushgateways, and does not contain them. Envoy reads them again when another
# file is renamed onto one of them. Rendered by pushring.
resources:
- "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret
  name: {name}
  {kind}: {value}
"#
    )
}
