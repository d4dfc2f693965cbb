//! A client for one Pushgateway. It bypasses Envoy, which would route every request to the owner of the group.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use jiff::Timestamp;
use reqwest::blocking::{Client, RequestBuilder};
use reqwest::header::{ACCEPT, CONTENT_TYPE, DATE};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::gateway::clock::Clock;
use crate::http::{Answer, AnswerLimits, cause, send};

use super::api::StoredGroup;
use super::each_group::EachGroup;
use super::time_limits::Limits;

/// Lossless for all types of metrics; names that are not ASCII stay unescaped.
const PROTOBUF: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
                        encoding=delimited;escaping=allow-utf-8";
/// The mark of a request that an Envoy has routed (docs/configuration.md). A Pushgateway ignores it. An Envoy that is a member by
/// mistake rejects the request: with `serve` behind it, it would answer for all groups of the fleet as if it held a copy of each.
pub(crate) const MARK: (&str, &str) = ("cdn-loop", "pushring");
/// The expected server, for error messages.
const SERVER: &str = "a Pushgateway";

#[derive(Clone, Debug)]
pub(crate) struct Gateway {
    pub(super) name: String,
    pub(super) address: String,
    /// Scheme, host and port.
    pub(super) origin: String,
    /// `--web.route-prefix`; push paths already start with it.
    pub(super) path_prefix: String,
    pub(super) client: Client,
    pub(super) timeout: Duration,
    pub(crate) limits: Limits,
    pub(super) answers: AnswerLimits,
    pub(super) auth: Auth,
}

#[derive(Clone)]
pub(super) enum Auth {
    None,
    Basic(String, Option<String>),
    Bearer(String),
}

/// Keeps secrets out of logs.
impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Basic(..) => "Basic",
            Self::Bearer(_) => "Bearer",
        })
    }
}

/// The process behind an address, as `/api/v1/status` reports it.
#[derive(Clone, Debug)]
pub(crate) struct Status {
    /// Start time in nanoseconds: two addresses with the same start time are one process.
    pub(crate) start_time: String,
    pub(crate) clock: Clock,
}

impl Status {
    /// Start of the process, by the gateway's clock. `None` if the text is no time.
    pub(crate) fn started(&self) -> Option<Timestamp> {
        self.start_time.parse().ok()
    }
}

/// The response of `/metrics`.
pub(crate) enum Scrape {
    /// The families as delimited protobuf.
    Exposition(Box<Answer>),
    /// The body of a response with status 500, which lists the errors.
    Poisoned(String),
}

/// The response to a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PushResponse {
    Accepted,
    /// 400, with the gateway's message.
    Rejected(String),
}

#[derive(Deserialize)]
struct Data<T> {
    data: T,
}

#[derive(Deserialize)]
struct StatusData {
    start_time: String,
}

/// Default of `--persistence.interval`.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(300);

#[derive(Deserialize)]
struct Persistence {
    flags: Flags,
}

#[derive(Deserialize)]
struct Flags {
    #[serde(rename = "persistence.file")]
    file: String,
    #[serde(rename = "persistence.interval")]
    interval: String,
}

impl Gateway {
    /// Name of the member.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Returns this gateway with shorter limits: for the head of an answer and each pause in it, and for the whole answer.
    pub(crate) fn within(mut self, time: Duration) -> Self {
        self.timeout = self.timeout.min(time);
        self.answers.time = self.answers.time.min(time);
        self
    }

    pub(crate) fn status(&self) -> anyhow::Result<Status> {
        let sent = Timestamp::now();
        let response = self.get("/api/v1/status", "application/json")?;
        let date = response.headers().get(DATE).and_then(|date| date.to_str().ok());
        let clock = Clock::new(date.context("no Date header in the response")?, sent, Timestamp::now())?;
        let status: Data<StatusData> = response.json(SERVER).context("/api/v1/status")?;
        Ok(Status { start_time: status.data.start_time, clock })
    }

    /// Returns how long a push may stay in memory only (`--persistence.interval`); `None` without `--persistence.file`:
    /// then forever.
    pub(crate) fn persistence(&self) -> anyhow::Result<Option<Duration>> {
        let response = self.get("/api/v1/status", "application/json")?;
        let status: Data<Persistence> = response.json(SERVER).context("/api/v1/status")?;
        let Flags { file, interval } = status.data.flags;
        // Go writes fractions, which humantime does not read; then the default applies.
        let interval = humantime::parse_duration(&interval).unwrap_or(DEFAULT_INTERVAL);
        Ok((!file.is_empty()).then_some(interval))
    }

    /// Lists all groups by the JSON API: names and timestamps of the families, not their values.
    pub(crate) fn groups(&self) -> anyhow::Result<Vec<StoredGroup<IgnoredAny>>> {
        self.groups_with()
    }

    /// Lists all groups, with the metrics of each family parsed as `M`.
    pub(crate) fn groups_with<M: DeserializeOwned>(&self) -> anyhow::Result<Vec<StoredGroup<M>>> {
        let mut all = Vec::new();
        self.each_group(|group| all.push(group))?;
        Ok(all)
    }

