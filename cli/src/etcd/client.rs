//! A client for one etcd, or for the members of a cluster.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use reqwest::blocking::Client;
use reqwest::header::AUTHORIZATION;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Value, json};

use super::wire::{self, Header, KeyValue, Lease, Line, Page, WatchMessage};
use crate::error::BadInput;
use crate::http::{self, Answer, AnswerLimits, Secret, SecretKind, ServerUrl, Tls, cause};
use crate::parse;

/// An etcd without an answer by then hangs.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Longest silence of a watch before it is a question whether etcd is there; it sends nothing while nothing changes.
const QUIET: Duration = Duration::from_secs(15);
/// A machine that vanished is noticed after this time three times.
const KEEPALIVE: Duration = Duration::from_secs(10);
/// Keys that one answer lists.
const PAGE: u64 = 128;
/// A value has at most 1.5 MB unless etcd's settings allow more. Answers that exceed this are asked for in smaller pages.
const MAX_ANSWER: u64 = 1 << 24;

const HEADING: &str = "etcd";

/// Flags for access to etcd. A heading for all of them would be that of the flags after them, too.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct EtcdArgs {
    /// etcd, as http://host:port or https://host:port; repeatable, or a list with commas, for the members of a cluster
    #[arg(long, help_heading = HEADING, value_name = "URL", value_delimiter = ',')]
    pub(crate) etcd: Vec<String>,
    /// User, if etcd has authentication
    #[arg(long, help_heading = HEADING, value_name = "NAME", requires = "etcd_password_file")]
    etcd_user: Option<String>,
    /// File with the user's password
    #[arg(long, help_heading = HEADING, value_name = "FILE", requires = "etcd_user")]
    etcd_password_file: Option<PathBuf>,
    /// CA certificates (PEM file) for https, in addition to the system's
    #[arg(long, help_heading = HEADING, value_name = "FILE")]
    etcd_ca_file: Option<PathBuf>,
    /// Client certificate (PEM file)
    #[arg(long, help_heading = HEADING, value_name = "FILE", requires = "etcd_key")]
    etcd_cert: Option<PathBuf>,
    /// Key of the client certificate (PEM file)
    #[arg(long, help_heading = HEADING, value_name = "FILE", requires = "etcd_cert")]
    etcd_key: Option<PathBuf>,
}

/// A client of one endpoint at a time.
pub(crate) struct Etcd {
    client: Client,
    endpoints: Vec<ServerUrl>,
    /// The index of the endpoint in use.
    at: usize,
    credentials: Option<Credentials>,
    /// From the last authentication, valid at every member of the cluster.
    token: Option<String>,
}

struct Credentials {
    user: String,
    /// Read for each authentication, because it may be replaced.
    password_file: PathBuf,
}

/// An error that etcd answered.
#[derive(Debug)]
pub(crate) struct Refused(String);

/// The changes since a revision are no longer stored.
#[derive(Debug)]
pub(crate) struct Compacted;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let advice = match self.0.as_str() {
            text if text.contains("user name is empty") => {
                "; etcd has authentication: set --etcd-user and --etcd-password-file"
            }
            text if text.contains("permission denied") => {
                "; grant the user the permission for the keys of the service"
            }
            text if text.contains("404 page not found") => {
                "; check --etcd: no JSON gateway here (etcd's --enable-grpc-gateway)"
            }
            _ => "",
        };
        write!(f, "{}{advice}", self.0)
    }
}

impl std::error::Error for Refused {}

impl fmt::Display for Compacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the store was compacted while it was read")
    }
}

impl std::error::Error for Compacted {}

impl Refused {
    fn of(answer: Answer) -> Self {
        let status = answer.status().as_u16();
        let body = answer.reason();
        // 3.4 has the field `error` in addition.
        let message =
            parse::json(&body).ok().and_then(|body: Value| Some(body["message"].as_str()?.to_owned()));
        Self(message.unwrap_or_else(|| format!("HTTP {status}: {body}")))
    }

    /// Returns whether a new token can help. etcd answers "old" after a change of users or roles.
    fn needs_token(&self) -> bool {
        ["invalid auth token", "user name is empty", "revision of auth store is old"]
            .iter()
            .any(|reason| self.0.contains(reason))
    }
}

