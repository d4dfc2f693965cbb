//! From a set of members to points on the circle.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use crate::hash::{fmix64, h, murmur3_32};
use crate::{Member, Placement, Ring};

/// Most members of one ring.
pub const MEMBERS_MAX: usize = 1024;
/// Largest weight of a member.
pub const WEIGHT_MAX: u32 = 100;
/// Most points per unit of weight of [`Placement::Ring`].
pub const POINTS_PER_WEIGHT_MAX: u32 = 4096;
/// Most points of one ring: 10 bytes each, so 42 MB in every Envoy worker.
pub const POINTS_MAX: usize = 4_194_304;
/// Points of each member in [`Placement::DynamicSharding`].
pub const DYNAMIC_SHARDING_POINTS: u32 = 500;

const _: () = assert!(MEMBERS_MAX <= 1 << 16, "a member index is kept in 16 bits");
const _: () = assert!(MEMBERS_MAX * DYNAMIC_SHARDING_POINTS as usize <= POINTS_MAX);

/// Step between the points of a member: 2^64 divided by the golden ratio, so that consecutive inputs of the
/// finalizer differ in many bits.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

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
        check(placement, members)?;
        let by_name = sorted_by_name(members)?;
        let mut points = match placement {
            Placement::Ring { points } => ring_points(points, members, &by_name),
            Placement::DynamicSharding => dynamic_sharding_points(members, &by_name),
        };
        // By (position, rank of the name): a total order, so the input order cannot show.
        points.sort_unstable();
        if placement == Placement::DynamicSharding {
            // The original keeps one member a position, the last one added: the greatest name.
            points.reverse();
            points.dedup_by_key(|&mut (position, _)| position);
            points.reverse();
        }
        let positions = points.iter().map(|&(position, _)| position).collect();
        let owners = points.iter().filter_map(|&(_, rank)| by_name.get(usize::from(rank)).copied()).collect();
        Ok(Self { placement, members: members.len(), positions, owners })
    }
}

/// Checks every limit before any point is made, so that a bad configuration costs no memory.
fn check(placement: Placement, members: &[Member<'_>]) -> Result<(), BuildError> {
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
fn sorted_by_name(members: &[Member<'_>]) -> Result<Box<[u16]>, BuildError> {
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

fn ring_points(points: u32, members: &[Member<'_>], by_name: &[u16]) -> Vec<(u64, u16)> {
    let total: u64 = members.iter().map(|m| u64::from(m.weight) * u64::from(points)).sum();
    let mut out = Vec::with_capacity(usize::try_from(total).unwrap_or(0));
    for (rank, member) in ranked(members, by_name) {
        let start = h(member.name.as_bytes());
        let count = u64::from(points) * u64::from(member.weight);
        out.extend((0..count).map(|i| (fmix64(start.wrapping_add(i.wrapping_mul(STEP))), rank)));
    }
    out
}

/// Positions are kept in the upper 32 bits, so that both placements share one 64-bit circle.
fn dynamic_sharding_points(members: &[Member<'_>], by_name: &[u16]) -> Vec<(u64, u16)> {
    let mut out = Vec::with_capacity(members.len() * DYNAMIC_SHARDING_POINTS as usize);
    let mut vnode = Vec::new();
    for (rank, member) in ranked(members, by_name) {
        for i in 0..DYNAMIC_SHARDING_POINTS {
            vnode.clear();
            push_decimal(&mut vnode, i);
            vnode.extend_from_slice(member.name.as_bytes());
            out.push((u64::from(murmur3_32(&vnode)) << 32, rank));
        }
    }
    out
}

/// Members in the order of their names, each with its rank.
fn ranked<'a, 'm>(
    members: &'a [Member<'m>],
    by_name: &'a [u16],
) -> impl Iterator<Item = (u16, &'a Member<'m>)> {
    (0u16..).zip(by_name).filter_map(|(rank, &index)| Some((rank, members.get(usize::from(index))?)))
}

/// Appends `i` in decimal (0..=999), without the formatting machinery.
fn push_decimal(out: &mut Vec<u8>, i: u32) {
    let digit = |d: u32| b'0'.wrapping_add((d % 10).to_le_bytes()[0]);
    if i >= 100 {
        out.push(digit(i / 100));
    }
    if i >= 10 {
        out.push(digit(i / 10));
    }
    out.push(digit(i));
}
