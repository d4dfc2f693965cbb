//! A client for the few calls of the Consul agent's HTTP API that the command needs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::blocking::{Client, RequestBuilder, Response};
use reqwest::{StatusCode, Url};
use serde::Deserialize;
use serde_json::Value;

use crate::error::BadInput;
use crate::http::{Tls, read};

/// An agent without a response by then hangs, or the address is wrong.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Permissions that the token needs to change a registration.
const WRITE: &str = "service:write on the service";

/// Flags and variables for access to Consul, as those of the `consul` command. Each command has its own flag `--consul`
/// for the address.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Consul")]
pub(crate) struct ConsulArgs {
    /// ACL token; needs service:read and node:read to find Pushgateways, service:write to register them
    #[arg(long, env = "CONSUL_HTTP_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub(crate) consul_token: Option<String>,
    /// File with the ACL token; takes precedence over --consul-token
    #[arg(long, env = "CONSUL_HTTP_TOKEN_FILE", value_name = "FILE")]
    pub(crate) consul_token_file: Option<PathBuf>,
    /// CA certificates (PEM file) for https, in addition to the system's
    #[arg(long, env = "CONSUL_CACERT", value_name = "FILE")]
    pub(crate) consul_ca_file: Option<PathBuf>,
    /// Client certificate (PEM file)
    #[arg(long, env = "CONSUL_CLIENT_CERT", value_name = "FILE", requires = "consul_key")]
    pub(crate) consul_cert: Option<PathBuf>,
    /// Key of the client certificate (PEM file)
    #[arg(long, env = "CONSUL_CLIENT_KEY", value_name = "FILE", requires = "consul_cert")]
    pub(crate) consul_key: Option<PathBuf>,
}

#[derive(Clone, Debug)]
pub(crate) struct Consul {
    pub(super) client: Client,
    pub(super) base: String,
    token: Option<String>,
}

/// A service as the agent knows it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Service {
    pub(crate) service: String,
    /// As registered; may be empty.
    pub(crate) address: String,
    pub(crate) port: u16,
    #[serde(default)]
    pub(crate) meta: BTreeMap<String, String>,
}

impl Consul {
    /// Creates a client without sending a request. `address` is a URL or `host:port`; `CONSUL_HTTP_SSL` selects https for
    /// the latter. An address or file that is unusable is a [`BadInput`].
    pub(crate) fn new(address: &str, args: &ConsulArgs) -> anyhow::Result<Self> {
        let mut client = crate::http::client(TIMEOUT);
        let base = match address.split_once("://") {
            Some(("http" | "https", _)) => address.trim_end_matches('/').to_owned(),
            Some(("unix", path)) => {
                client = client.unix_socket(path);
                "http://consul".to_owned()
            }
            Some(_) => bail!(BadInput(format!(
                "--consul: found {address:?}, allowed host:port, http://…, https://… or unix:///path"
            ))),
            None if variable("CONSUL_HTTP_SSL").is_some_and(|on| on == "true" || on == "1") => {
                format!("https://{address}")
            }
            None => format!("http://{address}"),
        };
        let tls = Tls {
            ca_file: args.consul_ca_file.as_deref(),
            cert: args.consul_cert.as_deref(),
            key: args.consul_key.as_deref(),
        };
        let client = tls.add_to(client).map_err(BadInput::from_error)?;
        let token = match &args.consul_token_file {
            Some(path) => {
                Some(String::from_utf8_lossy(&read(path).map_err(BadInput::from_error)?).trim().to_owned())
            }
            None => args.consul_token.clone(),
        };
        let client =
            client.build().map_err(|error| BadInput(format!("Consul's address {address:?}: {error}")))?;
        Ok(Self { client, base, token: token.filter(|token| !token.is_empty()) })
    }
    pub(crate) fn address(&self) -> &str {
        &self.base
    }

    /// Returns the services that are registered at this agent and readable by the token, by ID.
    pub(crate) fn services(&self) -> anyhow::Result<BTreeMap<String, Service>> {
        let response = self.send(self.client.get(self.url("/v1/agent/services")), WRITE)?;
        response.json().with_context(|| format!("{} does not respond like a Consul agent", self.base))
    }

    /// Registers a service, or replaces the one with this ID and all its checks.
    pub(crate) fn register(&self, definition: &Value) -> anyhow::Result<()> {
        let url = self.url("/v1/agent/service/register?replace-existing-checks=true");
        self.send(self.client.put(url).json(definition), WRITE).map(drop)
    }

    /// Removes a service and its checks. An ID that the agent does not know is an error.
    pub(crate) fn deregister(&self, id: &str) -> anyhow::Result<()> {
        let url = self.url(&format!("/v1/agent/service/deregister/{id}"));
        self.send(self.client.put(url), WRITE).map(drop)
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Returns the URL of a path, with its segments percent-encoded.
    pub(super) fn path(&self, segments: &[&str]) -> anyhow::Result<Url> {
        let bad = |error: &dyn std::fmt::Display| BadInput(format!("--consul: {}: {error}", self.base));
        let mut url = Url::parse(&self.base).map_err(|error| bad(&error))?;
        url.path_segments_mut().map_err(|()| bad(&"not a base URL"))?.pop_if_empty().extend(segments);
        Ok(url)
    }

    /// Sends a request and requires success; `needs` names the required permissions for the error message.
    pub(super) fn send(&self, request: RequestBuilder, needs: &str) -> anyhow::Result<Response> {
        self.accept(self.ask(request)?, needs)
    }

    /// Sends a request and accepts any status.
    pub(super) fn ask(&self, mut request: RequestBuilder) -> anyhow::Result<Response> {
        if let Some(token) = &self.token {
            request = request.header("X-Consul-Token", token);
        }
        request.send().with_context(|| {
            let base = &self.base;
            format!(
                "Consul's agent at {base} cannot be reached; check --consul (for https also --consul-ca-file)"
            )
        })
    }

    pub(super) fn accept(&self, response: Response, needs: &str) -> anyhow::Result<Response> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let advice = match (status, &self.token) {
            (StatusCode::FORBIDDEN, None) => format!("; set CONSUL_HTTP_TOKEN to a token with {needs}"),
            (StatusCode::FORBIDDEN, Some(_)) => format!("; the token needs {needs}"),
            _ => String::new(),
        };
        bail!(
            "Consul's agent at {} rejected the request ({}): {}{advice}",
            self.base,
            status.as_u16(),
            response.text().unwrap_or_default().trim()
        )
    }
}

/// Returns the agent's address: from `--consul`, a file, `CONSUL_HTTP_ADDR` or the default, in this order.
pub(crate) fn address(flag: Option<&str>, from_file: Option<&str>) -> String {
    let given = [flag, from_file].into_iter().flatten().find(|address| !address.is_empty());
    let given = given.map(str::to_owned).or_else(|| variable("CONSUL_HTTP_ADDR"));
    given.unwrap_or_else(|| "127.0.0.1:8500".to_owned())
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}
