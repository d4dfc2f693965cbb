//! A Pushgateway as a registry lists it, and the file in which consul-template hands the list over.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::BadInput;
use crate::parse;
use crate::text;

/// Longest part of an ID or the name of a node that a message repeats.
const MAX_SHOWN: usize = 60;

/// The status of a member on the ring.
const PASSING: &str = "passing";
/// The statuses that registries have: those of Consul, and the words of the sources of `pushring discover`.
const STATUSES: [&str; 7] =
    [PASSING, "warning", "critical", "maintenance", "not-ready", "terminating", "vanished"];

/// One registered Pushgateway, whatever its health. `fleet::members` decides which of them are on the ring.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, expecting = "an object with address and port")]
pub struct Registration {
    /// Host name or IP address, without a port. Consul: the node's address if the service has none.
    pub address: String,
    /// Port; 0 if none is registered.
    pub port: i64,
    /// Worst status of the health checks. Only `passing` is on the ring.
    #[serde(default = "passing")]
    pub status: String,
    /// Weight while passing.
    #[serde(default = "one")]
    pub weight: i64,
    /// Identity on the ring (Consul: the service's meta `pushring-name`). Empty: the address and the port.
    #[serde(default)]
    pub name: String,
    /// `http` or `https` (Consul: the service's meta `pushring-scheme`). Empty: that of the settings.
    #[serde(default)]
    pub scheme: String,
    /// Node that hosts the service; empty if unknown. For messages only.
    #[serde(default)]
    pub node: String,
    /// Datacenter of the registry; empty if unknown. For Prometheus only.
    #[serde(default)]
    pub datacenter: String,
    /// ID of the service, unique on its node; empty if unknown. For messages only.
    #[serde(default)]
    pub id: String,
    /// Consul's indices at which the checks of the service were created: of two registrations, the older has the lower
    /// ones. Without checks, the age is unknown.
    #[serde(default)]
    pub created: Vec<u64>,
    /// Whether it said that it leaves: then it is no member, whatever its status, and nothing remembers it.
    #[serde(default)]
    pub leaving: bool,
}

/// A list of registrations, and the reasons why entries of it could not be read; one line each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registrations {
    /// The readable ones.
    pub found: Vec<Registration>,
    /// The others.
    pub unreadable: Vec<String>,
}

/// Names the registration for a message: `<id> on <node>`, or its address if it has no ID.
impl fmt::Display for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.id.as_str() {
            "" => write!(f, "{}:{}", shown(&self.address), self.port)?,
            id => f.write_str(&shown(id))?,
        }
        if self.node.is_empty() { Ok(()) } else { write!(f, " on {}", shown(&self.node)) }
    }
}

/// Shortens and escapes a text of others for a message. consul-template's file has enough of it.
pub(crate) fn shown(text: &str) -> String {
    shortened(text, MAX_SHOWN)
}

pub(crate) fn shortened(text: &str, max: usize) -> String {
    let start: String = text.chars().take(max).collect();
    let more = if start.len() < text.len() { "…" } else { "" };
    format!("{}{more}", text::line(&start))
}

impl Registration {
    /// Returns a passing registration of an address, without a name.
    #[must_use]
    pub fn new(address: &str, port: i64) -> Self {
        Self {
            address: address.to_owned(),
            port,
            status: passing(),
            weight: one(),
            name: String::new(),
            scheme: String::new(),
            node: String::new(),
            datacenter: String::new(),
            id: String::new(),
            created: Vec::new(),
            leaving: false,
        }
    }

    pub(crate) fn is_passing(&self) -> bool {
        self.status == PASSING
    }

    pub(crate) fn pass(&mut self) {
        self.status = passing();
    }

    /// Returns a note about a status that no registry has, such as `Passing`: it was meant to be another one.
    pub(crate) fn odd_status(&self) -> Option<String> {
        let found = &self.status;
        (!STATUSES.contains(&found.as_str())).then(|| {
            format!(
                "{self}: status: found \"{}\", allowed {}; it counts as not passing",
                shown(found),
                STATUSES.join(", ")
            )
        })
    }

    /// Returns a number that is lower for an older registration, and the highest if its age is unknown.
    pub(crate) fn since(&self) -> u64 {
        self.created.iter().copied().min().unwrap_or(u64::MAX)
    }
}

impl Registrations {
    /// Parses the file that consul-template renders: `{"registrations": [{"address": "10.0.0.1", "port": 9091}]}`,
    /// with any of the other fields of [`Registration`]. Further fields next to `registrations` are ignored.
    ///
    /// # Errors
    /// The file has no such list. One bad entry is no error: it must not keep the others from the ring.
    pub fn parse(json: &str) -> Result<Self, BadInput> {
        #[derive(Deserialize)]
        #[serde(expecting = "an object with the list registrations")]
        struct Document {
            registrations: Vec<Box<RawValue>>,
        }
        let mut all = Self::default();
        let document: Document = parse::json(json).map_err(BadInput)?;
        for (index, entry) in document.registrations.into_iter().enumerate() {
            let at = format!("registrations[{index}]");
            let parsed = parse::json(entry.get()).map_err(|error| format!("{at}: {error}"));
            let parsed: Result<Registration, String> = parsed.and_then(|value| parse::value(&at, value));
            // A value has each field once; the text may have one twice.
            let parsed = parsed.and_then(|_| {
                parse::json(entry.get()).map_err(|error| format!("{at}: {error}, expected each field once"))
            });
            all.push(parsed.map_err(|error| shortened(&error, 5 * MAX_SHOWN)));
        }
        Ok(all)
    }

    pub(crate) fn push(&mut self, entry: Result<Registration, String>) {
        match entry {
            Ok(registration) => self.found.push(registration),
            Err(reason) => self.unreadable.push(reason),
        }
    }

    pub(crate) fn extend(&mut self, more: Self) {
        self.found.extend(more.found);
        self.unreadable.extend(more.unreadable);
    }
}

impl From<Vec<Registration>> for Registrations {
    fn from(found: Vec<Registration>) -> Self {
        Self { found, unreadable: Vec::new() }
    }
}

fn passing() -> String {
    PASSING.to_owned()
}

const fn one() -> i64 {
    1
}
