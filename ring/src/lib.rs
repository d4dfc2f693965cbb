//! Consistent-hash placements: the member that owns a key, and the members after it.
//!
//! A [`Ring`] is built once from a set of members and never changes. Lookups read three arrays and allocate nothing. The
//! crate is pure and `no_std`: the same set and the same key give the same owner in every Envoy and in the command, on
//! 32 and on 64 bits. The formulas are a wire format (docs/wire-format.md): a released placement never changes, and a new
//! one gets a new [`Placement`] variant.
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
// A panic in the filter ends the VM of an Envoy worker.
#![deny(clippy::indexing_slicing)]

extern crate alloc;

mod build;
pub mod hash;
mod lookup;
mod points;
mod share;

pub use build::{
    BuildError, DYNAMIC_SHARDING_POINTS, MAX_MEMBERS, MAX_POINTS, MAX_POINTS_PER_WEIGHT, MAX_WEIGHT,
};
pub use lookup::{Clockwise, KeyHasher};

use points::Points;

/// The rule that places keys and members on the circle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// 64-bit hash. The first point at or after a key owns it; of equal points the byte-wise smaller name wins.
    Ring {
        /// Points per unit of weight, 1 to [`MAX_POINTS_PER_WEIGHT`].
        points: u32,
    },
    /// The placement of ning1875/dynamic-sharding, byte for byte: 32-bit MurmurHash3 and
    /// [`DYNAMIC_SHARDING_POINTS`] points per member. The first point *strictly* after a key owns it; of equal points the
    /// byte-wise greatest name wins. Every weight must be 1.
    DynamicSharding,
}

/// A member of the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member<'a> {
    /// Identity on the ring. Unique within a set.
    pub name: &'a str,
    /// 1 to [`MAX_WEIGHT`]. A member of weight 2 owns about twice as many keys as one of weight 1.
    pub weight: u32,
}

/// An immutable ring. Lookups return members as indices into the slice from which the ring was built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ring {
    placement: Placement,
    members: usize,
    points: Points,
}

impl Default for Ring {
    /// Returns a ring without members.
    fn default() -> Self {
        Self { placement: Placement::DynamicSharding, members: 0, points: Points::default() }
    }
}