impl Etcd {
    /// Creates a client without sending a request.
    ///
    /// # Errors
    /// [`BadInput`]: no URL, an invalid one, or a file that cannot be used.
    pub(crate) fn new(args: &EtcdArgs) -> anyhow::Result<Self> {
        ensure!(!args.etcd.is_empty(), BadInput("--etcd: missing, expected http://host:port".to_owned()));
        let endpoint = |url: &String| ServerUrl::parse("--etcd", url);
        let endpoints = args.etcd.iter().map(endpoint).collect::<Result<_, _>>()?;
        let tls = Tls {
            flags: "--etcd",
            ca_file: args.etcd_ca_file.as_deref(),
            cert: args.etcd_cert.as_deref(),
            key: args.etcd_key.as_deref(),
        };
        // The timeout of the client is that of each read; a timeout of a request would be that of the whole answer.
        let client = http::client(QUIET)
            .connect_timeout(TIMEOUT)
            .tcp_keepalive(KEEPALIVE)
            .tcp_keepalive_interval(KEEPALIVE)
            .tcp_keepalive_retries(2)
            .tcp_user_timeout(KEEPALIVE * 3);
        let client = tls.add_to(client)?;
        let client = client.build().map_err(|error| BadInput(format!("--etcd: {error}")))?;
        let credentials = args.etcd_user.clone().zip(args.etcd_password_file.clone());
        let credentials = credentials.map(|(user, password_file)| Credentials { user, password_file });
        let etcd = Self { client, endpoints, at: 0, credentials, token: None };
        etcd.password()?;
        Ok(etcd)
    }

    /// Returns the endpoint in use, without a password.
    pub(crate) fn endpoint(&self) -> String {
        self.endpoints.get(self.at).map(ToString::to_string).unwrap_or_default()
    }

    /// Returns the number of endpoints.
    pub(crate) fn endpoints(&self) -> usize {
        self.endpoints.len()
    }

    /// Uses the next endpoint.
    pub(crate) fn rotate(&mut self) {
        self.at = (self.at + 1) % self.endpoints.len();
    }

    /// Sends a request and reads its answer.
    ///
    /// # Errors
    /// etcd cannot be reached, or refuses the request.
    pub(crate) fn call<T: DeserializeOwned>(&mut self, path: [&str; 2], body: &Value) -> anyhow::Result<T> {
        let answer = self.with_token(|etcd| etcd.post(&path, body, Some(TIMEOUT)))?;
        answer.json("etcd")
    }

    /// Lists all keys with a prefix as they are at one revision, by default the last, and returns the header of the first
    /// answer. `each` may get keys before an error.
    ///
    /// # Errors
    /// As [`Etcd::call`]. [`Compacted`]: that revision is no longer stored, or not yet.
    pub(crate) fn list(
        &mut self,
        prefix: &str,
        revision: Option<u64>,
        mut each: impl FnMut(KeyValue),
    ) -> anyhow::Result<Header> {
        let (mut from, end) = (prefix.as_bytes().to_vec(), wire::end_of(prefix));
        let (mut size, mut first) = (PAGE, None::<Header>);
        loop {
            let mut body = json!({"key": wire::encode(&from), "range_end": wire::encode(&end), "limit": size.to_string()});
            if let Some(revision) = revision.or(first.map(|header| header.revision)) {
                body["revision"] = json!(revision.to_string());
            }
            let page: Page = match self.call(["kv", "range"], &body) {
                Err(error) if is_too_large(&error) && size > 1 => {
                    size /= 2;
                    continue;
                }
                Err(error) if is_not_stored(&error) => bail!(Compacted),
                page => page?,
            };
            let header = *first.get_or_insert(page.header);
            let last = page.kvs.last().map(|last| last.key.clone());
            page.kvs.into_iter().for_each(&mut each);
            match last.filter(|_| page.more) {
                // The next possible key.
                Some(last) => from = [last.as_slice(), &[0]].concat(),
                None => return Ok(header),
            }
        }
    }

    /// Does something at the first endpoint that can, beginning with the one in use.
    ///
    /// # Errors
    /// No endpoint can; with the reason of each.
    pub(crate) fn anywhere<T>(
        &mut self,
        mut act: impl FnMut(&mut Self) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let mut errors = Vec::new();
        for _ in 0..self.endpoints() {
            match act(self) {
                Ok(done) => return Ok(done),
                Err(error) => errors.push(format!("etcd at {}: {error:#}", self.endpoint())),
            }
            self.rotate();
        }
        bail!(errors.join("; "))
    }

