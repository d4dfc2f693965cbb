//! The HTTP client, set up once for Consul, for Envoy and for the Pushgateways.

mod answer;
mod secret;
mod server_url;

use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::Context;
use reqwest::blocking::{Client, ClientBuilder};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Identity};

use crate::error::BadInput;
use crate::file;
use crate::text;

pub(crate) use answer::{Answer, AnswerLimits, cause, send};
pub(crate) use secret::{Secret, SecretKind, check_user};
pub(crate) use server_url::{ServerUrl, without_credentials};

/// Whether this system has CA certificates. A container may have none, and without them reqwest makes no client that
/// uses the system's, not even for plain HTTP.
static SYSTEM_HAS_CA: LazyLock<bool> = LazyLock::new(|| reqwest::Client::builder().build().is_ok());

/// Returns a client with a timeout for the head of each answer and for each pause in its body; [`send`] limits the whole
/// body. No proxy: agents and admin interfaces are local. No redirects: they could lead to another server, with the
/// credentials. No decompression: a small answer could fill the memory.
pub(crate) fn client(timeout: Duration) -> ClientBuilder {
    // Fails only if a provider is installed already, which is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = if *SYSTEM_HAS_CA { Client::builder() } else { Client::builder().tls_certs_only([]) };
    client.timeout(timeout).no_proxy().redirect(Policy::none()).no_gzip().no_brotli().no_zstd().no_deflate()
}

/// TLS settings: trusted CAs and client certificate.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tls<'a> {
    /// Start of the flags, for messages: `--gateway` for `--gateway-ca-file` and so on.
    pub(crate) flags: &'static str,
    /// CA certificates (PEM), in addition to the system's.
    pub(crate) ca_file: Option<&'a Path>,
    /// Client certificate (PEM); requires `key`.
    pub(crate) cert: Option<&'a Path>,
    pub(crate) key: Option<&'a Path>,
}

impl Tls<'_> {
    /// Adds the settings to a client.
    ///
    /// # Errors
    /// [`BadInput`] with the flag: a file cannot be read, or has no certificate or key.
    pub(crate) fn add_to(self, mut client: ClientBuilder) -> anyhow::Result<ClientBuilder> {
        let name = |flag: &str, path: &Path| format!("{}-{flag} {}", self.flags, text::path(path));
        let read = |flag, path| file::read(path).with_context(|| BadInput(name(flag, path)));
        if let Some(path) = self.ca_file {
            let trusted = Certificate::from_pem_bundle(&read("ca-file", path)?);
            let trusted = trusted.ok().filter(|trusted| !trusted.is_empty()).with_context(|| {
                BadInput(format!(
                    "{}: found no certificate, expected one or more in PEM",
                    name("ca-file", path)
                ))
            })?;
            client = client.tls_certs_merge(trusted);
        }
        if let (Some(cert), Some(key)) = (self.cert, self.key) {
            let pem = [read("cert", cert)?, b"\n".to_vec(), read("key", key)?].concat();
            let identity = Identity::from_pem(&pem).map_err(|_| {
                let files = format!("{}, {}", name("cert", cert), name("key", key));
                BadInput(format!("{files}: found no certificate with its key, expected both in PEM"))
            })?;
            client = client.identity(identity);
        }
        Ok(client)
    }
}
