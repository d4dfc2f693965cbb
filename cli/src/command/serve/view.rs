//! The merged picture of a fleet, from one reading: what one Pushgateway with all these groups would hold. `/metrics`, the
//! API and the page are rendered from it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use prost::bytes::Bytes;
use serde_json::value::RawValue;

use crate::fleet::source::Fleet;
use crate::gateway::api::Labels;
use crate::reason::Reason;

/// The fleet at one moment. Indices of gateways refer to [`FleetView::gateways`].
#[derive(Debug)]
pub(super) struct FleetView {
    /// Settings, members and the ring.
    pub(super) fleet: Arc<Fleet>,
    /// Why the members cannot be read now; then the last ones count.
    pub(super) fleet_error: Option<String>,
    /// Begin of the reading, by our clock.
    pub(super) read_at: Timestamp,
    pub(super) took: Duration,
    /// The members in the order of the ring's indices, then registered gateways that are not on the ring.
    pub(super) gateways: Vec<GatewayView>,
    /// Sorted by labels; each group once.
    pub(super) groups: Vec<GroupView>,
    /// Families that do not fit together, and are left out of `/metrics`.
    pub(super) conflicts: Vec<Conflict>,
}

#[derive(Debug)]
pub(super) struct GatewayView {
    pub(super) name: String,
    pub(super) address: String,
    pub(super) on_ring: bool,
    pub(super) state: GatewayState,
    /// Start of its process, by our clock.
    pub(super) started: Option<Timestamp>,
    /// Number of groups that it holds, stale ones included.
    pub(super) groups: usize,
    pub(super) took: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum GatewayState {
    Up,
    /// Its `/metrics` answers 500 with this error, because of one of its groups; its groups are those of its API.
    Poisoned(String),
    /// It cannot be read, for this reason.
    Down(String),
}

/// One group, from all gateways that hold it.
#[derive(Debug)]
pub(super) struct GroupView {
    pub(super) labels: Labels,
    /// Push path, with the prefix; a DELETE of it through Envoy deletes the group. `None`: no path produces these labels.
    pub(super) path: Option<String>,
    pub(super) owner: Option<usize>,
    /// The gateway that pushes are mirrored to, with `mirror: all`.
    pub(super) replica: Option<usize>,
    /// All gateways that hold the group, ascending.
    pub(super) copies: Vec<CopyView>,
    /// The families that count, by name, with the two that a Pushgateway adds (`push_time_seconds` and
    /// `push_failure_time_seconds`). Empty: every copy is stale, and the group was deleted on its owner.
    pub(super) families: Vec<FamilyView>,
    /// The last accepted push, by our clock. `None`: never, or unknown.
    pub(super) pushed: Option<Timestamp>,
    /// The last rejected push, by our clock. `None`: never, or unknown.
    pub(super) rejected: Option<Timestamp>,
    /// Why the labels or the owner are not certain.
    pub(super) doubt: Option<Reason>,
}

/// The group on one gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CopyView {
    pub(super) on: usize,
    /// The last accepted push, by our clock.
    pub(super) pushed: Option<Timestamp>,
    /// Whether at least one family of it is shown.
    pub(super) shown: bool,
}

/// A family of a group, from the copy that counts.
#[derive(Debug)]
pub(super) struct FamilyView {
    pub(super) name: Arc<str>,
    /// As in the gateway's API, such as `COUNTER`.
    pub(super) kind: &'static str,
    /// The `# HELP` text.
    pub(super) help: Option<Arc<str>>,
    /// Its last push, by the clock of its gateway.
    pub(super) time_stamp: Timestamp,
    /// The gateway that it comes from.
    pub(super) on: usize,
    pub(super) source: Source,
    /// The encoded `io.prometheus.client.Metric` messages; see [`super::metric`].
    pub(super) metrics: Vec<Bytes>,
    /// The metrics as the gateway's API lists them; only in a reading for the API or the page.
    pub(super) json: Option<Box<RawValue>>,
    /// The `# HELP` text of this group there; the exposition has one for all groups of a gateway.
    pub(super) listed_help: Option<Arc<str>>,
    /// Whether `/metrics` omits it, or some of its metrics, because of a conflict.
    pub(super) conflicts: bool,
}

/// The relation of the gateway that a family comes from to its group; that of the owner, if it holds the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    Owner,
    /// The first successor of the owner, with `mirror: all`.
    Replica,
    /// A former owner, or a successor in endpoint mode.
    Former,
    /// The owner is unknown.
    Unknown,
}

impl Source {
    pub(super) const ALL: [Self; 4] = [Self::Owner, Self::Replica, Self::Former, Self::Unknown];

    /// Returns the label value of the metrics.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Replica => "replica",
            Self::Former => "former",
            Self::Unknown => "unknown",
        }
    }
}

/// Families or series that one Pushgateway would not hold together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Conflict {
    pub(super) family: String,
    /// Text for people.
    pub(super) reason: Reason,
    /// Indices of groups whose metrics are left out, at most [`Conflict::MOST`].
    pub(super) groups: Vec<usize>,
    /// Number of groups whose metrics are left out.
    pub(super) left_out: usize,
}

impl Conflict {
    pub(super) const MOST: usize = 10;
}

impl GroupView {
    /// Returns the source of the group: that of most relevance, if its families come from several gateways.
    pub(super) fn source(&self) -> Option<Source> {
        self.families.iter().map(|family| family.source).max()
    }
}

impl FleetView {
    /// Returns whether the members and at least one of them can be read.
    pub(super) fn is_good(&self) -> bool {
        self.fleet_error.is_none() && !self.is_blind()
    }

    /// Returns whether nothing of any gateway could be read, although there are gateways.
    pub(super) fn is_blind(&self) -> bool {
        let mut states = self.gateways.iter().map(|gateway| &gateway.state);
        !self.gateways.is_empty() && states.all(|state| matches!(state, GatewayState::Down(_)))
    }
}
