//! The filter's metrics: their names, and the number that each host keeps an id at.

use crate::reply::ReplyKind;

/// The gauge of the members of the ring in force.
pub const MEMBERS_GAUGE: &str = "pushring_members";
/// The gauge of the points of the ring in force.
pub const POINTS_GAUGE: &str = "pushring_points";

/// A counter of the filter. A push that is routed without a problem touches none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// Configurations that were accepted.
    ConfigAccepted,
    /// Configurations that were rejected.
    ConfigRejected,
    /// Pushes that would make their gateway reject every later push.
    PoisonRefused,
    /// Push paths that their Pushgateway will reject.
    UnparsablePaths,
    /// Requests that the filter answered.
    Replies(ReplyKind),
}

impl Counter {
    /// The number of counters.
    pub const COUNT: usize = 4 + ReplyKind::ALL.len();

    /// Returns all counters, in the order of [`Counter::index`].
    #[must_use]
    pub fn all() -> [Self; Self::COUNT] {
        let first = [Self::ConfigAccepted, Self::ConfigRejected, Self::PoisonRefused, Self::UnparsablePaths];
        let mut all = first.into_iter().chain(ReplyKind::ALL.map(Self::Replies));
        std::array::from_fn(|_| all.next().unwrap_or(Self::ConfigAccepted))
    }

    /// Returns its position in an array of [`Counter::COUNT`] ids.
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::ConfigAccepted => 0,
            Self::ConfigRejected => 1,
            Self::PoisonRefused => 2,
            Self::UnparsablePaths => 3,
            Self::Replies(kind) => 4 + kind as usize,
        }
    }

    /// Returns its name in Envoy's statistics.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::ConfigAccepted => "pushring_config_accepted".to_owned(),
            Self::ConfigRejected => "pushring_config_rejected".to_owned(),
            Self::PoisonRefused => "pushring_poison_refused".to_owned(),
            Self::UnparsablePaths => "pushring_unparsable_paths".to_owned(),
            Self::Replies(kind) => format!("pushring_replies_{}", kind.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Counter;

    #[test]
    fn every_counter_has_its_own_name_and_position() {
        let names: std::collections::BTreeSet<_> = Counter::all().map(Counter::name).into();
        assert_eq!(names.len(), Counter::COUNT);
        assert_eq!(Counter::all().map(Counter::index), std::array::from_fn(|position| position));
    }
}
