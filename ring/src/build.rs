//! From a set of members to a ring: the limits, and the order of names.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use crate::points::{self, Points};
use crate::{Member, Placement, Ring};

/// Most members of one ring.
pub const MEMBERS_MAX: usize = 1024;
/// Largest weight of a member.
pub const WEIGHT_MAX: u32 = 100;
/// Most points per unit of weight of [`Placement::Ring`].
pub const POINTS_PER_WEIGHT_MAX: u32 = 4096;
/// Most points of one ring: 11 to 12 bytes each, so 50 MB in every Envoy worker, and as much again after a reload.
pub const POINTS_MAX: usize = 4_194_304;
/// Points of each member in [`Placement::DynamicSharding`].
pub const DYNAMIC_SHARDING_POINTS: u32 = 500;

const _: () = assert!(MEMBERS_MAX <= 1 << 16, "a member index is kept in 16 bits");
const _: () = assert!(MEMBERS_MAX * DYNAMIC_SHARDING_POINTS as usize <= POINTS_MAX);

/// Why a ring could not be built. Indices are those of the slice given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuildError {
    /// More than [`MEMBERS_MAX`] members.
    Members {
        /// How many were given.
        found: usize,
    },
    /// A weight outside 1..=[`WEIGHT_MAX`], or not 1 where the placement knows no weights.
    Weight {
        /// Whose weight.
        index: usize,
        /// The weight given.
        found: u32,
        /// The largest weight allowed.
        max: u32,
    },
    /// Points per weight outside 1..=[`POINTS_PER_WEIGHT_MAX`].
    PointsPerWeight {
        /// What was given.
        found: u32,
    },
    /// More than [`POINTS_MAX`] points over all members.
    Points {
        /// How many it would have been.
        found: u64,
    },
    /// Two members of one name.
    DuplicateName {
        /// The later of the two.
        index: usize,
        /// The earlier of the two.
        first: usize,
    },
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Members { found } => {
                write!(f, "members: found {found} members, allowed at most {MEMBERS_MAX}")
            }
            Self::Weight { index, found, max: 1 } => write!(
                f,
                "members[{index}].weight: found {found}, allowed only 1: placement dynamic-sharding knows no weights"
            ),
            Self::Weight { index, found, max } => {
                write!(f, "members[{index}].weight: found {found}, allowed 1 to {max}")
            }
            Self::PointsPerWeight { found } => {
                write!(f, "placement.points: found {found}, allowed 1 to {POINTS_PER_WEIGHT_MAX}")
            }
            Self::Points { found } => write!(
                f,
                "placement.points: found {found} points over all members (points x weight), \
                 allowed at most {POINTS_MAX}; lower placement.points or the weights"
            ),
            Self::DuplicateName { index, first } => write!(
                f,
                "members[{index}].name: found the name of members[{first}] again; names must be unique"
            ),
        }
    }
}

impl core::error::Error for BuildError {}

impl Ring {
    /// Builds the ring of a set of members. The order of `members` decides nothing but the indices that
    /// lookups answer. No members give an empty ring that owns nothing.
    ///
    /// # Errors
    /// [`BuildError`], when a limit is broken or a name repeats.
    pub fn build(placement: Placement, members: &[Member<'_>]) -> Result<Self, BuildError> {
        limits(placement, members)?;
        let by_name = sorted_by_name(members)?;
        let points = Points::new(placement, members, &by_name);
        Ok(Self { placement, members: members.len(), points })
    }

    /// Whether [`Ring::build`] would succeed, without making a point. Answers how many points there are; of
    /// [`Placement::DynamicSharding`] a few may turn out to be at one position, of which the ring keeps one.
    ///
    /// # Errors
    /// As [`Ring::build`].
    pub fn check(placement: Placement, members: &[Member<'_>]) -> Result<usize, BuildError> {
        limits(placement, members)?;
        sorted_by_name(members)?;
        Ok(points::number(placement, members))
    }
}

/// Checks every limit before any point is made, so that a bad configuration costs no memory.
pub(crate) fn limits(placement: Placement, members: &[Member<'_>]) -> Result<(), BuildError> {
    if members.len() > MEMBERS_MAX {
        return Err(BuildError::Members { found: members.len() });
    }
    let (per_weight, weight_max) = match placement {
        Placement::Ring { points } => (points, WEIGHT_MAX),
        Placement::DynamicSharding => (DYNAMIC_SHARDING_POINTS, 1),
    };
    if !(1..=POINTS_PER_WEIGHT_MAX).contains(&per_weight) {
        return Err(BuildError::PointsPerWeight { found: per_weight });
    }
    for (index, member) in members.iter().enumerate() {
        if !(1..=weight_max).contains(&member.weight) {
            return Err(BuildError::Weight { index, found: member.weight, max: weight_max });
        }
    }
    let found: u64 = members.iter().map(|m| u64::from(m.weight) * u64::from(per_weight)).sum();
    if found > POINTS_MAX as u64 {
        return Err(BuildError::Points { found });
    }
    Ok(())
}

/// Member indices in the byte order of their names: `by_name[rank]` is an index.
pub(crate) fn sorted_by_name(members: &[Member<'_>]) -> Result<Box<[u16]>, BuildError> {
    let mut named: Vec<(&str, u16)> = (0u16..).zip(members).map(|(index, m)| (m.name, index)).collect();
    named.sort_unstable();
    for pair in named.windows(2) {
        if let [(a, first), (b, index)] = pair
            && a == b
        {
            return Err(BuildError::DuplicateName { index: usize::from(*index), first: usize::from(*first) });
        }
    }
    Ok(named.iter().map(|&(_, index)| index).collect())
}
