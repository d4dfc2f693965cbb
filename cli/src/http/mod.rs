//! The HTTP client, set up once for Consul, for Envoy and for the Pushgateways.

mod answer;
mod server_url;

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use reqwest::blocking::{Client, ClientBuilder};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Identity};

use crate::error::BadInput;
use crate::text;

pub(crate) use answer::{Answer, AnswerLimits, cause, send};
pub(crate) use server_url::{ServerUrl, without_credentials};

/// Returns a client with a timeout for the head of each answer and for each pause in its body; [`send`] limits the whole
/// body. No proxy: agents and admin interfaces are local. No redirects: they could lead to another server, with the
/// credentials. No decompression: a small answer could fill the memory.
pub(crate) fn client(timeout: Duration) -> ClientBuilder {
    // Fails only if a provider is installed already, which is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .timeout(timeout)
        .no_proxy()
        .redirect(Policy::none())
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate()
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
            let trusted = Certificate::from_pem_bundle(&read(path)?).with_context(|| text::path(path))?;
            client = client.tls_certs_merge(trusted);
        }
        if let (Some(cert), Some(key)) = (self.cert, self.key) {
            let pem = [read(cert)?, read(key)?].concat();
            let identity = Identity::from_pem(&pem)
                .with_context(|| format!("{}, {}", text::path(cert), text::path(key)))?;
            client = client.identity(identity);
        }
        Ok(client)
    }
}

/// Returns a password or token: from the file without the white space around it, else the one that is given.
///
/// # Errors
/// [`BadInput`]: the file cannot be read, or is not UTF-8.
pub(crate) fn secret(file: Option<&Path>, given: Option<&str>) -> anyhow::Result<Option<String>> {
    let Some(path) = file else { return Ok(given.map(str::to_owned)) };
    let text = fs::read_to_string(path).with_context(|| BadInput(text::path(path)))?;
    Ok(Some(text.trim().to_owned()))
}

pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| text::path(path))
}
