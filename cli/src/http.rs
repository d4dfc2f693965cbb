//! The HTTP client, set up once for Consul and for Envoy's admin interface.

use std::time::Duration;

use reqwest::blocking::{Client, ClientBuilder};

/// A client that gives up after `timeout` and goes through no proxy: agents and admin interfaces are local.
pub(crate) fn client(timeout: Duration) -> ClientBuilder {
    // Fails only where a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().timeout(timeout).no_proxy()
}
