//! Sightings, merged and made ready for the statements: the work that needs no database, done before its lock is taken.

use std::collections::{BTreeMap, HashMap};

use pushring_index::{Key, Kind, Labels, METRIC_NAME, Metadata, Sighting, Source};

/// The sightings of one transaction, by tenant.
pub(super) struct Batch {
    pub(super) tenants: BTreeMap<String, Tenant>,
}

/// The series of one tenant, each once, sorted by key.
#[derive(Default)]
pub(super) struct Tenant {
    pub(super) series: Vec<Seen>,
    pub(super) labels: Vec<Label>,
    pub(super) sources: Vec<Origin>,
}

/// A series that was seen.
pub(super) struct Seen {
    pub(super) key: [u8; 16],
    /// As the table has them.
    pub(super) json: String,
    /// All labels, as indices of [`Tenant::labels`].
    pub(super) labels: Vec<usize>,
    pub(super) metric: usize,
    pub(super) job: Option<usize>,
    pub(super) metadata: Metadata,
    pub(super) times: Times,
    /// Indices of [`Tenant::sources`].
    pub(super) sources: BTreeMap<usize, Times>,
}

/// The first and the last time of something, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Times {
    pub(super) first: i64,
    pub(super) last: i64,
}

pub(super) struct Label {
    pub(super) hash: [u8; 16],
    pub(super) name: String,
    pub(super) value: String,
}

pub(super) struct Origin {
    pub(super) hash: [u8; 16],
    pub(super) source: Source,
}

impl Batch {
    pub(super) fn new(sightings: &[Sighting]) -> Self {
        let mut builders: BTreeMap<&str, Builder<'_>> = BTreeMap::new();
        for sighting in sightings {
            builders.entry(&sighting.tenant).or_default().add(sighting);
        }
        Self {
            tenants: builders
                .into_iter()
                .map(|(tenant, builder)| (tenant.to_owned(), builder.build()))
                .collect(),
        }
    }
}

/// Maps texts that repeat in a batch to their place in its lists.
#[derive(Default)]
struct Builder<'s> {
    series: BTreeMap<(Key, &'s Labels), Seen>,
    labels: HashMap<(&'s str, &'s str), usize>,
    sources: HashMap<&'s Source, usize>,
    tenant: Tenant,
}

impl<'s> Builder<'s> {
    fn add(&mut self, sighting: &'s Sighting) {
        let times = Times { first: sighting.at, last: sighting.at };
        let source = self.source(&sighting.source);
        if let Some(seen) = self.series.get_mut(&(sighting.key, &sighting.labels)) {
            seen.times.extend(times);
            seen.metadata.extend(&sighting.metadata);
            seen.sources.entry(source).or_insert(times).extend(times);
            return;
        }
        let labels: Vec<_> = sighting.labels.iter().map(|(name, value)| self.label(name, value)).collect();
        let seen = Seen {
            key: sighting.key.to_bytes(),
            json: json(&sighting.labels),
            labels,
            metric: self.label(METRIC_NAME, sighting.labels.metric()),
            job: sighting.labels.get("job").map(|job| self.label("job", job)),
            metadata: sighting.metadata.clone(),
            times,
            sources: BTreeMap::from([(source, times)]),
        };
        self.series.insert((sighting.key, &sighting.labels), seen);
    }

    fn label(&mut self, name: &'s str, value: &'s str) -> usize {
        *self.labels.entry((name, value)).or_insert_with(|| {
            let label =
                Label { hash: hash(&[name, value], 0), name: name.to_owned(), value: value.to_owned() };
            self.tenant.labels.push(label);
            self.tenant.labels.len() - 1
        })
    }

    fn source(&mut self, source: &'s Source) -> usize {
        *self.sources.entry(source).or_insert_with(|| {
            let hash = hash(&[kind(source.kind), &source.owner, &source.job, &source.sender], 0);
            self.tenant.sources.push(Origin { hash, source: source.clone() });
            self.tenant.sources.len() - 1
        })
    }

    fn build(mut self) -> Tenant {
        self.tenant.series = self.series.into_values().collect();
        self.tenant
    }
}

impl Times {
    pub(super) fn extend(&mut self, other: Self) {
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }
}

trait Extend {
    fn extend(&mut self, later: &Self);
}

impl Extend for Metadata {
    /// Takes over what the later facts know.
    fn extend(&mut self, later: &Self) {
        let fields =
            [(&mut self.kind, &later.kind), (&mut self.unit, &later.unit), (&mut self.help, &later.help)];
        for (ours, theirs) in fields {
            if !theirs.is_empty() {
                ours.clone_from(theirs);
            }
        }
    }
}

/// Returns the name of a protocol, as the table has it.
pub(super) fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Push => "push",
        Kind::Write => "write",
        Kind::Put => "put",
    }
}

/// Hashes texts. XXH3 resists no attacker: a hash that belongs to other texts in the table is found by comparing them, and the
/// next `attempt` gives another hash.
pub(super) fn hash(texts: &[&str], attempt: u64) -> [u8; 16] {
    let mut bytes = Vec::with_capacity(128);
    for text in texts {
        bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }
    if attempt > 0 {
        bytes.extend_from_slice(&attempt.to_be_bytes());
    }
    Key::of_bytes(&bytes).to_bytes()
}

/// Returns labels as a JSON object with sorted names.
pub(super) fn json(labels: &Labels) -> String {
    let mut serializer = serde_json::Serializer::new(Vec::with_capacity(512));
    // Maps of strings have no error, nor has writing to a vector.
    let _: Result<(), serde_json::Error> = serde::Serializer::collect_map(&mut serializer, labels.iter());
    String::from_utf8(serializer.into_inner()).unwrap_or_default()
}
