//! From the bytes of a request to the series that are not known to be durable.

use std::cell::RefCell;

use pushring_index::body::{self, BodyLimits, Encoding};
use pushring_index::wire::{Counts, Digests, LabelSet, SeriesError, Tenant, WireError, v1, v2};
use pushring_index::{Key, Kind, Labels, Sighting, Source};
use serde::{Deserialize, Serialize};

use super::Gateway;
use super::answer::Rejection;
use crate::config::Limits;
use crate::forward::{Rewritten, rewrite};
use crate::pipeline::Fresh;

/// Largest buffer that a thread keeps for its next request.
const KEPT: usize = 16 << 20;
/// Series that are looked up at once.
const CHUNK: usize = 1 << 14;

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

    fn reject(&mut self, position: usize, error: &dyn std::fmt::Display) {
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

/// A series in the bytes of a request.
#[derive(Clone, Copy)]
enum Series<'b> {
    V1(v1::Series<'b>),
    V2(v2::Series<'b>),
}

impl Series<'_> {
    fn check(&self) -> Result<(), SeriesError> {
        match self {
            Self::V1(series) => series.check_histograms(),
            Self::V2(series) => series.check_histograms(),
        }
    }

    fn counts(&self) -> Counts {
        match self {
            Self::V1(series) => series.counts(),
            Self::V2(series) => series.counts(),
        }
    }
}

/// A series whose raw bytes are not known.
struct Candidate<'b> {
    series: Series<'b>,
    raw: Option<Key>,
    key: Key,
}

/// The series of one request. All keys of a chunk are looked up together.
struct Work<'g, 'b> {
    gateway: &'g Gateway,
    request: Option<&'g v2::Request<'b>>,
    digests: Option<Digests>,
    origin: &'g Origin,
    limits: &'g Limits,
    tenant: Tenant,
    salt: u128,
    labels: LabelSet<'b>,
    /// With the position in the request.
    chunk: Vec<(usize, Series<'b>)>,
    found: Found,
}

impl<'g, 'b> Work<'g, 'b> {
    fn new(
        gateway: &'g Gateway,
        request: Option<&'g v2::Request<'b>>,
        origin: &'g Origin,
        limits: &'g Limits,
    ) -> Self {
        let salt = salt(Kind::Write, "", "", &origin.sender);
        let (tenant, labels) = (Tenant::new(&origin.tenant), LabelSet::new(limits.max_labels));
        let (chunk, found) = (Vec::new(), Found::default());
        let digests = request.map(Digests::new);
        Self { gateway, request, digests, origin, limits, tenant, salt, labels, chunk, found }
    }

    fn add(&mut self, series: Series<'b>) -> Result<(), Rejection> {
        let position = self.found.series as usize;
        self.found.series += 1;
        let most = self.limits.max_series_per_request;
        if self.found.series > most as u64 {
            let text = format!("the request has more than {most} series: send smaller requests");
            return Err(Rejection::bad("too many series", text));
        }
        if let Err(error) = series.check() {
            self.found.reject(position, &error);
            return Ok(());
        }
        self.chunk.push((position, series));
        if self.chunk.len() == CHUNK {
            self.look_up();
        }
        Ok(())
    }

    fn end(mut self) -> Found {
        self.look_up();
        self.found
    }

    fn look_up(&mut self) {
        let chunk = std::mem::take(&mut self.chunk);
        let raws: Vec<Option<Key>> = chunk.iter().map(|(_, series)| self.raw(series)).collect();
        let keys: Vec<Key> = raws.iter().copied().flatten().collect();
        let mut unknown = self.gateway.pipeline.unknown(&keys).into_iter().peekable();
        let (mut candidates, mut index) = (Vec::new(), 0);
        for ((position, series), raw) in chunk.into_iter().zip(raws) {
            let is_known = raw.is_some() && unknown.next_if_eq(&index).is_none();
            index += usize::from(raw.is_some());
            if is_known {
                self.found.counts += series.counts();
                continue;
            }
            match self.key(&series) {
                Ok(key) => candidates.push(Candidate { series, raw, key }),
                Err(error) => self.found.reject(position, &error),
            }
        }
        let ids: Vec<Key> = candidates.iter().map(|candidate| mixed(candidate.key, self.salt)).collect();
        let mut unknown = self.gateway.pipeline.unknown(&ids).into_iter().peekable();
        let mut same = Vec::new();
        for (index, (candidate, id)) in candidates.into_iter().zip(ids).enumerate() {
            self.found.counts += candidate.series.counts();
            if unknown.next_if_eq(&index).is_none() {
                same.extend(candidate.raw);
            } else if let Some(sighting) = self.sighting(&candidate) {
                self.found.fresh.push(Fresh { raw: candidate.raw, id, sighting });
            }
        }
        self.gateway.pipeline.know(same.into_iter());
    }

    /// Returns a name for the bytes of the labels, which are parsed only if it is not known.
    fn raw(&mut self, series: &Series<'b>) -> Option<Key> {
        let bytes = match series {
            Series::V1(series) => series.raw_labels(),
            Series::V2(series) => self.digests.as_mut()?.raw_labels(series)?,
        };
        Some(mixed(self.tenant.raw_key(bytes), self.salt))
    }

    fn read(&mut self, series: &Series<'b>) -> Result<(), SeriesError> {
        match (series, self.request) {
            (Series::V1(series), _) => series.labels(&mut self.labels),
            (Series::V2(series), Some(request)) => series.labels(request, &mut self.labels),
            (Series::V2(_), None) => Ok(()),
        }
    }

    fn key(&mut self, series: &Series<'b>) -> Result<Key, String> {
        self.read(series).map_err(|error| error.to_string())?;
        let most = self.limits.max_name_bytes;
        if let Some((name, _)) = self.labels.iter().find(|(name, _)| name.len() > most) {
            let start: String = name.chars().take(40).collect();
            return Err(format!("the name of the label {start:?}… has more than {most} bytes"));
        }
        self.tenant.key(&mut self.labels).map_err(|error| error.to_string())
    }

    /// Copies a series from the bytes of the request.
    fn sighting(&mut self, candidate: &Candidate<'b>) -> Option<Sighting> {
        self.read(&candidate.series).ok()?;
        let limits = self.limits;
        let labels = self.labels.iter();
        let labels = labels.map(|(name, value)| (name.to_owned(), limits.cut(name, value))).collect();
        let labels = Labels::new(labels).ok()?;
        let metadata = match (&candidate.series, self.request) {
            (Series::V2(series), Some(request)) => series.metadata(request).unwrap_or_default(),
            _ => self.gateway.families.of(&self.origin.tenant, labels.metric()).unwrap_or_default(),
        };
        let source = Source {
            kind: Kind::Write,
            owner: String::new(),
            job: labels.get("job").unwrap_or_default().to_owned(),
            sender: self.origin.sender.clone(),
        };
        let (tenant, key, at) = (self.origin.tenant.clone(), candidate.key, self.origin.at);
        Some(Sighting { tenant, key, labels, metadata, source, at })
    }
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
