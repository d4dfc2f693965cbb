//! Pushgateways, asked one by one and directly: through Envoy one would reach only the owner of a group.

use std::fmt;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use jiff::Timestamp;
use pushring_router::Config;
use reqwest::blocking::{Client, RequestBuilder, Response};
use reqwest::header::{ACCEPT, CONTENT_TYPE, DATE};
use reqwest::redirect::Policy;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::BadInput;
use crate::gateway::clock::Clock;
use crate::http::Tls;

pub use api::{Family, Group, Labels, PUSH_FAILED, PUSH_TIME};
pub use marks::Marks;

mod api;
pub mod clock;
pub mod marks;

/// All types of metrics, without loss; names beyond ASCII as they are.
const PROTOBUF: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
                        encoding=delimited;escaping=allow-utf-8";

/// The longest that a deletion may take, connecting included: the reading on which it rests gets no younger.
pub const DELETE_MAX: Duration = Duration::from_secs(1);
/// The longest `--gateway-timeout`; time arithmetic ends somewhere beyond.
const TIMEOUT_MAX: Duration = Duration::from_secs(3600);

/// How to reach the Pushgateways.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Pushgateways")]
pub struct GatewayArgs {
    /// http or https [default: redirect_scheme of the configuration]
    #[arg(long, value_name = "SCHEME", value_parser = ["http", "https"])]
    pub scheme: Option<String>,
    /// User for basic authentication
    #[arg(long, value_name = "USER", conflicts_with = "gateway_token")]
    pub gateway_user: Option<String>,
    /// Its password; better in the variable than among the arguments
    #[arg(long, env = "PUSHRING_GATEWAY_PASSWORD", hide_env_values = true, value_name = "PASSWORD")]
    pub gateway_password: Option<String>,
    /// Bearer token
    #[arg(long, env = "PUSHRING_GATEWAY_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub gateway_token: Option<String>,
    /// File with the certificates (PEM) to trust for https besides the system's
    #[arg(long, value_name = "FILE")]
    pub gateway_ca_file: Option<PathBuf>,
    /// File with the client's certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "gateway_key")]
    pub gateway_cert: Option<PathBuf>,
    /// File with the key of the client's certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "gateway_cert")]
    pub gateway_key: Option<PathBuf>,
    /// A gateway that takes longer for an answer is unreachable
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    pub gateway_timeout: Duration,
    /// Requests at the same time, over all gateways
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub concurrency: u16,
}

/// What all gateways have in common: the HTTP client, scheme, credentials, path prefix.
#[derive(Clone, Debug)]
pub struct Gateways {
    client: Client,
    timeout: Duration,
    scheme: String,
    path_prefix: String,
    auth: Auth,
    concurrency: usize,
}

#[derive(Clone)]
enum Auth {
    None,
    Basic(String, Option<String>),
    Bearer(String),
}

/// Secrets stay out of logs.
impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Basic(..) => "Basic",
            Self::Bearer(_) => "Bearer",
        })
    }
}

/// One Pushgateway.
#[derive(Clone, Debug)]
pub struct Gateway {
    name: String,
    address: String,
    base: String,
    client: Client,
    timeout: Duration,
    auth: Auth,
}

/// What `/api/v1/status` tells of the process behind an address.
#[derive(Clone, Debug)]
pub struct Status {
    /// When it started, to the nanosecond: two addresses with the same one are the same process.
    pub start_time: String,
    /// Its clock against ours.
    pub clock: Clock,
}

/// The answer to a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// 200 or 202.
    Taken,
    /// 400, with the gateway's own words.
    Refused(String),
}

#[derive(Deserialize)]
struct Data<T> {
    data: T,
}

#[derive(Deserialize)]
struct StatusData {
    start_time: String,
}

impl Gateways {
    /// Prepares the client; asks nothing yet.
    ///
    /// # Errors
    /// [`BadInput`] when a flag or a file is unusable.
    pub fn new(args: &GatewayArgs, config: &Config) -> anyhow::Result<Self> {
        let auth = match (&args.gateway_user, &args.gateway_token) {
            (Some(user), _) => Auth::Basic(user.clone(), args.gateway_password.clone()),
            (None, Some(token)) => Auth::Bearer(token.trim().to_owned()),
            (None, None) => Auth::None,
        };
        let tls = Tls {
            ca_file: args.gateway_ca_file.as_deref(),
            cert: args.gateway_cert.as_deref(),
            key: args.gateway_key.as_deref(),
        };
        let timeout = args.gateway_timeout;
        ensure!(
            !timeout.is_zero() && timeout <= TIMEOUT_MAX,
            BadInput(format!(
                "--gateway-timeout: found {timeout:?}, allowed above 0 and up to {TIMEOUT_MAX:?}"
            ))
        );
        // A redirect would lead to another gateway than the one that was asked.
        let client = tls.add_to(crate::http::client(timeout).redirect(Policy::none()))?;
        Ok(Self {
            client: client.build().map_err(|error| BadInput(format!("Pushgateways: {error}")))?,
            timeout,
            scheme: args.scheme.clone().unwrap_or_else(|| config.redirect_scheme.to_owned()),
            path_prefix: config.path_prefix.clone(),
            auth,
            concurrency: args.concurrency.into(),
        })
    }

