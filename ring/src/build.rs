//! Builds a ring from a set of members, within limits.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use crate::Ring;
use crate::placement::{
    DYNAMIC_SHARDING_POINTS, MAX_MEMBERS, MAX_POINTS, MAX_POINTS_PER_WEIGHT, MAX_WEIGHT, Member, Placement,
};
use crate::points::{self, Points};

/// The reason why a ring cannot be built. Indices refer to the given slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuildError {
    /// More than [`MAX_MEMBERS`] members.
    Members {
        /// The number of members.
        found: usize,
    },
    /// A weight outside 1 to [`MAX_WEIGHT`], or not 1 in a placement without weights.
    Weight {
        /// The member with this weight.
        index: usize,
        /// The weight.
        found: u32,
        /// The maximum in this placement.
        max: u32,
    },
    /// A number of points per unit of weight outside 1 to [`MAX_POINTS_PER_WEIGHT`].
    PointsPerWeight {
        /// The number of points per unit of weight.
        found: u32,
    },
    /// More than [`MAX_POINTS`] points over all members.
    Points {
        /// The number of points.
        found: u64,
    },
    /// Two members with the same name.
    DuplicateName {
        /// The later member.
        index: usize,
        /// The earlier member.
        first: usize,
    },
}

impl BuildError {
    /// Returns the field of the configuration, the value that was found, and the values that are allowed.
    #[must_use]
    pub fn parts(&self) -> [String; 3] {
        match *self {
            Self::Members { found } => {
                ["members".into(), format!("{found} members"), format!("at most {MAX_MEMBERS}")]
            }
            Self::Weight { index, found, max } => {
                let expected = if max == 1 {
                    "only 1: placement dynamic-sharding has no weights".into()
                } else {
                    format!("1 to {max}")
                };
                [format!("members[{index}].weight"), found.to_string(), expected]
            }
            Self::PointsPerWeight { found } => {
                ["placement.points".into(), found.to_string(), format!("1 to {MAX_POINTS_PER_WEIGHT}")]
            }
            Self::Points { found } => [
                "placement.points".into(),
                format!("{found} points over all members (points x weight)"),
                format!("at most {MAX_POINTS}; lower placement.points or the weights"),
            ],
            Self::DuplicateName { index, first } => [
                format!("members[{index}].name"),
                format!("the name of members[{first}] again"),
                "each name once".into(),
            ],
        }
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [field, found, expected] = self.parts();
        write!(f, "{field}: found {found}, allowed {expected}")
    }
}

impl core::error::Error for BuildError {}

impl Ring {
    /// Builds the ring of a set of members.
    ///
    /// The order of `members` influences only the indices that lookups return. Without members the ring is empty and its
    /// lookups return `None`.
    ///
    /// # Errors
    /// [`BuildError`] if a limit is exceeded or a name occurs twice.
    ///
    /// # Examples
    /// ```
    /// use pushring_ring::{Member, Placement, Ring};
    ///
    /// let members = ["10.0.0.1:9091", "10.0.0.2:9091"].map(|name| Member { name, weight: 1 });
    /// let ring = Ring::build(Placement::Ring { points: 4 }, &members)?;
    /// assert_eq!(ring.points(), 8);
    /// assert_eq!(ring.owner(b"job\xffbackup"), Some(1));
    /// # Ok::<(), pushring_ring::BuildError>(())
    /// ```
    pub fn build(placement: Placement, members: &[Member<'_>]) -> Result<Self, BuildError> {
        check_limits(placement, members)?;
        let by_name = sorted_by_name(members)?;
        let points = Points::new(placement, members, &by_name);
        Ok(Self { placement, members: members.len(), points })
    }

    /// Returns the number of points that [`Ring::build`] would create, without building the ring. A ring of
    /// [`Placement::DynamicSharding`] may have slightly fewer, because it keeps one point per position.
    ///
    /// # Errors
    /// The same as [`Ring::build`].
    pub fn check(placement: Placement, members: &[Member<'_>]) -> Result<usize, BuildError> {
        check_limits(placement, members)?;
        sorted_by_name(members)?;
        Ok(points::point_count(placement, members))
    }
}

/// Checks every limit before any point is created, so that a bad configuration costs no memory.
fn check_limits(placement: Placement, members: &[Member<'_>]) -> Result<(), BuildError> {
    if members.len() > MAX_MEMBERS {
        return Err(BuildError::Members { found: members.len() });
    }
    let (per_weight, weight_max) = match placement {
        Placement::Ring { points } => (points, MAX_WEIGHT),
        Placement::DynamicSharding => (DYNAMIC_SHARDING_POINTS, 1),
    };
    if !(1..=MAX_POINTS_PER_WEIGHT).contains(&per_weight) {
        return Err(BuildError::PointsPerWeight { found: per_weight });
    }
    for (index, member) in members.iter().enumerate() {
        if !(1..=weight_max).contains(&member.weight) {
            return Err(BuildError::Weight { index, found: member.weight, max: weight_max });
        }
    }
    let found: u64 = members.iter().map(|m| u64::from(m.weight) * u64::from(per_weight)).sum();
    if found > MAX_POINTS as u64 {
        return Err(BuildError::Points { found });
    }
    Ok(())
}

/// Returns the member indices in the byte order of the names.
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
