//! The HTTP client, set up once for Consul, for Envoy and for the Pushgateways.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use reqwest::blocking::{Client, ClientBuilder};
use reqwest::{Certificate, Identity};

/// Returns a client with a timeout for each request and without a proxy: agents and admin interfaces are local.
pub(crate) fn client(timeout: Duration) -> ClientBuilder {
    // Fails only if a provider is installed already, which is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().timeout(timeout).no_proxy()
}

/// TLS settings: trusted CAs and client certificate.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tls<'a> {
    /// CA certificates (PEM), in addition to the system's.
    pub(crate) ca_file: Option<&'a Path>,
    /// Client certificate (PEM); requires `key`.
    pub(crate) cert: Option<&'a Path>,
    pub(crate) key: Option<&'a Path>,
}

impl Tls<'_> {
    pub(crate) fn add_to(self, mut client: ClientBuilder) -> anyhow::Result<ClientBuilder> {
        if let Some(path) = self.ca_file {
            let trusted =
                Certificate::from_pem_bundle(&read(path)?).with_context(|| path.display().to_string())?;
            client = client.tls_certs_merge(trusted);
        }
        if let (Some(cert), Some(key)) = (self.cert, self.key) {
            let pem = [read(cert)?, read(key)?].concat();
            let identity =
                Identity::from_pem(&pem).with_context(|| format!("{}, {}", cert.display(), key.display()))?;
            client = client.identity(identity);
        }
        Ok(client)
    }
}

pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| path.display().to_string())
}
