//! Reads one gateway: its clock, its metrics in protobuf, and its API as far as needed.

use std::fmt;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::metric;
use crate::gateway::api::StoredGroup;
use crate::gateway::client::{Gateway, Scrape, Status};
use crate::gateway::exposition::{Family, families};
use crate::memory;
use crate::parse;

/// The part of the gateways' answers that a request needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// The metrics.
    Values,
    /// All that the API reports, too.
    Full,
}

/// How much of the API is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Api {
    Nothing,
    /// Groups and times of families.
    Times,
    /// The metrics in JSON, too.
    Everything,
}

/// The answers of one gateway.
#[derive(Debug)]
pub(super) struct GatewayRead {
    pub(super) status: Status,
    pub(super) exposed: Exposed,
    /// Its API; `None`: not asked. An error is the reason why there is no answer.
    pub(super) listed: Option<Result<Listing, String>>,
    pub(super) took: Duration,
}

#[derive(Debug)]
pub(super) enum Exposed {
    Families(Vec<Family>),
    /// It answers 500 with this error.
    Poisoned(String),
}

pub(super) type Listing = Vec<StoredGroup<Listed>>;

/// The metrics of a family in the API.
#[derive(Debug)]
pub(super) struct Listed {
    /// The [`metric::key`] of each.
    pub(super) keys: Vec<Box<[u8]>>,
    pub(super) json: Option<Box<RawValue>>,
}

/// Reads a gateway in this time.
///
/// # Errors
/// It does not answer, or neither its `/metrics` nor its API does.
pub(super) fn read(gateway: &Gateway, api: Api, time: Duration) -> anyhow::Result<GatewayRead> {
    let began = Instant::now();
    let left = || time.saturating_sub(began.elapsed()).max(Duration::from_millis(1));
    let status = gateway.clone().within(time).status()?;
    let exposed = match gateway.clone().within(left()).scrape()? {
        Scrape::Exposition(answer) => Exposed::Families(families(*answer).collect::<anyhow::Result<_>>()?),
        Scrape::Poisoned(error) => Exposed::Poisoned(error),
    };
    let api = if matches!(exposed, Exposed::Poisoned(_)) { Api::Everything } else { api };
    let listed = match list(gateway, api, left() / 2) {
        Some(Err(error)) if matches!(exposed, Exposed::Poisoned(_)) => return Err(error),
        listed => listed.map(|listed| listed.map_err(|error| format!("{error:#}"))),
    };
    Ok(GatewayRead { status, exposed, listed, took: began.elapsed() })
}

/// Reads the API of a gateway in this time; half of the time that is left, so that an API that hangs costs only itself.
pub(super) fn list(gateway: &Gateway, api: Api, time: Duration) -> Option<anyhow::Result<Listing>> {
    let gateway = gateway.clone().within(time);
    match api {
        Api::Nothing => None,
        Api::Times => Some(
            gateway
                .groups_with::<Times>()
                .map(|groups| with(groups, |Times(keys)| Listed { keys, json: None })),
        ),
        Api::Everything => {
            Some(gateway.groups_with::<Everything>().map(|groups| with(groups, |Everything(listed)| listed)))
        }
    }
}

fn with<M, L>(groups: Vec<StoredGroup<M>>, convert: impl Fn(M) -> L + Copy) -> Vec<StoredGroup<L>> {
    groups.into_iter().map(|group| group.map(convert)).collect()
}

/// The keys of the metrics in a list.
struct Times(Vec<Box<[u8]>>);

impl<'de> Deserialize<'de> for Times {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let metrics = Vec::<Labeled>::deserialize(deserializer)?;
        Ok(Self(metrics.into_iter().map(|metric| metric.labels.0).collect()))
    }
}

struct Everything(Listed);

impl<'de> Deserialize<'de> for Everything {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Box::<RawValue>::deserialize(deserializer)?;
        memory::charge(json.get().len()).map_err(D::Error::custom)?;
        let Times(keys) = parse::json(json.get()).map_err(D::Error::custom)?;
        Ok(Self(Listed { keys, json: Some(json) }))
    }
}

#[derive(Deserialize)]
struct Labeled {
    labels: Key,
}

/// The key of an object of labels.
struct Key(Box<[u8]>);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(KeyVisitor)
    }
}

struct KeyVisitor;

impl<'de> Visitor<'de> for KeyVisitor {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Key, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry::<String, String>()? {
            pairs.push(pair);
        }
        pairs.sort_unstable();
        let key = metric::key(pairs.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())));
        memory::charge(key.len() + size_of::<Box<[u8]>>()).map_err(A::Error::custom)?;
        Ok(Key(key))
    }
}
