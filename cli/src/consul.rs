//! The few calls of the Consul agent's HTTP API that registering needs.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::blocking::{Client, RequestBuilder, Response};
use reqwest::{Certificate, Identity, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use crate::BadInput;

/// An agent that has not answered by then has hung, or the address is wrong.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How to reach Consul: the flags and variables of the `consul` command, under the same names.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Consul")]
pub struct ConsulArgs {
    /// host:port or URL of the agent [env: CONSUL_HTTP_ADDR] [default: 127.0.0.1:8500]
    #[arg(long, value_name = "ADDRESS")]
    pub http_addr: Option<String>,
    /// ACL token; it needs service:write on the service
    #[arg(long, env = "CONSUL_HTTP_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// File with the ACL token; goes before the token itself
    #[arg(long, env = "CONSUL_HTTP_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// File with the certificates (PEM) to trust for https besides the system's
    #[arg(long, env = "CONSUL_CACERT", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// File with the client's certificate (PEM)
    #[arg(long, env = "CONSUL_CLIENT_CERT", value_name = "FILE", requires = "client_key")]
    pub client_cert: Option<PathBuf>,
    /// File with the key of the client's certificate (PEM)
    #[arg(long, env = "CONSUL_CLIENT_KEY", value_name = "FILE", requires = "client_cert")]
    pub client_key: Option<PathBuf>,
}

/// A client of one agent.
#[derive(Debug)]
pub struct Consul {
    client: Client,
    base: String,
    token: Option<String>,
}

/// A service as the agent knows it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Service {
    /// Its name.
    pub service: String,
    /// As registered; may be empty.
    pub address: String,
    /// As registered.
    pub port: u16,
    /// Free key-value pairs.
    #[serde(default)]
    pub meta: BTreeMap<String, String>,
}

impl Consul {
    /// Prepares a client; asks nothing yet. The address: the flag, else `from_file`, else the environment, else
    /// the agent on this machine.
    ///
    /// # Errors
    /// [`BadInput`] when an address or a file is unusable.
    pub fn new(args: &ConsulArgs, from_file: Option<&str>) -> anyhow::Result<Self> {
        let from_file = from_file.filter(|address| !address.is_empty()).map(str::to_owned);
        let variable = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
        let address = args.http_addr.clone().or(from_file).or_else(|| variable("CONSUL_HTTP_ADDR"));
        let address = address.unwrap_or_else(|| "127.0.0.1:8500".to_owned());
        let mut client = crate::http::client(TIMEOUT);
        let base = match address.split_once("://") {
            Some(("http" | "https", _)) => address.trim_end_matches('/').to_owned(),
            Some(("unix", path)) => {
                client = client.unix_socket(path);
                "http://consul".to_owned()
            }
            Some(_) => bail!(BadInput(format!(
                "Consul's address: found {address:?}, allowed host:port, http://…, https://… or unix:///path"
            ))),
            None if variable("CONSUL_HTTP_SSL").is_some_and(|on| on == "true" || on == "1") => {
                format!("https://{address}")
            }
            None => format!("http://{address}"),
        };
        if let Some(path) = &args.ca_file {
            let trusted = Certificate::from_pem_bundle(&read(path)?)
                .map_err(|error| BadInput(format!("{}: {error}", path.display())))?;
            client = client.tls_certs_merge(trusted);
        }
        if let (Some(cert), Some(key)) = (&args.client_cert, &args.client_key) {
            let pem = [read(cert)?, read(key)?].concat();
            let identity = Identity::from_pem(&pem)
                .map_err(|error| BadInput(format!("{}, {}: {error}", cert.display(), key.display())))?;
            client = client.identity(identity);
        }
        let token = match &args.token_file {
            Some(path) => Some(String::from_utf8_lossy(&read(path)?).trim().to_owned()),
            None => args.token.clone(),
        };
        let client =
            client.build().map_err(|error| BadInput(format!("Consul's address {address:?}: {error}")))?;
        Ok(Self { client, base, token: token.filter(|token| !token.is_empty()) })
    }

    /// Where requests go.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.base
    }

    /// The services that are registered at this agent, by ID; with an ACL token only those it may read.
    ///
    /// # Errors
    /// The agent cannot be reached or refuses.
    pub fn services(&self) -> anyhow::Result<BTreeMap<String, Service>> {
        let response = self.send(self.client.get(self.url("/v1/agent/services")))?;
        response.json().with_context(|| format!("{} does not answer as a Consul agent does", self.base))
    }

    /// Registers a service, or changes the one with this ID and all its checks.
    ///
    /// # Errors
    /// The agent cannot be reached or refuses.
    pub fn register(&self, definition: &Value) -> anyhow::Result<()> {
        let url = self.url("/v1/agent/service/register?replace-existing-checks=true");
        self.send(self.client.put(url).json(definition)).map(drop)
    }

    /// Removes a service and its checks.
    ///
    /// # Errors
    /// The agent cannot be reached or refuses, also when it does not know the ID.
    pub fn deregister(&self, id: &str) -> anyhow::Result<()> {
        self.send(self.client.put(self.url(&format!("/v1/agent/service/deregister/{id}")))).map(drop)
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn send(&self, mut request: RequestBuilder) -> anyhow::Result<Response> {
        if let Some(token) = &self.token {
            request = request.header("X-Consul-Token", token);
        }
        let response = request.send().with_context(|| {
            format!(
                "Consul's agent at {} cannot be reached; check --http-addr or CONSUL_HTTP_ADDR, for https --ca-file",
                self.base
            )
        })?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let advice = match (status, &self.token) {
            (StatusCode::FORBIDDEN, None) => {
                "; set CONSUL_HTTP_TOKEN to a token with service:write on the service"
            }
            (StatusCode::FORBIDDEN, Some(_)) => "; the token needs service:write on the service",
            _ => "",
        };
        bail!(
            "Consul's agent at {} refuses ({}): {}{advice}",
            self.base,
            status.as_u16(),
            response.text().unwrap_or_default().trim()
        )
    }
}

fn read(path: &PathBuf) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| BadInput(path.display().to_string()))
}
