//! Decompresses and reads arbitrary bytes as the body of a remote write. The seeds are bodies of real senders.
#![no_main]

use libfuzzer_sys::fuzz_target;

use pushring_index::body::{BodyLimits, Encoding, decompress};
use pushring_index::wire::{v1, v2};

/// Larger than any seed.
const LIMITS: BodyLimits = BodyLimits { compressed: 1 << 20, plain: 1 << 20 };

fuzz_target!(|data: &[u8]| {
    for encoding in [Encoding::Zstd, Encoding::Snappy, Encoding::SnappyFrames, Encoding::Gzip] {
        let mut buffer = Vec::new();
        let plain = decompress(encoding, data, LIMITS, &mut buffer);
        assert!(plain.as_ref().is_ok_and(|plain| plain.len() <= LIMITS.plain) || plain.is_err());
        let Ok(plain) = plain else { continue };
        v1::entries(plain).for_each(drop);
        if let Ok(request) = v2::Request::new(plain) {
            request.series().for_each(drop);
        }
    }
});
