//! From the bytes of a request to the series that are not known to be durable.

use std::cell::RefCell;

use pushring_index::body::{self, BodyLimits, Encoding};
use pushring_index::wire::{Counts, WireError, v1, v2};
use pushring_index::{Key, Kind};
use serde::{Deserialize, Serialize};

use super::Gateway;
use super::answer::Rejection;
use super::work::{Series, Work};
use crate::config::Limits;
use crate::forward::{Rewritten, rewrite};
use crate::pipeline::Fresh;

/// Largest buffer that a thread keeps for its next request.
const KEPT: usize = 16 << 20;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The version of remote write.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub(crate) enum Version {
    V1,
    V2,
}

/// Facts about a request, apart from its series.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) tenant: String,
    pub(super) sender: String,
    /// Milliseconds since 1970.
    pub(super) at: i64,
}

/// The content of a request.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Numbers of the good series.
    pub(super) counts: Counts,
    pub(super) series: u64,
    /// The positions of the bad series.
    pub(super) bad: Vec<usize>,
    first_bad: Option<String>,
    /// The series that are not known to be durable.
    pub(super) fresh: Vec<Fresh>,
}

impl Found {
    /// Returns the fault for the sender; `None` if all series are good.
    pub(super) fn fault(&self) -> Option<String> {
        let (bad, series) = (self.bad.len(), self.series);
        let first = self.first_bad.as_ref()?;
        Some(format!("{bad} of {series} series are bad; the first: {first}"))
    }

    pub(super) fn reject(&mut self, position: usize, error: &dyn std::fmt::Display) {
        self.bad.push(position);
        self.first_bad.get_or_insert_with(|| error.to_string());
    }
}

impl Gateway {
    /// Decompresses and reads a remote write. For a target of a version, it returns another body if the target cannot take
    /// this one as it is.
    pub(super) fn decode(
        &self,
        (version, encoding): (Version, Encoding),
        bytes: &[u8],
        origin: &Origin,
        protocol: Option<u8>,
    ) -> Result<(Found, Option<Rewritten>), Rejection> {
        let limits = &self.config().limits;
        let sizes = BodyLimits { compressed: limits.max_compressed_bytes, plain: limits.max_plain_bytes };
        BUFFER.with_borrow_mut(|buffer| {
            let plain = body::decompress(encoding, bytes, sizes, buffer);
            let plain = plain.map_err(|error| Rejection::bad("body", error))?;
            let mut found = match version {
                Version::V1 => self.first(plain, origin, limits)?,
                Version::V2 => self.second(plain, origin, limits)?,
            };
            // Chunks find them in two passes.
            found.bad.sort_unstable();
            let rewritten = match protocol {
                Some(protocol) => rewrite((version, plain), (found.counts, &found.bad), protocol, limits)
                    .map_err(|error| Rejection::bad("conversion", error))?,
                None => None,
            };
            if buffer.capacity() > KEPT {
                *buffer = Vec::new();
            }
            Ok((found, rewritten))
        })
    }

    /// Reads remote write 1.0. The labels of a series whose raw bytes are known are not parsed; nor are they in 2.0.
    fn first(&self, plain: &[u8], origin: &Origin, limits: &Limits) -> Result<Found, Rejection> {
        let mut work = Work::new(self, None, origin, limits);
        let mut metadata = Vec::new();
        for entry in v1::entries(plain) {
            match entry.map_err(not_protobuf)? {
                v1::Entry::Series(series) => work.add(Series::V1(series))?,
                v1::Entry::Metadata(facts) => metadata.push((facts.family(), facts.metadata())),
            }
        }
        self.families.learn(&origin.tenant, metadata);
        Ok(work.end())
    }

    /// Reads remote write 2.0.
    fn second(&self, plain: &[u8], origin: &Origin, limits: &Limits) -> Result<Found, Rejection> {
        let request = v2::Request::new(plain).map_err(not_protobuf)?;
        let mut work = Work::new(self, Some(&request), origin, limits);
        for series in request.series() {
            work.add(Series::V2(series.map_err(not_protobuf)?))?;
        }
        Ok(work.end())
    }
}

fn not_protobuf(error: WireError) -> Rejection {
    Rejection::bad("protobuf", error)
}

/// Separates sources: a series from another owner or sender is written, too.
pub(super) fn salt(kind: Kind, owner: &str, group: &str, sender: &str) -> u128 {
    let kind = match kind {
        Kind::Push => "push",
        Kind::Write => "write",
        Kind::Put => "put",
    };
    number(Key::of_bytes(format!("{kind}\0{owner}\0{group}\0{sender}").as_bytes()))
}

/// Returns the key of a series and its source.
pub(super) fn mixed(key: Key, salt: u128) -> Key {
    Key::from_bytes((number(key) ^ salt).to_be_bytes())
}

fn number(key: Key) -> u128 {
    u128::from_be_bytes(key.to_bytes())
}
