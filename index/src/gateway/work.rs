//! The series of one request: which of them are not known to be durable.

use pushring_index::wire::{Counts, Digests, LabelSet, SeriesError, Tenant, v1, v2};
use pushring_index::{Key, Kind, Labels, Sighting, Source};

use super::Gateway;
use super::answer::Rejection;
use super::decode::{Found, Origin, mixed, salt};
use crate::config::Limits;
use crate::pipeline::Fresh;

/// Series that are looked up at once: enough to wait for the memory of many keys at the same time, few enough to stay in the
/// cache of the processor.
const CHUNK: usize = 1 << 10;

/// A series in the bytes of a request.
#[derive(Clone, Copy)]
pub(super) enum Series<'b> {
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

/// A series that waits for its lookup.
struct Item<'b> {
    /// In the request.
    position: usize,
    series: Series<'b>,
    /// A name for the bytes of the labels, which are parsed only if it is not known.
    raw: Option<Key>,
}

/// A series whose raw bytes are not known.
struct Candidate<'b> {
    series: Series<'b>,
    raw: Option<Key>,
    key: Key,
}

/// The series of one request. All keys of a chunk are looked up together.
pub(super) struct Work<'g, 'b> {
    gateway: &'g Gateway,
    request: Option<&'g v2::Request<'b>>,
    digests: Option<Digests>,
    origin: &'g Origin,
    limits: &'g Limits,
    tenant: Tenant,
    salt: u128,
    labels: LabelSet<'b>,
    chunk: Vec<Item<'b>>,
    found: Found,
}

impl<'g, 'b> Work<'g, 'b> {
    pub(super) fn new(
        gateway: &'g Gateway,
        request: Option<&'g v2::Request<'b>>,
        origin: &'g Origin,
        limits: &'g Limits,
    ) -> Self {
        let salt = salt(Kind::Write, "", "", &origin.sender);
        let (tenant, labels) = (Tenant::new(&origin.tenant), LabelSet::new(limits.max_labels));
        let (chunk, found) = (Vec::with_capacity(CHUNK), Found::default());
        let digests = request.map(Digests::new);
        Self { gateway, request, digests, origin, limits, tenant, salt, labels, chunk, found }
    }

    pub(super) fn add(&mut self, series: Series<'b>) -> Result<(), Rejection> {
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
        let raw = self.raw(&series);
        self.chunk.push(Item { position, series, raw });
        if self.chunk.len() == CHUNK {
            self.look_up();
        }
        Ok(())
    }

    pub(super) fn end(mut self) -> Found {
        self.look_up();
        self.found
    }

    fn look_up(&mut self) {
        let mut chunk = std::mem::take(&mut self.chunk);
        let keys: Vec<Key> = chunk.iter().filter_map(|item| item.raw).collect();
        let mut unknown = self.gateway.pipeline.unknown(&keys).into_iter().peekable();
        let (mut candidates, mut index) = (Vec::new(), 0);
        for Item { position, series, raw } in chunk.drain(..) {
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
        self.chunk = chunk;
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
