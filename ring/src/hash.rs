//! The hash functions of both placements. Each is part of the wire format and must never change.

use core::hash::Hasher;
use fnv::FnvHasher;

/// MurmurHash3's 64-bit finalizer. It spreads every input bit over all output bits; FNV-1a alone does not do so for keys
/// that differ in their last bytes.
#[must_use]
pub const fn fmix64(mut h: u64) -> u64 {
    h ^= h >> 33;
    h = h.wrapping_mul(0xff51_afd7_ed55_8ccd);
    h ^= h >> 33;
    h = h.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    h ^ (h >> 33)
}

/// Returns `fmix64(fnv1a64(bytes))`, the hash of keys and of member names in [`crate::Placement::Ring`].
#[must_use]
pub fn key_hash(bytes: &[u8]) -> u64 {
    // `write` alone, never `Hash::hash`: that would add a length or terminator and depend on usize.
    let mut fnv = FnvHasher::default();
    fnv.write(bytes);
    fmix64(fnv.finish())
}

const C1: u32 = 0xcc9e_2d51;
const C2: u32 = 0x1b87_3593;

/// Returns `MurmurHash3_x86_32` with seed 0, equal to `Sum32` of spaolacci/murmur3. It is the hash of
/// [`crate::Placement::DynamicSharding`].
#[must_use]
pub fn murmur3_32(bytes: &[u8]) -> u32 {
    let mut murmur = Murmur3::default();
    murmur.write(bytes);
    murmur.finish()
}

/// `MurmurHash3_x86_32` of bytes that come in pieces.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Murmur3 {
    h: u32,
    /// The bytes of an incomplete block of four, the first in the lowest bits.
    tail: u32,
    length: u32,
}

impl Murmur3 {
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        for &b in bytes {
            self.tail |= u32::from(b) << (self.length % 4 * 8);
            self.length = self.length.wrapping_add(1); // the algorithm uses it modulo 2^32
            if self.length.is_multiple_of(4) {
                self.h =
                    (self.h ^ scramble(self.tail)).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
                self.tail = 0;
            }
        }
    }

    pub(crate) fn finish(self) -> u32 {
        // scramble(0) is 0, so an empty tail changes nothing.
        fmix32(self.h ^ scramble(self.tail) ^ self.length)
    }
}

const fn scramble(k: u32) -> u32 {
    k.wrapping_mul(C1).rotate_left(15).wrapping_mul(C2)
}

const fn fmix32(mut h: u32) -> u32 {
    h ^= h >> 16;
    h = h.wrapping_mul(0x85eb_ca6b);
    h ^= h >> 13;
    h = h.wrapping_mul(0xc2b2_ae35);
    h ^ (h >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// spaolacci/murmur3's own reference vectors.
    #[test]
    fn murmur3_reference_vectors() {
        assert_eq!(murmur3_32(b""), 0);
        assert_eq!(murmur3_32(b"hello"), 0x248b_fa47);
        assert_eq!(murmur3_32(b"hello, world"), 0x149b_bb7f);
        assert_eq!(murmur3_32(b"19 Jan 2038 at 3:14:07 AM"), 0xe31e_8a70);
    }

    /// FNV's published FNV-1a 64 test suite: "" is the offset basis, "foobar" is 85944171f73967e8.
    #[test]
    fn key_hash_is_fmix_of_fnv1a() {
        assert_eq!(key_hash(b""), fmix64(0xcbf2_9ce4_8422_2325));
        assert_eq!(key_hash(b"foobar"), fmix64(0x8594_4171_f739_67e8));
    }
}
