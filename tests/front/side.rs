//! A Pushgateway, alone or behind an Envoy, and the effect of a request on it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::SocketAddr;

use pushring_harness::http::Client;
use pushring_harness::{EnvoyFixture, Mode, Pushgateway, envoy_files};
use serde_json::Value;

use crate::requests::Raw;
use crate::wire::{self, Answer};

/// The groups of a Pushgateway, by their labels.
type Groups = BTreeMap<String, Value>;

/// A place to send requests to.
pub(crate) struct Side {
    push: SocketAddr,
    client: Client,
    prefix: &'static str,
    /// The Pushgateway's address if clients are redirected to it.
    redirects: Option<SocketAddr>,
    /// The groups before the first request.
    seed: Groups,
    /// The groups after the last request.
    groups: Groups,
    _servers: (Option<EnvoyFixture>, Pushgateway, tempfile::TempDir),
}

impl Side {
    /// Starts a Pushgateway, behind an Envoy if there is a mode.
    pub(crate) fn start(mode: Option<Mode>, prefix: &'static str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let flags = ["--web.enable-admin-api".to_owned(), format!("--web.route-prefix={prefix}")];
        let flags: Vec<&str> =
            flags.iter().map(String::as_str).take(1 + usize::from(!prefix.is_empty())).collect();
        let gateway = Pushgateway::start(dir.path(), &flags).unwrap();
        let fleet = mode.map(|mode| fleet(mode, gateway.address, prefix));
        let push = fleet.as_ref().map_or(gateway.address, |fleet| fleet.envoy.push);
        let client = gateway.client().unwrap();
        let redirects = (mode == Some(Mode::Redirect)).then_some(gateway.address);
        let (groups, seed) = (Groups::new(), Groups::new());
        let mut side =
            Self { push, client, prefix, redirects, groups, seed, _servers: (fleet, gateway, dir) };
        assert_eq!(side.put("/metrics/job/seed"), 200);
        side.seed = side.read_groups();
        side.groups = side.seed.clone();
        side
    }

    /// Sends a request to a gateway that has one group, and describes the result: the statuses, and the groups that changed.
    pub(crate) fn outcome(&mut self, raw: &Raw) -> Outcome {
        if self.groups != self.seed {
            // The gateway executes writes in their order, and answers a push after its execution.
            assert_eq!(self.put("/api/v1/admin/wipe"), 202);
            assert_eq!(self.put("/metrics/job/seed"), 200);
        }
        let answers = self.follow(&raw.bytes);
        if raw.bytes.starts_with(b"DELETE") {
            // Answered before its execution, so a push waits for it.
            assert_eq!(self.put("/metrics/job/last"), 200);
        }
        self.groups = self.read_groups();
        let mut after = self.groups.clone();
        after.remove(r#"{job="last"}"#);
        Outcome::new(&answers, &self.seed, after)
    }

    fn put(&self, path: &str) -> u16 {
        self.client.put(&format!("{}{path}", self.prefix), "seed 1\n").unwrap().status
    }

    /// Sends a request; in redirect mode also its repetition at the gateway.
    fn follow(&self, request: &[u8]) -> Vec<Answer> {
        let answers = wire::exchange(self.push, request);
        let location =
            answers.last().filter(|answer| answer.status == 307).and_then(|answer| answer.header("location"));
        let Some((gateway, target)) = self.redirects.zip(location) else { return answers };
        let Some(target) = target.strip_prefix(&format!("http://{gateway}")) else { return answers };
        let mut parts = request.splitn(3, |&byte| byte == b' ');
        let (method, rest) = (parts.next().unwrap(), parts.nth(1).unwrap());
        wire::exchange(gateway, &[method, b" ", target.as_bytes(), b" ", rest].concat())
    }

    fn read_groups(&self) -> Groups {
        let answer = self.client.get(&format!("{}/api/v1/metrics", self.prefix)).unwrap();
        let groups = answer.json().unwrap()["data"].take();
        let groups = groups.as_array().cloned().unwrap_or_default();
        groups.into_iter().map(|group| (labels(&group), content(group))).collect()
    }
}

/// The result of a request. Its text has only the statuses and the groups that changed.
#[derive(PartialEq, Eq, Default)]
pub(crate) struct Outcome {
    text: String,
    after: Groups,
}

impl Outcome {
    fn new(answers: &[Answer], before: &Groups, after: Groups) -> Self {
        let mut text = answers.iter().map(|answer| answer.status.to_string()).collect::<Vec<_>>().join(", ");
        if answers.is_empty() {
            text += "closed";
        }
        for (labels, content) in after.iter().filter(|(labels, content)| before.get(*labels) != Some(content))
        {
            let verb = match (&content["last_push_successful"], &content["x"]) {
                (Value::Bool(false), _) => "leaves a stub",
                (_, Value::Null) => "stores no metrics in",
                _ => "stores",
            };
            let _ = write!(text, ", {verb} `{}`", short(labels));
        }
        for labels in before.keys().filter(|labels| !after.contains_key(*labels)) {
            let _ = write!(text, ", deletes `{}`", short(labels));
        }
        Self { text, after }
    }

    /// Returns the text.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

fn fleet(mode: Mode, gateway: SocketAddr, prefix: &str) -> EnvoyFixture {
    EnvoyFixture::with(mode, 0, |config| {
        config["members"] = serde_json::to_value([envoy_files::Member::from(gateway)]).unwrap();
        config["path_prefix"] = prefix.into();
    })
}

/// Returns the labels as in a query.
fn labels(group: &Value) -> String {
    let labels = group["labels"].as_object().unwrap();
    let labels: Vec<_> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("{{{}}}", labels.join(","))
}

/// Shortens long text for a cell of a table.
fn short(text: &str) -> String {
    let start: String = text.chars().take(30).collect();
    if start.len() < text.len() { format!("{start}…") } else { start }
}

/// Returns the metrics of a group without times.
fn content(mut group: Value) -> Value {
    let fields = group.as_object_mut().unwrap();
    for time in ["push_time_seconds", "push_failure_time_seconds"] {
        fields.remove(time);
    }
    for family in fields.values_mut().filter_map(Value::as_object_mut) {
        family.remove("time_stamp");
    }
    group
}
