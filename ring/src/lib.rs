//! Consistent-hash placements: which member owns a key, and who comes after it.
//!
//! A [`Ring`] is built once from a set of members and never changes; lookups read three arrays and allocate
//! nothing. The crate is pure and `no_std`: the same set and the same key give the same owner in every
//! Envoy, in the command, on 32 and on 64 bits. The formulas are a wire format (docs/wire-format.md): a
//! placement, once released, never changes; a new one gets a new [`Placement`] variant.
//!
//! ```
//! use pushring_ring::{Member, Placement, Ring};
//!
//! let members = [Member { name: "10.0.0.1:9091", weight: 1 }, Member { name: "10.0.0.2:9091", weight: 2 }];
//! let ring = Ring::build(Placement::Ring { points: 1024 }, &members).unwrap();
//! let owner = ring.owner(b"job\xffbackup").unwrap();
//! assert_eq!(ring.clockwise(b"job\xffbackup").next(), Some(owner));
//! ```
#![no_std]

extern crate alloc;

mod build;
pub mod hash;
mod lookup;
mod points;
mod rebuild;
mod share;

pub use build::{
    BuildError, DYNAMIC_SHARDING_POINTS, MEMBERS_MAX, POINTS_MAX, POINTS_PER_WEIGHT_MAX, WEIGHT_MAX,
};
pub use lookup::{Clockwise, KeyHasher};

use points::Points;

/// How keys and members are laid on the circle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// `points` per unit of weight (1..=[`POINTS_PER_WEIGHT_MAX`]); 64-bit hash; the first point at or after
    /// the key owns it; equal points go to the byte-wise smaller name.
    Ring {
        /// Points per unit of weight.
        points: u32,
    },
    /// Byte-exact as ning1875/dynamic-sharding: MurmurHash3 32-bit, [`DYNAMIC_SHARDING_POINTS`] points a
    /// member, the first point *strictly* after the key, equal points go to the byte-wise greatest name.
    /// It knows no weights.
    DynamicSharding,
}

/// One member as the ring sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member<'a> {
    /// Identity on the ring; unique in a set.
    pub name: &'a str,
    /// 1..=[`WEIGHT_MAX`]; a member of weight 2 gets about twice the keys of one of weight 1.
    pub weight: u32,
}

/// An immutable ring. Members are named by their index in the slice it was built from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ring {
    placement: Placement,
    /// Number of members it was built from.
    members: usize,
    points: Points,
}

impl Default for Ring {
    /// A ring without members, which owns nothing.
    fn default() -> Self {
        Self { placement: Placement::DynamicSharding, members: 0, points: Points::default() }
    }
}