    /// The gateway of a member.
    #[must_use]
    pub fn gateway(&self, name: &str, address: &str) -> Gateway {
        Gateway {
            name: name.to_owned(),
            address: address.to_owned(),
            base: format!("{}://{address}{}", self.scheme, self.path_prefix),
            client: self.client.clone(),
            timeout: self.timeout,
            auth: self.auth.clone(),
        }
    }

    /// `f` of every item, in the order of the items, at most `--concurrency` at the same time. A panic in `f` goes on
    /// here: with a result missing, all behind it would be taken for another gateway's.
    pub fn each<T: Sync, R: Send>(&self, items: &[T], f: impl Fn(&T) -> R + Sync) -> Vec<R> {
        let next = AtomicUsize::new(0);
        let work = || {
            let mut done = Vec::new();
            while let Some((index, item)) = {
                let index = next.fetch_add(1, Ordering::Relaxed);
                items.get(index).map(|item| (index, item))
            } {
                done.push((index, f(item)));
            }
            done
        };
        let mut all: Vec<(usize, R)> = thread::scope(|scope| {
            let workers: Vec<_> = (0..self.concurrency.min(items.len())).map(|_| scope.spawn(work)).collect();
            let done =
                |worker: ScopedJoinHandle<'_, _>| worker.join().unwrap_or_else(|panic| resume_unwind(panic));
            workers.into_iter().flat_map(done).collect()
        });
        all.sort_unstable_by_key(|(index, _)| *index);
        all.into_iter().map(|(_, result)| result).collect()
    }
}

impl Gateway {
    /// Name of the member.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its host:port.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Which process it is, and its clock.
    ///
    /// # Errors
    /// It cannot be reached, answers something else, or without a date.
    pub fn status(&self) -> anyhow::Result<Status> {
        let sent = Timestamp::now();
        let response = self.get("/api/v1/status", "application/json")?;
        let date = response.headers().get(DATE).and_then(|date| date.to_str().ok());
        let clock = Clock::new(date.context("its answers have no date")?, sent, Timestamp::now())?;
        let status: Data<StatusData> = read(response)?;
        Ok(Status { start_time: status.data.start_time, clock })
    }

    /// Every group that it holds, by the JSON API: names and time stamps of the families, not their values.
    ///
    /// # Errors
    /// It cannot be reached, or its API cannot be read.
    pub fn groups(&self) -> anyhow::Result<Vec<Group<IgnoredAny>>> {
        self.groups_with()
    }

    /// The same with `metrics` of each family as `M` reads them.
    ///
    /// # Errors
    /// As [`Gateway::groups`].
    pub fn groups_with<M: DeserializeOwned>(&self) -> anyhow::Result<Vec<Group<M>>> {
        let all: Data<Vec<Group<M>>> = read(self.get("/api/v1/metrics", "application/json")?)?;
        Ok(all.data)
    }

    /// What Prometheus would scrape, as delimited protobuf. A gateway that is poisoned answers 500.
    ///
    /// # Errors
    /// It cannot be reached, or does not answer 200.
    pub fn exposition(&self) -> anyhow::Result<Response> {
        let response = self.get("/metrics", PROTOBUF)?;
        let form = response.headers().get(CONTENT_TYPE).and_then(|form| form.to_str().ok()).unwrap_or("");
        ensure!(
            form.starts_with("application/vnd.google.protobuf"),
            "/metrics: found the form {form:?}, wanted delimited protobuf (a Pushgateway of 1.0 or later)"
        );
        Ok(response)
    }

    /// What `/metrics` answers with 500, in full: the gateway is poisoned. `None` where it answers metrics.
    ///
    /// # Errors
    /// It cannot be reached, or answers something else.
    pub fn scrape_error(&self) -> anyhow::Result<Option<String>> {
        let request = self.client.get(format!("{}/metrics", self.base));
        let response = self.with_auth(request).send().map_err(unreachable)?;
        match response.status().as_u16() {
            200 => Ok(None),
            500 => Ok(Some(response.text()?)),
            status => bail!("answers {status}"),
        }
    }

    /// When each group was pushed last, read as cheaply as it can be.
    ///
    /// # Errors
    /// It cannot be reached or read.
    pub fn marks(&self) -> anyhow::Result<Marks> {
        Marks::read(self)
    }

