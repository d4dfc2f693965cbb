use std::io::Write;

use super::*;

const LIMITS: BodyLimits = BodyLimits { compressed: 10_000, plain: 100_000 };
const ALL: [Encoding; 5] =
    [Encoding::Identity, Encoding::Snappy, Encoding::SnappyFrames, Encoding::Zstd, Encoding::Gzip];

fn compress(encoding: Encoding, plain: &[u8]) -> Vec<u8> {
    match encoding {
        Encoding::Identity => plain.to_vec(),
        Encoding::Snappy => snap::raw::Encoder::new().compress_vec(plain).unwrap(),
        Encoding::SnappyFrames => {
            let mut encoder = snap::write::FrameEncoder::new(Vec::new());
            encoder.write_all(plain).unwrap();
            encoder.into_inner().unwrap()
        }
        Encoding::Zstd => {
            ruzstd::encoding::compress_to_vec(plain, ruzstd::encoding::CompressionLevel::Fastest)
        }
        Encoding::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(plain).unwrap();
            encoder.finish().unwrap()
        }
    }
}

#[test]
fn each_encoding_gives_the_plain_bytes_and_a_buffer_serves_again() {
    let plain: Vec<u8> = (0..9_000_u32).map(|i| (i * i % 251) as u8).collect();
    let mut buffer = Vec::new();
    for (encoding, length) in ALL.into_iter().flat_map(|encoding| [9_000, 10, 8_000].map(|n| (encoding, n))) {
        let body = compress(encoding, &plain[..length]);
        assert_eq!(
            decompress(encoding, &body, LIMITS, &mut buffer),
            Ok(&plain[..length]),
            "{encoding} {length}"
        );
    }
    let two = [compress(Encoding::Zstd, b"ab"), compress(Encoding::Zstd, b"cd")].concat();
    assert_eq!(decompress(Encoding::Zstd, &two, LIMITS, &mut buffer), Ok(b"abcd".as_slice()));
}

#[test]
fn a_bomb_takes_no_more_memory_than_the_limit() {
    for encoding in ALL {
        let body = compress(encoding, &vec![0; 200_000]);
        let mut buffer = Vec::new();
        let error = decompress(encoding, &body, LIMITS, &mut buffer).unwrap_err();
        let is_late = matches!(encoding, Encoding::Identity);
        let is_right = matches!(error, BodyError::Compressed { .. }) == is_late;
        assert!(is_right && !matches!(error, BodyError::Corrupt(..)), "{encoding}: {error}");
        assert!(buffer.capacity() <= 2 * LIMITS.plain + 1024, "{encoding}: {}", buffer.capacity());
    }
}

#[test]
fn a_declared_length_that_cannot_be_true_takes_no_memory() {
    let mut buffer = Vec::new();
    let limits = BodyLimits::default();
    let declared_100_mib = b"\x80\x80\x80\x32\x00a";
    assert!(matches!(
        decompress(Encoding::Snappy, declared_100_mib, limits, &mut buffer),
        Err(BodyError::Corrupt(..))
    ));
    assert_eq!(buffer.capacity(), 0);
    let declared_4_gib = b"\xff\xff\xff\xff\x0f";
    assert_eq!(
        decompress(Encoding::Snappy, declared_4_gib, limits, &mut buffer),
        Err(BodyError::Plain { limit: MAX_PLAIN })
    );
}

#[test]
fn every_truncation_is_an_error() {
    let plain: Vec<u8> = (0..500_u32).map(|i| (i * i % 251) as u8).collect();
    for encoding in ALL.into_iter().skip(1) {
        let body = compress(encoding, &plain);
        for end in 0..body.len() {
            let mut buffer = Vec::new();
            let result = decompress(encoding, &body[..end], LIMITS, &mut buffer);
            // Frames of snappy need no end: what is there is whole.
            let is_good =
                result.is_err() || matches!(encoding, Encoding::SnappyFrames | Encoding::Gzip) && end <= 10;
            assert!(is_good, "{encoding} {end}");
        }
    }
}
