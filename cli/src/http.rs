//! The HTTP client, set up once for Consul, for Envoy and for the Pushgateways.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use reqwest::blocking::{Client, ClientBuilder};
use reqwest::{Certificate, Identity};

/// A client that gives up after `timeout` and goes through no proxy: agents and admin interfaces are local.
pub(crate) fn client(timeout: Duration) -> ClientBuilder {
    // Fails only where a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().timeout(timeout).no_proxy()
}

/// Whom to trust, and who one is, for https.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tls<'a> {
    /// Certificates (PEM) besides the system's.
    pub(crate) ca_file: Option<&'a Path>,
    /// The client's certificate (PEM); with `key`.
    pub(crate) cert: Option<&'a Path>,
    pub(crate) key: Option<&'a Path>,
}

impl Tls<'_> {
    /// Reads the files.
    ///
    /// # Errors
    /// Names the file that cannot be read or used.
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

/// A file that a flag names.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| path.display().to_string())
}