    /// Returns a key; `None` if there is none.
    ///
    /// # Errors
    /// As [`Etcd::call`].
    pub(crate) fn get(&mut self, key: &str) -> anyhow::Result<Option<KeyValue>> {
        Ok(self.call::<Page>(["kv", "range"], &json!({"key": wire::encode(key)}))?.kvs.pop())
    }

    /// Stores a value that ends with a lease; `None`: with the lease that the key has.
    ///
    /// # Errors
    /// As [`Etcd::call`].
    pub(crate) fn put(&mut self, key: &[u8], value: &[u8], lease: Option<u64>) -> anyhow::Result<()> {
        let mut body = json!({"key": wire::encode(key), "value": wire::encode(value)});
        match lease {
            Some(lease) => body["lease"] = json!(lease.to_string()),
            None => body["ignore_lease"] = json!(true),
        }
        self.call::<IgnoredAny>(["kv", "put"], &body).map(drop)
    }

    /// Deletes a key, if there is one.
    ///
    /// # Errors
    /// As [`Etcd::call`].
    pub(crate) fn delete(&mut self, key: &[u8]) -> anyhow::Result<()> {
        self.call::<IgnoredAny>(["kv", "deleterange"], &json!({"key": wire::encode(key)})).map(drop)
    }

    /// Returns the ID of a new lease.
    ///
    /// # Errors
    /// As [`Etcd::call`].
    pub(crate) fn grant(&mut self, seconds: u64) -> anyhow::Result<u64> {
        let lease: Lease = self.call(["lease", "grant"], &json!({"TTL": seconds.to_string()}))?;
        ensure!(lease.id != 0, "a lease without an ID");
        Ok(lease.id)
    }

    /// Renews a lease; returns `false` if etcd does not know it.
    ///
    /// # Errors
    /// As [`Etcd::call`].
    pub(crate) fn keep_alive(&mut self, lease: u64) -> anyhow::Result<bool> {
        let line: Line<Lease> = self.call(["lease", "keepalive"], &json!({"ID": lease.to_string()}))?;
        if let Some(error) = line.error {
            bail!(Refused(error.message));
        }
        Ok(line.result.is_some_and(|lease| lease.ttl > 0))
    }

    /// Ends a lease, and deletes all keys with it. A lease that etcd does not know is no error.
    ///
    /// # Errors
    /// As [`Etcd::call`].
    pub(crate) fn revoke(&mut self, lease: u64) -> anyhow::Result<()> {
        match self.call::<IgnoredAny>(["lease", "revoke"], &json!({"ID": lease.to_string()})) {
            Err(error) if error.to_string().contains("lease not found") => Ok(()),
            done => done.map(drop),
        }
    }

    /// Asks whether the keys with a prefix can be read now.
    ///
    /// # Errors
    /// They cannot.
    pub(crate) fn check(&mut self, prefix: &str) -> anyhow::Result<()> {
        let (key, end) = (wire::encode(prefix), wire::encode(wire::end_of(prefix)));
        let body = json!({"key": key, "range_end": end, "count_only": true});
        self.call::<Page>(["kv", "range"], &body).map(drop)
    }

    /// Watches the keys with a prefix from a revision on. The first message is about the watch itself.
    ///
    /// # Errors
    /// As [`Etcd::call`]. [`Compacted`]: the changes since that revision are no longer stored.
    pub(crate) fn watch(&mut self, prefix: &str, revision: u64) -> anyhow::Result<(WatchMessage, Watch)> {
        let (key, end) = (wire::encode(prefix), wire::encode(wire::end_of(prefix)));
        let body = json!({"create_request": {
            "key": key, "range_end": end, "start_revision": revision.to_string(), "progress_notify": true,
            // Messages of limited size.
            "fragment": true,
        }});
        self.with_token(|etcd| {
            let answer = etcd.post(&["watch"], &body, None)?;
            let mut watch = Watch(Box::new(answer.lines(MAX_ANSWER)));
            let first = watch.next()?.filter(|message| message.created);
            Ok((first.context("no answer to the watch")?, watch))
        })
    }

