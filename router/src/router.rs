//! A configuration made ready for requests.

use std::sync::OnceLock;

use pushring_ring::{Member as RingMember, Placement as RingPlacement, Ring, hash};

use crate::config::{Config, ConfigError, Member, Placement};
use crate::push::{self, Decoded, Group, Labels, PushPath, Target};

/// Who owns the group of a push path, as [`Router::owner_of`] finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owned<'r> {
    /// `None` without members.
    pub owner: Option<&'r Member>,
    /// The Pushgateway will refuse this path by its own 400; it goes by the decoded path.
    pub malformed: bool,
    /// A PUT or POST would make its gateway refuse every later push; the filter answers it with 400.
    pub poison: bool,
}

/// Decides requests by one configuration. Immutable; cheap to share.
#[derive(Clone, Debug)]
pub struct Router {
    pub(crate) config: Config,
    /// Made when it is first needed: Envoy takes a configuration in on its main thread and in a trial machine too, which
    /// never see a request.
    ring: OnceLock<Ring>,
    points: usize,
    /// Cluster name of each member, by index.
    pub(crate) clusters: Vec<Box<[u8]>>,
}

impl Router {
    /// Checks that the configuration makes a ring.
    ///
    /// # Errors
    /// When the points of the ring break a limit.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        let (placement, members) = placed(&config);
        let points = Ring::check(placement, &members).map_err(ConfigError::message)?;
        let cluster = |m: &Member| [config.cluster_prefix.as_bytes(), m.name.as_bytes()].concat().into();
        let clusters = config.members.iter().map(cluster).collect();
        Ok(Self { config, ring: OnceLock::new(), points, clusters })
    }

    /// [`Config::parse`], then [`Router::new`]: every check there is.
    ///
    /// # Errors
    /// The first thing that is wrong with the configuration.
    pub fn parse(json: &[u8]) -> Result<Self, ConfigError> {
        Self::new(Config::parse(json)?)
    }

    /// The configuration in force.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The ring; indices are those of `config().members`. The first call builds it.
    #[must_use]
    pub fn ring(&self) -> &Ring {
        self.ring.get_or_init(|| {
            let (placement, members) = placed(&self.config);
            // `new` has checked it. Were it refused here after all, a ring that owns nothing answers 503.
            Ring::build(placement, &members).unwrap_or_default()
        })
    }

    /// Makes the ring out of that of `previous`, by the members that changed: far less work than anew. Nothing happens where
    /// `previous` has made none or has another placement: then the first push makes it.
    pub fn follow(&self, previous: &Self) {
        let Some(ring) = previous.ring.get().filter(|_| previous.config.placement == self.config.placement)
        else {
            return;
        };
        if let Ok(ring) = ring.rebuilt(&placed(&previous.config).1, &placed(&self.config).1) {
            self.ring.get_or_init(|| ring);
        }
    }

    /// Points of the ring, counted without building it. Of dynamic-sharding a few may be at one position, of which the
    /// ring keeps one.
    #[must_use]
    pub fn points(&self) -> usize {
        self.points
    }

    /// 16 hex digits over the sorted members and every setting that decides an owner: equal digests, equal
    /// owners.
    #[must_use]
    pub fn digest(&self) -> String {
        let c = &self.config;
        let decides = (c.placement, c.route_by, &c.path_prefix, c.utf8_names, &c.members);
        // Strings, numbers and booleans always serialise.
        format!("{:016x}", hash::h(&serde_json::to_vec(&decides).unwrap_or_default()))
    }

    /// The member that owns a key; `None` without members.
    #[must_use]
    pub fn owner(&self, key: &[u8]) -> Option<&Member> {
        self.ring().owner(key).and_then(|index| self.config.members.get(index))
    }

    /// A push path (with or without a query) taken apart; `None` when it is no push path.
    #[must_use]
    pub fn group(&self, path: &[u8]) -> Option<Group> {
        let target = Target::split(path);
        let decoded = target.decode();
        let labels = self.labels(&decoded, self.push_path(target.raw, &decoded)?);
        let mut key = Vec::new();
        let piece = |piece: &[u8]| key.extend_from_slice(piece);
        push::write_key(self.config.route_by, &decoded.bytes, labels.as_ref(), piece);
        Some(Group {
            key,
            poison: labels.as_ref().is_some_and(|labels| labels.poison().is_some()),
            labels: labels
                .map(|l| l.list.into_iter().map(|(n, v)| (n.into_owned(), v.into_owned())).collect()),
        })
    }

    /// Who owns the group of a push path (with or without a query); `None` when it is no push path. Allocates nothing
    /// where [`Router::decide`] does not. A path that Go would clean has to be cleaned before ([`crate::clean_path`]).
    #[must_use]
    pub fn owner_of(&self, path: &[u8]) -> Option<Owned<'_>> {
        let target = Target::split(path);
        let decoded = target.decode();
        let labels = self.labels(&decoded, self.push_path(target.raw, &decoded)?);
        Some(Owned {
            owner: self
                .ring()
                .owner_at(self.position(&decoded, labels.as_ref()))
                .and_then(|index| self.config.members.get(index)),
            malformed: labels.is_none(),
            poison: labels.is_some_and(|labels| labels.poison().is_some()),
        })
    }

    /// Where on the ring the owner of a push is sought.
    pub(crate) fn position(&self, decoded: &Decoded<'_>, labels: Option<&Labels<'_>>) -> u64 {
        let mut hasher = self.ring().hasher();
        push::write_key(self.config.route_by, &decoded.bytes, labels, |piece| hasher.write(piece));
        hasher.finish()
    }

    /// The parts of a push path. A target that does not begin with a slash as received is none that Go would take for
    /// a path.
    pub(crate) fn push_path<'d>(&self, raw: &[u8], decoded: &'d Decoded<'_>) -> Option<PushPath<'d>> {
        PushPath::split(&decoded.bytes, &self.config.path_prefix).filter(|_| raw.starts_with(b"/"))
    }

    /// `None` when the Pushgateway would refuse the path.
    pub(crate) fn labels<'d>(&self, decoded: &'d Decoded<'_>, push: PushPath<'d>) -> Option<Labels<'d>> {
        if decoded.broken { None } else { Labels::parse(push, self.config.utf8_names) }
    }
}

/// The members as the ring sees them.
fn placed(config: &Config) -> (RingPlacement, Vec<RingMember<'_>>) {
    let placement = match config.placement {
        Placement::Ring { points } => RingPlacement::Ring { points },
        Placement::DynamicSharding => RingPlacement::DynamicSharding,
    };
    let members = config.members.iter().map(|m| RingMember { name: &m.name, weight: m.weight });
    (placement, members.collect())
}
