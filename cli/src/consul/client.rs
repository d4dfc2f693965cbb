//! A client for the few calls of the Consul agent's HTTP API that the command needs.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{anyhow, bail, ensure};
use reqwest::blocking::{Client, RequestBuilder};
use reqwest::{StatusCode, Url};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::error::BadInput;
use crate::http::{
    Answer, AnswerLimits, Secret, SecretKind, ServerUrl, Tls, cause, send, without_credentials,
};
use crate::output;
use crate::text;

/// An agent without a response by then hangs, or the address is wrong.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The variable of `--consul-token`.
const TOKEN: &str = "CONSUL_HTTP_TOKEN";
/// User and password for basic authentication.
const AUTH: &str = "CONSUL_HTTP_AUTH";
/// Variables that change what the `consul` command does, but not this one, and what to do instead.
const IGNORED: [(&str, &str); 5] = [
    ("CONSUL_NAMESPACE", "only the default namespace of the token is read"),
    ("CONSUL_PARTITION", "only the partition of the agent is read"),
    ("CONSUL_HTTP_SSL_VERIFY", "certificates are always verified; trust the CA with --consul-ca-file"),
    ("CONSUL_TLS_SERVER_NAME", "the certificate must have the host of --consul"),
    ("CONSUL_CAPATH", "pass one file with --consul-ca-file"),
];
/// Permissions that the token needs to change a registration.
const WRITE: &str = "service:write on the service";

/// Flags and variables for access to Consul, as those of the `consul` command. Each command has its own flag `--consul`
/// for the address.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Consul")]
pub(crate) struct ConsulArgs {
    /// ACL token; needs service:read and node:read to find Pushgateways, service:write to register them
    #[arg(long, env = TOKEN, hide_env_values = true, value_name = "TOKEN")]
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
    base: ServerUrl,
    /// The address as the user gave it, without a password.
    given: String,
    token: Token,
}

/// The source of the ACL token; its `Debug` hides it.
#[derive(Clone)]
struct Token {
    /// Read for each request, because it may be replaced while a sweeper runs.
    file: Option<PathBuf>,
    given: Option<String>,
    /// User and password, unless the address has them.
    auth: Option<(String, String)>,
}

impl Token {
    fn read(&self) -> anyhow::Result<Option<String>> {
        let (file, given) = (self.file.as_deref(), self.given.as_deref());
        Secret { kind: SecretKind::Token, flag: "--consul-token", variable: TOKEN, file, given }.read()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// A service as the agent knows it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Service {
    pub(crate) service: String,
    /// As registered; may be empty.
    pub(crate) address: String,
    pub(crate) port: i64,
    #[serde(default)]
    pub(crate) meta: BTreeMap<String, String>,
    /// As Consul reports them, to register them again; null if it does not.
    #[serde(default)]
    pub(crate) tags: Value,
    #[serde(default)]
    pub(crate) weights: Value,
    #[serde(default)]
    pub(crate) enable_tag_override: bool,
}

impl Consul {
    /// Creates a client without sending a request, and warns of variables of the `consul` command that it does not read. `address` is a URL or `host:port`; `CONSUL_HTTP_SSL` selects https for
    /// the latter. An address or file that is unusable is a [`BadInput`].
    pub(crate) fn new(address: &str, args: &ConsulArgs) -> anyhow::Result<Self> {
        let mut client = crate::http::client(TIMEOUT);
        let url = match address.split_once("://") {
            Some(("http" | "https", _)) => address.to_owned(),
            Some(("unix", path)) if path.starts_with('/') => {
                client = client.unix_socket(path);
                "http://consul".to_owned()
            }
            Some(_) => bail!(BadInput(format!(
                "--consul: found {:?}, expected host:port, http://…, https://… or unix:///path",
                without_credentials(address)
            ))),
            None if address.trim().is_empty() => {
                bail!(BadInput(format!("--consul: found {address:?}, expected host:port or a URL")))
            }
            None if variable("CONSUL_HTTP_SSL").is_some_and(|on| on == "true" || on == "1") => {
                format!("https://{address}")
            }
            None => format!("http://{address}"),
        };
        let base = ServerUrl::parse("--consul", &url)?;
        let tls = Tls {
            flags: "--consul",
            ca_file: args.consul_ca_file.as_deref(),
            cert: args.consul_cert.as_deref(),
            key: args.consul_key.as_deref(),
        };
        let client = tls.add_to(client)?;
        let given = args.consul_token.clone();
        let auth = if address.contains('@') { None } else { auth()? };
        let token = Token { file: args.consul_token_file.clone(), given, auth };
        token.read()?;
        for (name, advice) in IGNORED.into_iter().filter(|(name, _)| variable(name).is_some()) {
            output::warn(format_args!("{name} is set, but pushring does not read it: {advice}"));
        }
        let client = client.build().map_err(|error| BadInput(format!("Consul's address {base}: {error}")))?;
        Ok(Self { client, base, given: without_credentials(address), token })
    }

    pub(crate) fn address(&self) -> String {
        self.base.to_string()
    }

    /// Returns the address as the user gave it, without a password.
    pub(crate) fn given(&self) -> &str {
        &self.given
    }

    /// Returns datacenter and name of the agent's node; `None` if this cannot be read, for example without agent:read.
    pub(crate) fn node(&self) -> Option<(String, String)> {
        let answer = self.send(self.client.get(self.path(&["v1", "agent", "self"])), "agent:read").ok()?;
        let found: Value = answer.json(&self.agent()).ok()?;
        let text = |field: &str| found["Config"][field].as_str().map(str::to_owned);
        Some((text("Datacenter")?, text("NodeName")?))
    }

