//! Reads one gateway: its clock, its metrics in protobuf, and its API as far as needed.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::ensure;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::grouping::Grouping;
use super::held::{self, HeldGroup};
use super::metric;
use crate::gateway::api::StoredGroup;
use crate::gateway::client::{Gateway, Scrape, Status};
use crate::gateway::clock::Clock;
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
    /// Groups and times of families.
    Times,
    /// The metrics in JSON, too.
    Everything,
}

/// The answers of one gateway.
#[derive(Debug)]
pub(super) struct GatewayRead {
    pub(super) status: Status,
    pub(super) contents: Contents,
    pub(super) took: Duration,
}

#[derive(Debug)]
pub(super) enum Contents {
    /// Its metrics; its API was not asked.
    Exposed(Vec<Family>),
    /// Its groups, by both or by its metrics alone.
    Groups(Vec<HeldGroup>),
    /// Its `/metrics` answers 500 with this error; its groups are those of its API.
    Poisoned(String, Vec<HeldGroup>),
}

/// The metrics of a family in the API.
#[derive(Debug)]
pub(super) struct Listed {
    /// The [`metric::key`] of each.
    pub(super) keys: Vec<Box<[u8]>>,
    pub(super) json: Option<Box<RawValue>>,
}

/// Reads a gateway in this time; its API only if it is needed.
///
/// # Errors
/// It does not answer, or neither its `/metrics` nor its API does, or it restarted in between.
pub(super) fn read(gateway: &Gateway, api: Option<Api>, time: Duration) -> anyhow::Result<GatewayRead> {
    let began = Instant::now();
    let left = || time.saturating_sub(began.elapsed()).max(Duration::from_millis(1));
    let status = gateway.clone().within(time).status()?;
    // First the API: a push that comes between makes the time of a value older than the value, never newer. A newer time
    // would make an old value count. Half of the time, so that an API that hangs costs only itself.
    let grouping = api.map(|api| grouping(gateway, api, &status.clock, left() / 2));
    let contents = match gateway.clone().within(left()).scrape()? {
        Scrape::Exposition(answer) => {
            let families = families(*answer).collect::<anyhow::Result<Vec<Family>>>()?;
            match grouping {
                None => Contents::Exposed(families),
                Some(grouping) => Contents::Groups(grouping.finish(&families)),
            }
        }
        Scrape::Poisoned(error) => {
            let mut groups = Vec::new();
            list(gateway, Api::Everything, left() / 2, |group| groups.push(held::from_api(group)))?;
            Contents::Poisoned(error, groups)
        }
    };
    // A process that started in between lacks groups without a deletion: its contents are not those of the first one.
    let process = gateway.clone().within(left()).status()?.start_time;
    ensure!(process == status.start_time, "it restarted while it was read");
    Ok(GatewayRead { status, contents, took: began.elapsed() })
}

/// Begins with the API of a gateway, or with nothing if it cannot be read in this time.
fn grouping(gateway: &Gateway, api: Api, clock: &Clock, time: Duration) -> Grouping {
    let now = clock.theirs(Timestamp::now());
    let mut grouping = Grouping::with_api(now.checked_sub(clock.error()).unwrap_or(now));
    let listed = list(gateway, api, time, |group| grouping.list(group));
    listed.map_or_else(|_| Grouping::default(), |()| grouping)
}

fn list(
    gateway: &Gateway,
    api: Api,
    time: Duration,
    mut take: impl FnMut(StoredGroup<Listed>),
) -> anyhow::Result<()> {
    let gateway = gateway.clone().within(time);
    match api {
        Api::Times => gateway.each_group(|group| take(group.map(|Times(keys)| Listed { keys, json: None }))),
        Api::Everything => gateway.each_group(|group| take(group.map(|Everything(listed)| listed))),
    }
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