    /// Calls `take` for each group as it arrives, so that no list of all groups needs memory. Some were taken before an error.
    pub(crate) fn each_group<M: DeserializeOwned>(
        &self,
        take: impl FnMut(StoredGroup<M>),
    ) -> anyhow::Result<()> {
        let response = self.get("/api/v1/metrics", "application/json")?;
        response.json_seed(SERVER, EachGroup::new(take)).context("/api/v1/metrics")
    }

    /// Scrapes the metrics as delimited protobuf. A poisoned gateway responds with 500, which is an error.
    pub(crate) fn exposition(&self) -> anyhow::Result<Answer> {
        self.as_protobuf(self.get("/metrics", PROTOBUF)?)
    }

    fn as_protobuf(&self, response: Answer) -> anyhow::Result<Answer> {
        let form = response.headers().get(CONTENT_TYPE).and_then(|form| form.to_str().ok()).unwrap_or("");
        ensure!(
            form.starts_with("application/vnd.google.protobuf"),
            "/metrics: found content type {form:?}, expected delimited protobuf (Pushgateway 1.0 or later)"
        );
        response.limit_memory();
        Ok(response)
    }

    /// Scrapes the metrics as [`Gateway::exposition`] does. A poisoned gateway responds with 500 and its errors.
    pub(crate) fn scrape(&self) -> anyhow::Result<Scrape> {
        let request = self.client.get(self.url("/metrics")).timeout(self.timeout).header(ACCEPT, PROTOBUF);
        let response = self.send(request).context("/metrics")?;
        if response.status().as_u16() == 500 {
            return Ok(Scrape::Poisoned(response.text().context("/metrics: HTTP 500")?));
        }
        let response = self.success(response).context("/metrics")?;
        Ok(Scrape::Exposition(Box::new(self.as_protobuf(response)?)))
    }

    /// Deletes the group of a push path (with the prefix, as `labels_to_path` writes it). The gateway queues the deletion
    /// behind earlier pushes and responds at once. The timeout, [`Limits::max_delete_time`], includes the wait for a
    /// connection.
    pub(crate) fn delete(&self, path: &str) -> anyhow::Result<()> {
        self.answer(
            self.client.delete(self.push_url(path)).timeout(self.timeout.min(self.limits.max_delete_time)),
        )
        .map(drop)
    }

    /// Deletes all groups by the gateway's admin API; returns whether it has one (`--web.enable-admin-api`).
    pub(crate) fn wipe(&self) -> anyhow::Result<bool> {
        let request = self.client.put(self.url("/api/v1/admin/wipe")).timeout(self.timeout);
        let response = self.send(request)?;
        match response.status().as_u16() {
            404 | 405 => Ok(false),
            _ => self.success(response).map(|_| true),
        }
    }

    /// Adds families (delimited protobuf) to a group. A response other than 2xx and 400 is an error.
    pub(crate) fn post(&self, path: &str, body: Vec<u8>) -> anyhow::Result<PushResponse> {
        self.push(self.client.post(self.push_url(path)), body)
    }

    /// Replaces a group by families, as [`Gateway::post`] adds them.
    pub(crate) fn put(&self, path: &str, body: Vec<u8>) -> anyhow::Result<PushResponse> {
        self.push(self.client.put(self.push_url(path)), body)
    }

    fn push(&self, request: RequestBuilder, body: Vec<u8>) -> anyhow::Result<PushResponse> {
        const FORM: &str =
            "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
        let response = self.send(request.header(CONTENT_TYPE, FORM).body(body))?;
        match response.status().as_u16() {
            200..=299 => Ok(PushResponse::Accepted),
            400 => Ok(PushResponse::Rejected(response.reason())),
            _ => bail!("{} for a push", response.failure()),
        }
    }

    /// URL of a push path on this gateway.
    pub(crate) fn push_url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// URL of one of the gateway's own pages, below the prefix.
    fn url(&self, page: &str) -> String {
        format!("{}{}{page}", self.origin, self.path_prefix)
    }

    fn get(&self, path: &str, accept: &str) -> anyhow::Result<Answer> {
        let request = self.client.get(self.url(path)).timeout(self.timeout).header(ACCEPT, accept);
        self.answer(request).with_context(|| path.to_owned())
    }

    fn answer(&self, request: RequestBuilder) -> anyhow::Result<Answer> {
        let response = self.send(request)?;
        self.success(response)
    }

    fn success(&self, response: Answer) -> anyhow::Result<Answer> {
        match response.status().as_u16() {
            200..=299 => Ok(response),
            401 | 403 => bail!("HTTP {}; set --gateway-user or PUSHRING_GATEWAY_TOKEN", response.status()),
            _ => bail!("{}", response.failure()),
        }
    }

    fn send(&self, request: RequestBuilder) -> anyhow::Result<Answer> {
        let request = request.header(MARK.0, MARK.1);
        let request = match &self.auth {
            Auth::None => request,
            Auth::Basic(user, password) => request.basic_auth(user, password.as_ref()),
            Auth::Bearer(token) => request.bearer_auth(token),
        };
        send(request, self.answers).map_err(|error| match error.is_timeout() {
            true => anyhow!("no answer in time (a deletion: 1 s; otherwise --gateway-timeout)"),
            false => cause(error),
        })
    }
}