    /// Returns the services that are registered at this agent and readable by the token, by ID.
    pub(crate) fn services(&self) -> anyhow::Result<BTreeMap<String, Service>> {
        let response = self.send(self.client.get(self.path(&["v1", "agent", "services"])), WRITE)?;
        response.json(&self.agent())
    }

    /// Returns a service at this agent, as the agent describes it.
    pub(super) fn service(&self, id: &str) -> anyhow::Result<Map<String, Value>> {
        let response = self.send(self.client.get(self.path(&["v1", "agent", "service", id])), WRITE)?;
        response.json(&self.agent())
    }

    /// Replaces the definition of a service, and keeps its checks.
    pub(super) fn update(&self, definition: &Value) -> anyhow::Result<()> {
        let url = self.path(&["v1", "agent", "service", "register"]);
        self.send(self.client.put(url).json(definition), WRITE).map(drop)
    }

    /// Registers a service, or replaces the one with this ID and all its checks.
    pub(crate) fn register(&self, definition: &Value) -> anyhow::Result<()> {
        let mut url = self.path(&["v1", "agent", "service", "register"]);
        url.set_query(Some("replace-existing-checks=true"));
        self.send(self.client.put(url).json(definition), WRITE).map(drop)
    }

    /// Reports the status of a TTL check; returns `false` if the agent does not know the check.
    pub(crate) fn update_check(&self, id: &str, status: &str, output: &str) -> anyhow::Result<bool> {
        let url = self.path(&["v1", "agent", "check", "update", id]);
        let answer = self.ask(self.client.put(url).json(&json!({"Status": status, "Output": output})))?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(false);
        }
        self.accept(answer, WRITE).map(|_| true)
    }

    /// Removes a service and its checks. An ID that the agent does not know is an error.
    pub(crate) fn deregister(&self, id: &str) -> anyhow::Result<()> {
        let url = self.path(&["v1", "agent", "service", "deregister", id]);
        self.send(self.client.put(url), WRITE).map(drop)
    }

    /// Returns the URL of a path, with its segments percent-encoded.
    pub(super) fn path(&self, segments: &[&str]) -> Url {
        self.base.at(segments)
    }

    /// Names the agent in error messages.
    pub(super) fn agent(&self) -> String {
        match self.given.strip_prefix("unix://") {
            Some(path) => format!("Consul's agent at {}", text::path(path)),
            None => format!("Consul's agent at {}", self.base),
        }
    }

    /// Sends a request and requires success; `needs` names the required permissions for the error message.
    pub(super) fn send(&self, request: RequestBuilder, needs: &str) -> anyhow::Result<Answer> {
        self.accept(self.ask(request)?, needs)
    }

    /// Sends a request and accepts any status.
    pub(super) fn ask(&self, request: RequestBuilder) -> anyhow::Result<Answer> {
        self.ask_within(request, TIMEOUT)
    }

    /// As [`Consul::ask`], for a request that the agent answers later.
    pub(super) fn ask_within(&self, request: RequestBuilder, time: Duration) -> anyhow::Result<Answer> {
        let mut request = request.timeout(time);
        if let Some(token) = self.token.read()? {
            request = request.header("X-Consul-Token", token);
        }
        if let Some((user, password)) = &self.token.auth {
            request = request.basic_auth(user, Some(password));
        }
        send(request, AnswerLimits::of_agent(time)).map_err(|error| {
            let agent = self.agent();
            let advice = "check --consul (for https also --consul-ca-file)";
            let cause = cause(error).to_string();
            // A text of hyper. A rejected client certificate is an error after the connection, too.
            let fault = match cause.contains("invalid HTTP") {
                true => "does not answer as a web server does",
                false => "cannot be reached",
            };
            anyhow!("{agent} {fault}; {advice}: {cause}")
        })
    }

    pub(super) fn accept(&self, response: Answer, needs: &str) -> anyhow::Result<Answer> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let advice = match (status, self.token.read()?) {
            (StatusCode::FORBIDDEN, None) => format!("; set CONSUL_HTTP_TOKEN to a token with {needs}"),
            (StatusCode::FORBIDDEN, Some(_)) => format!("; the token needs {needs}"),
            _ => String::new(),
        };
        bail!("{} rejected the request ({}): {}{advice}", self.agent(), status.as_u16(), response.reason())
    }
}

/// Returns the agent's address: from `--consul`, a file, `CONSUL_HTTP_ADDR` or the default, in this order.
pub(crate) fn address(flag: Option<&str>, from_file: Option<&str>) -> String {
    let given = [flag, from_file].into_iter().flatten().find(|address| !address.is_empty());
    let given = given.map(str::to_owned).or_else(|| variable("CONSUL_HTTP_ADDR"));
    given.unwrap_or_else(|| "127.0.0.1:8500".to_owned())
}

/// Reads [`AUTH`], without a part of it in an error.
fn auth() -> anyhow::Result<Option<(String, String)>> {
    let Some(text) = variable(AUTH) else { return Ok(None) };
    let (user, password) = text.split_once(':').unwrap_or((&text, ""));
    let is_bad = user.is_empty() || text.contains(char::is_control);
    ensure!(!is_bad, BadInput(format!("{AUTH}: found another text, expected user:password")));
    Ok(Some((user.to_owned(), password.to_owned())))
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}
