//! A series that passed the ingress: the unit that moves from the gateway to the catalogue.

use serde::{Deserialize, Serialize};

use crate::{Key, Labels};

/// A series, seen in one request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sighting {
    /// Empty if the sender named none.
    pub tenant: String,
    /// The key of tenant and labels.
    pub key: Key,
    /// All labels, also of a series that the catalogue knows.
    pub labels: Labels,
    /// Facts about the metric, if the request had them.
    pub metadata: Metadata,
    /// Origin of the request.
    pub source: Source,
    /// Time of the request in milliseconds since 1970, by the clock of the gateway.
    pub at: i64,
}

/// Facts about a metric; an empty string is unknown.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Metadata {
    /// Type as in the text format: `counter`, `gauge`, `histogram`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// Unit of the values.
    pub unit: String,
    /// Help text.
    pub help: String,
}

/// Origin of a series.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Source {
    /// The protocol.
    pub kind: Kind,
    /// For a push, the pushgateway that owns its group (the member's name on the ring); else empty.
    pub owner: String,
    /// For a push, its group as labels of the path (`job="backup",instance="a"`); else the label `job` of the series.
    pub job: String,
    /// Address of the client, or the name that it gives itself.
    pub sender: String,
}

/// A protocol that brings series.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A push to a pushgateway, mirrored by Envoy.
    Push,
    /// A remote write.
    Write,
    /// A put of OpenTSDB.
    Put,
}