    /// Sends a request, and again with a new token if etcd asks for one.
    fn with_token<T>(&mut self, send: impl Fn(&Self) -> anyhow::Result<T>) -> anyhow::Result<T> {
        match send(self) {
            Err(error)
                if self.credentials.is_some() && error.downcast_ref().is_some_and(Refused::needs_token) =>
            {
                self.authenticate()?;
                send(self)
            }
            answer => answer,
        }
    }

    fn authenticate(&mut self) -> anyhow::Result<()> {
        #[derive(serde::Deserialize)]
        struct Token {
            token: String,
        }
        self.token = None;
        let Some(Credentials { user, .. }) = &self.credentials else { return Ok(()) };
        let body = json!({"name": user, "password": self.password()?});
        let answer = self.post(&["auth", "authenticate"], &body, Some(TIMEOUT));
        let answer = answer.with_context(|| format!("cannot authenticate as {user:?}"))?;
        self.token = Some(answer.json::<Token>("etcd")?.token);
        Ok(())
    }

    fn password(&self) -> anyhow::Result<Option<String>> {
        let secret = Secret {
            kind: SecretKind::Password,
            flag: "--etcd-password",
            variable: "",
            file: self.credentials.as_ref().map(|credentials| credentials.password_file.as_path()),
            given: None,
        };
        secret.read()
    }

    /// Sends a request and requires success; without a timeout, the answer may be endless.
    fn post(&self, path: &[&str], body: &Value, timeout: Option<Duration>) -> anyhow::Result<Answer> {
        let endpoint = self.endpoints.get(self.at).context("no endpoint")?;
        let mut request = self.client.post(endpoint.at(&[&["v3"], path].concat())).json(body);
        // A watch ends when the member has lost the cluster, instead of being silent.
        request = request.header("grpc-metadata-hasleader", "true");
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token);
        }
        let limits = match timeout {
            Some(time) => {
                request = request.timeout(time);
                AnswerLimits { bytes: MAX_ANSWER, ..AnswerLimits::of_agent(time) }
            }
            None => AnswerLimits::endless(),
        };
        let answer = http::send(request, limits).map_err(|error| {
            anyhow!("cannot be reached (for https check --etcd-ca-file): {}", cause(error))
        })?;
        if answer.status().is_success() { Ok(answer) } else { Err(Refused::of(answer).into()) }
    }
}

/// The messages of a watch.
pub(crate) struct Watch(Box<dyn Iterator<Item = io::Result<Vec<u8>>> + Send>);

impl Watch {
    /// Waits for the next message; `None` after a long silence.
    ///
    /// # Errors
    /// The watch ended. [`Compacted`] and [`Refused`] are etcd's reasons.
    pub(crate) fn next(&mut self) -> anyhow::Result<Option<WatchMessage>> {
        let line = match self.0.next().unwrap_or_else(|| Err(io::Error::other("the watch ended"))) {
            Err(error) if error.kind() == ErrorKind::TimedOut => return Ok(None),
            line => line?,
        };
        let line = std::str::from_utf8(&line).context("not a message of etcd")?;
        let line: Line<WatchMessage> =
            parse::json(line).map_err(|error| anyhow!("not a message of etcd: {error}"))?;
        let message = match line {
            Line { error: Some(error), .. } => bail!(Refused(error.message)),
            Line { result, .. } => result.context("not a message of etcd")?,
        };
        ensure!(message.compact_revision == 0, Compacted);
        ensure!(!message.canceled, Refused(format!("the watch was canceled: {}", message.cancel_reason)));
        Ok(Some(message))
    }
}

/// Returns whether etcd does not have the state of a revision.
fn is_not_stored(error: &anyhow::Error) -> bool {
    let reasons = ["has been compacted", "is a future revision"];
    error.downcast_ref().is_some_and(|Refused(text)| reasons.iter().any(|reason| text.contains(reason)))
}

fn is_too_large(error: &anyhow::Error) -> bool {
    let too_large = Some(ErrorKind::FileTooLarge);
    error.chain().any(|error| {
        let json = error.downcast_ref().and_then(serde_json::Error::io_error_kind);
        json.or_else(|| error.downcast_ref().map(io::Error::kind)) == too_large
    })
}
