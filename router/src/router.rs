//! A configuration, ready to decide requests.

use std::sync::OnceLock;

use pushring_ring::{Member as RingMember, Placement as RingPlacement, Ring, hash};

use crate::config::{Config, ConfigError, Member, Mirror, Mode, Placement};
use crate::push::{self, Decoded, Labels, ParsedGroup, PushPath, Target};
use crate::reply::Reply;

/// The owner of the group of a push path, from [`Router::owner_of`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PushOwner<'r> {
    /// `None` if the ring has no members.
    pub owner: Option<&'r Member>,
    /// The Pushgateway answers this path with 400. The decoded path determines the owner.
    pub malformed: bool,
    /// A PUT or POST would make the gateway reject every later push, so the filter answers it with 400.
    pub poison: bool,
}

/// Decides requests with one configuration. Immutable.
#[derive(Clone, Debug)]
pub struct Router {
    pub(crate) config: Config,
    /// Built on first use, because Envoy also loads each configuration in its main thread and in a validation VM,
    /// which never see a request.
    ring: OnceLock<Ring>,
    points: usize,
    status: OnceLock<Reply>,
    pub(crate) commit: &'static str,
    /// Cluster name of each member, by index.
    pub(crate) clusters: Vec<Box<[u8]>>,
}

impl Router {
    /// Creates a router. The ring is built by the first request.
    ///
    /// # Errors
    /// [`ConfigError`] if the ring would have more than [`pushring_ring::MAX_POINTS`] points.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        let (placement, members) = ring_members(&config);
        let points = Ring::check(placement, &members).map_err(ConfigError::from)?;
        let cluster = |m: &Member| [config.cluster_prefix.as_bytes(), m.name.as_bytes()].concat().into();
        let clusters = config.members.iter().map(cluster).collect();
        Ok(Self {
            config,
            ring: OnceLock::new(),
            points,
            status: OnceLock::new(),
            commit: "unknown",
            clusters,
        })
    }

    /// Parses a configuration with [`Config::parse`] and creates its router. This runs every check there is.
    ///
    /// # Errors
    /// [`ConfigError`] for the first problem in the configuration.
    pub fn parse(json: &[u8]) -> Result<Self, ConfigError> {
        Self::new(Config::parse(json)?)
    }

    /// Sets the commit of the build, which the status page shows next to the version. This crate does not know it, because
    /// each commit would rebuild it.
    #[must_use]
    pub fn with_commit(self, commit: &'static str) -> Self {
        Self { commit, status: OnceLock::new(), ..self }
    }

    /// Returns the configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Returns the ring, whose member indices are those of `config().members`. The first call builds it.
    #[must_use]
    pub fn ring(&self) -> &Ring {
        self.ring.get_or_init(|| {
            let (placement, members) = ring_members(&self.config);
            // `new` has checked the members. If this failed nevertheless, an empty ring would answer 503.
            Ring::build(placement, &members).unwrap_or_default()
        })
    }

    /// Returns the share of each member as [`Ring::shares`] does, without building the ring.
    #[must_use]
    pub fn shares(&self) -> Vec<f64> {
        let (placement, members) = ring_members(&self.config);
        // As in `ring`.
        Ring::shares_of(placement, &members).unwrap_or_default()
    }

    /// Returns the number of points without building the ring. A ring of dynamic-sharding may have slightly fewer,
    /// because it keeps one point per position.
    #[must_use]
    pub fn points(&self) -> usize {
        self.points
    }

    /// Returns 16 hex digits over the sorted members and every setting that influences an owner or a replica. Routers with
    /// equal digests choose equal owners and, except in redirect mode, equal mirrors.
    ///
    /// The default of `mirror` is left out, so that the digest of a ring stays as it was before this setting.
    #[must_use]
    pub fn digest(&self) -> String {
        let c = &self.config;
        let input = (c.placement, c.route_by, &c.path_prefix, c.utf8_names, &c.members);
        // Strings, numbers and booleans always serialize.
        let mut bytes = serde_json::to_vec(&input).unwrap_or_default();
        match (c.mode, c.mirror) {
            (Mode::Redirect, _) | (_, Mirror::Deletes) => {}
            (_, Mirror::None) => bytes.extend_from_slice(b"none"),
            (_, Mirror::All) => bytes.extend_from_slice(b"all"),
        }
        format!("{:016x}", hash::key_hash(&bytes))
    }

    /// Returns the ring as JSON. The first call renders it, which takes 8 ms for the largest ring.
    pub(crate) fn status(&self) -> &Reply {
        self.status.get_or_init(|| Reply::status(self))
    }

    /// Returns the member that owns a key, or `None` if there are no members.
    #[must_use]
    pub fn owner(&self, key: &[u8]) -> Option<&Member> {
        self.ring().owner(key).and_then(|index| self.config.members.get(index))
    }

    /// Parses a push path, with or without a query. Returns `None` for any other path.
    #[must_use]
    pub fn group(&self, path: &[u8]) -> Option<ParsedGroup> {
        let target = Target::split(path);
        let decoded = push::decode(target.raw);
        let labels = self.labels(&decoded, self.push_path(target.raw, &decoded)?);
        let mut key = Vec::new();
        let append = |piece: &[u8]| key.extend_from_slice(piece);
        push::write_key(self.config.route_by, &decoded.bytes, labels.as_ref(), append);
        Some(ParsedGroup {
            key,
            poison: labels.as_ref().is_some_and(|labels| labels.poison().is_some()),
            labels: labels
                .map(|l| l.list.into_iter().map(|(n, v)| (n.into_owned(), v.into_owned())).collect()),
        })
    }

    /// Returns the owner of the group of a push path, with or without a query, or `None` for any other path.
    ///
    /// Allocates no more than [`Router::decide`] does. The path must be clean: see [`crate::clean_path`].
    #[must_use]
    pub fn owner_of(&self, path: &[u8]) -> Option<PushOwner<'_>> {
        let target = Target::split(path);
        let decoded = push::decode(target.raw);
        let labels = self.labels(&decoded, self.push_path(target.raw, &decoded)?);
        let index = self.ring().owner_at(self.key_position(&decoded, labels.as_ref()));
        Some(PushOwner {
            owner: index.and_then(|index| self.config.members.get(index)),
            malformed: labels.is_none(),
            poison: labels.is_some_and(|labels| labels.poison().is_some()),
        })
    }

    /// Returns the position of a push on the ring.
    pub(crate) fn key_position(&self, decoded: &Decoded<'_>, labels: Option<&Labels<'_>>) -> u64 {
        let mut hasher = self.ring().hasher();
        push::write_key(self.config.route_by, &decoded.bytes, labels, |piece| hasher.write(piece));
        hasher.finish()
    }

    /// Splits a push path. Go takes a target for a path only if it starts with a slash as received.
    pub(crate) fn push_path<'d>(&self, raw: &[u8], decoded: &'d Decoded<'_>) -> Option<PushPath<'d>> {
        PushPath::split(&decoded.bytes, &self.config.path_prefix).filter(|_| raw.starts_with(b"/"))
    }

    /// Parses the labels. Returns `None` if the Pushgateway answers this path with 400.
    pub(crate) fn labels<'d>(&self, decoded: &'d Decoded<'_>, push: PushPath<'d>) -> Option<Labels<'d>> {
        if decoded.broken { None } else { Labels::parse(push, self.config.utf8_names) }
    }
}

/// Converts placement and members to the types of the ring.
fn ring_members(config: &Config) -> (RingPlacement, Vec<RingMember<'_>>) {
    let placement = match config.placement {
        Placement::Ring { points } => RingPlacement::Ring { points },
        Placement::DynamicSharding => RingPlacement::DynamicSharding,
    };
    let members = config.members.iter().map(|m| RingMember { name: &m.name, weight: m.weight });
    (placement, members.collect())
}
