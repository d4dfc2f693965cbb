//! Decompresses arbitrary bytes, within a limit, and reads them as the body of a remote write. The seeds are bodies of real senders.
#![no_main]

use libfuzzer_sys::fuzz_target;

use pushring_index::body::{BodyLimits, Encoding, decompress};
use pushring_index::wire::{v1, v2};

/// Larger than any seed.
const LIMITS: BodyLimits = BodyLimits { compressed: 1 << 20, plain: 1 << 16 };

fuzz_target!(|data: &[u8]| {
    for encoding in
        [Encoding::Zstd, Encoding::Snappy, Encoding::SnappyFrames, Encoding::Gzip, Encoding::Identity]
    {
        let mut buffer = Vec::new();
        if let Ok(plain) = decompress(encoding, data, LIMITS, &mut buffer) {
            assert!(plain.len() <= LIMITS.plain);
            v1::entries(plain).for_each(drop);
            if let Ok(request) = v2::Request::new(plain) {
                request.series().for_each(drop);
            }
        }
        assert!(buffer.capacity() <= 3 * LIMITS.plain);
    }
});
