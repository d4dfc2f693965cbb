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
mod placement;
mod points;
mod share;

pub use build::BuildError;
pub use lookup::{Clockwise, KeyHasher};
pub use placement::{
    DYNAMIC_SHARDING_POINTS, MAX_MEMBERS, MAX_POINTS, MAX_POINTS_PER_WEIGHT, MAX_WEIGHT, Member, Placement,
};

use points::Points;

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
