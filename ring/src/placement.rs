//! The input of a ring: placement and members, with their limits.

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

/// Maximum number of members of a ring.
pub const MAX_MEMBERS: usize = 1024;
/// Maximum weight of a member.
pub const MAX_WEIGHT: u32 = 100;
/// Maximum number of points per unit of weight in [`Placement::Ring`].
pub const MAX_POINTS_PER_WEIGHT: u32 = 4096;
/// Maximum number of points of a ring. A point takes 11 to 12 bytes, so the largest ring takes 50 MB in every Envoy
/// worker, and twice as much while a reload replaces it.
pub const MAX_POINTS: usize = 4_194_304;
/// Number of points per member in [`Placement::DynamicSharding`].
pub const DYNAMIC_SHARDING_POINTS: u32 = 500;

const _: () = assert!(MAX_MEMBERS <= 1 << 16, "a member index must fit 16 bits");
const _: () = assert!(MAX_MEMBERS * DYNAMIC_SHARDING_POINTS as usize <= MAX_POINTS);