    /// Deletes the group of a push path (with the prefix, as `labels_to_path` writes it). The gateway queues it
    /// behind pushes that came before, and answers at once. Given up after [`DELETE_MAX`]: what has to wait for a
    /// connection longer than that is not sent any more.
    ///
    /// # Errors
    /// It cannot be reached or refuses.
    pub fn delete(&self, path: &str) -> anyhow::Result<()> {
        self.answer(self.client.delete(self.push_url(path)).timeout(self.timeout.min(DELETE_MAX))).map(drop)
    }

    /// Adds families, in the delimited protobuf form, to the group of a push path.
    ///
    /// # Errors
    /// It cannot be reached, or answers neither 2xx nor 400.
    pub fn post(&self, path: &str, body: Vec<u8>) -> anyhow::Result<Pushed> {
        const FORM: &str =
            "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
        let request = self.client.post(self.push_url(path)).header(CONTENT_TYPE, FORM).body(body);
        let response = self.with_auth(request).send().map_err(unreachable)?;
        match response.status().as_u16() {
            200..=299 => Ok(Pushed::Taken),
            400 => Ok(Pushed::Refused(response.text().unwrap_or_default().trim().to_owned())),
            status => bail!("answers {status} to a push: {}", first_line(response)),
        }
    }

    /// The URL of a push path, straight at this gateway.
    #[must_use]
    pub fn push_url(&self, path: &str) -> String {
        // `base` ends with the prefix with which `path` begins.
        let origin = self.base.find(&self.address).map_or(0, |at| at + self.address.len());
        format!("{}{path}", &self.base[..origin])
    }

    fn get(&self, path: &str, accept: &str) -> anyhow::Result<Response> {
        let request = self.client.get(format!("{}{path}", self.base)).header(ACCEPT, accept);
        self.answer(request).with_context(|| path.to_owned())
    }

    fn answer(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let response = self.with_auth(request).send().map_err(unreachable)?;
        let status = response.status();
        match status.as_u16() {
            200..=299 => Ok(response),
            401 | 403 => bail!("answers {status}; give --gateway-user or PUSHRING_GATEWAY_TOKEN"),
            _ => bail!("answers {}: {}", status.as_u16(), first_line(response)),
        }
    }

    fn with_auth(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.auth {
            Auth::None => request,
            Auth::Basic(user, password) => request.basic_auth(user, password.as_ref()),
            Auth::Bearer(token) => request.bearer_auth(token),
        }
    }
}

/// reqwest's own text names the URL, and the cause only below it.
fn unreachable(error: reqwest::Error) -> anyhow::Error {
    let timeout = error.is_timeout();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    if timeout {
        anyhow::anyhow!("no answer in time (a deletion: a second; else --gateway-timeout)")
    } else {
        anyhow::anyhow!("{cause}")
    }
}

/// Gateways answer a whole stack of reasons to a poisoned scrape; the first says it.
fn first_line(response: Response) -> String {
    let text = response.text().unwrap_or_default();
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let (first, second) = (lines.next().unwrap_or_default(), lines.next());
    // "An error has occurred while serving metrics:" is followed by the error.
    match second {
        Some(second) if first.ends_with(':') => format!("{first} {second}"),
        _ => first.to_owned(),
    }
}

/// Reads as it comes: a gateway's answer can be tens of megabytes.
fn read<T: DeserializeOwned>(response: Response) -> anyhow::Result<T> {
    let url = response.url().path().to_owned();
    serde_json::from_reader(std::io::BufReader::with_capacity(1 << 16, response))
        .with_context(|| format!("{url}: not what a Pushgateway answers"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gateways(timeout: Duration) -> anyhow::Result<Gateways> {
        let args = GatewayArgs {
            scheme: None,
            gateway_user: None,
            gateway_password: None,
            gateway_token: None,
            gateway_ca_file: None,
            gateway_cert: None,
            gateway_key: None,
            gateway_timeout: timeout,
            concurrency: 2,
        };
        Gateways::new(&args, &Config::parse(br#"{"members":["a:1"]}"#).unwrap())
    }

    #[test]
    fn results_are_in_the_order_of_the_items() {
        let items: Vec<usize> = (0..100).collect();
        assert_eq!(gateways(Duration::from_secs(1)).unwrap().each(&items, |item| *item), items);
    }

    #[test]
    #[should_panic(expected = "the second")]
    fn a_result_that_is_missing_is_not_made_up_for_by_the_next() {
        gateways(Duration::from_secs(1)).unwrap().each(&[1, 2, 3], |item| assert!(*item != 2, "the second"));
    }

    #[test]
    fn no_timeout_is_none() {
        for timeout in [Duration::ZERO, Duration::from_secs(3601), Duration::MAX] {
            assert!(gateways(timeout).unwrap_err().is::<BadInput>());
        }
    }
}
