//! Pushgateways, asked one by one and directly: through Envoy one would reach only the owner of a group.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use jiff::Timestamp;
use reqwest::blocking::{Client, RequestBuilder, Response};
use reqwest::header::{ACCEPT, CONTENT_TYPE, DATE};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::gateway::clock::Clock;

use super::api::StoredGroup;
use super::limits::Limits;

/// All types of metrics, without loss; names beyond ASCII as they are.
const PROTOBUF: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
                        encoding=delimited;escaping=allow-utf-8";
#[derive(Clone, Debug)]
pub(crate) struct Gateway {
    pub(super) name: String,
    pub(super) address: String,
    /// Scheme, host and port.
    pub(super) origin: String,
    /// `--web.route-prefix`, which push paths begin with already.
    pub(super) path_prefix: String,
    pub(super) client: Client,
    pub(super) timeout: Duration,
    pub(crate) limits: Limits,
    pub(super) auth: Auth,
}

#[derive(Clone)]
pub(super) enum Auth {
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

/// What `/api/v1/status` tells of the process behind an address.
#[derive(Clone, Debug)]
pub(crate) struct Status {
    /// When it started, to the nanosecond: two addresses with the same one are the same process.
    pub(crate) start_time: String,
    pub(crate) clock: Clock,
}

/// The answer to a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
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

impl Gateway {
    /// Name of the member.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Which process it is, and its clock.
    ///
    /// # Errors
    /// It cannot be reached, answers something else, or without a date.
    pub(crate) fn status(&self) -> anyhow::Result<Status> {
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
    pub(crate) fn groups(&self) -> anyhow::Result<Vec<StoredGroup<IgnoredAny>>> {
        self.groups_with()
    }

    /// The same with `metrics` of each family as `M` reads them.
    ///
    /// # Errors
    /// As [`Gateway::groups`].
    pub(crate) fn groups_with<M: DeserializeOwned>(&self) -> anyhow::Result<Vec<StoredGroup<M>>> {
        let all: Data<Vec<StoredGroup<M>>> = read(self.get("/api/v1/metrics", "application/json")?)?;
        Ok(all.data)
    }

    /// What Prometheus would scrape, as delimited protobuf. A gateway that is poisoned answers 500.
    ///
    /// # Errors
    /// It cannot be reached, or does not answer 200.
    pub(crate) fn exposition(&self) -> anyhow::Result<Response> {
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
    pub(crate) fn scrape_error(&self) -> anyhow::Result<Option<String>> {
        let request = self.client.get(self.url("/metrics"));
        let response = self.with_auth(request).send().map_err(unreachable)?;
        match response.status().as_u16() {
            200 => Ok(None),
            500 => Ok(Some(response.text()?)),
            status => bail!("answers {status}"),
        }
    }

    /// Deletes the group of a push path (with the prefix, as `labels_to_path` writes it). The gateway queues it
    /// behind pushes that came before, and answers at once. Gives up after
    /// [`Limits::max_delete_time`].
    ///
    /// # Errors
    /// It cannot be reached or refuses.
    pub(crate) fn delete(&self, path: &str) -> anyhow::Result<()> {
        self.answer(
            self.client.delete(self.push_url(path)).timeout(self.timeout.min(self.limits.max_delete_time)),
        )
        .map(drop)
    }

    /// Adds families, in the delimited protobuf form, to the group of a push path.
    ///
    /// # Errors
    /// It cannot be reached, or answers neither 2xx nor 400.
    pub(crate) fn post(&self, path: &str, body: Vec<u8>) -> anyhow::Result<Pushed> {
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
    pub(crate) fn push_url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// The URL of one of its own pages, below the prefix.
    fn url(&self, page: &str) -> String {
        format!("{}{}{page}", self.origin, self.path_prefix)
    }

    fn get(&self, path: &str, accept: &str) -> anyhow::Result<Response> {
        let request = self.client.get(self.url(path)).header(ACCEPT, accept);
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
