//! Requests and answers of etcd's JSON gateway: the JSON form of its protobuf messages, where numbers of 64 bits are texts,
//! bytes are base64, and fields with their default are absent.

use base64::prelude::{BASE64_STANDARD, Engine};
use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// The part of each answer that describes the store.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Header {
    #[serde(deserialize_with = "number")]
    pub(crate) cluster_id: u64,
    /// The revision of the store at the time of the answer.
    #[serde(deserialize_with = "number")]
    pub(crate) revision: u64,
}

/// A key, and its value unless it was deleted.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct KeyValue {
    #[serde(deserialize_with = "bytes")]
    pub(crate) key: Vec<u8>,
    #[serde(deserialize_with = "bytes")]
    pub(crate) value: Vec<u8>,
    /// The revision that created the key.
    #[serde(deserialize_with = "number")]
    pub(crate) create_revision: u64,
    /// The revision of the last change.
    #[serde(deserialize_with = "number")]
    pub(crate) mod_revision: u64,
    /// The lease that ends it; 0: none.
    #[serde(deserialize_with = "number")]
    pub(crate) lease: u64,
}

/// The answer of `kv/range`.
#[derive(Debug, Deserialize)]
pub(crate) struct Page {
    pub(crate) header: Header,
    #[serde(default)]
    pub(crate) kvs: Vec<KeyValue>,
    /// Whether there are further keys.
    #[serde(default)]
    pub(crate) more: bool,
}

/// The answer of `lease/grant`, and in the stream of `lease/keepalive`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Lease {
    #[serde(rename = "ID", deserialize_with = "number")]
    pub(crate) id: u64,
    /// Seconds; 0: etcd does not know the lease.
    #[serde(rename = "TTL", deserialize_with = "number")]
    pub(crate) ttl: u64,
}

/// A line of the stream of `watch`, and of `lease/keepalive`.
#[derive(Debug, Deserialize)]
pub(crate) struct Line<T> {
    pub(crate) result: Option<T>,
    pub(crate) error: Option<StreamError>,
}

/// An error in a stream, whose HTTP status was sent before.
#[derive(Debug, Deserialize)]
pub(crate) struct StreamError {
    pub(crate) message: String,
}

/// A message of a watch.
#[derive(Debug, Deserialize)]
pub(crate) struct WatchMessage {
    pub(crate) header: Header,
    /// The first message.
    #[serde(default)]
    pub(crate) created: bool,
    /// The last message.
    #[serde(default)]
    pub(crate) canceled: bool,
    #[serde(default)]
    pub(crate) cancel_reason: String,
    /// Not 0: the changes from the requested revision to this one are no longer stored.
    #[serde(default, deserialize_with = "number")]
    pub(crate) compact_revision: u64,
    /// Whether the next message has more events of the same moment.
    #[serde(default)]
    pub(crate) fragment: bool,
    #[serde(default)]
    pub(crate) events: Vec<Event>,
}

/// A change of a key.
#[derive(Debug, Deserialize)]
pub(crate) struct Event {
    #[serde(default, rename = "type")]
    pub(crate) kind: EventKind,
    pub(crate) kv: KeyValue,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum EventKind {
    #[default]
    Put,
    Delete,
}

/// Encodes bytes of a request.
pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64_STANDARD.encode(bytes)
}

/// Returns the key after all keys with a prefix, the `range_end` of a request for them.
pub(crate) fn end_of(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    // A prefix of ours ends with a slash, never with 0xff.
    if let Some(last) = end.last_mut() {
        *last = last.saturating_add(1);
    }
    end
}

pub(crate) fn number<'de, D: Deserializer<'de>>(text: D) -> Result<u64, D::Error> {
    String::deserialize(text)?.parse().map_err(D::Error::custom)
}

pub(crate) fn bytes<'de, D: Deserializer<'de>>(text: D) -> Result<Vec<u8>, D::Error> {
    BASE64_STANDARD.decode(String::deserialize(text)?).map_err(D::Error::custom)
}
