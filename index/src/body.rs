//! The body of a request, decompressed within limits.

#![deny(clippy::indexing_slicing)]

use std::fmt;
use std::io::Read;

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// Largest body in bytes as it arrives, unless configured otherwise.
pub const MAX_COMPRESSED: usize = 32 << 20;
/// Largest body in bytes after decompression, unless configured otherwise.
pub const MAX_PLAIN: usize = 128 << 20;

/// A block of snappy grows by this factor at most: an element of 3 bytes copies up to 64.
const SNAPPY_RATIO: usize = 22;
/// The window that every decoder of zstd grants, whatever the limits.
const ZSTD_WINDOW: u64 = 8 << 20;

/// The compression of a body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Encoding {
    /// No compression.
    Identity,
    /// One block of snappy: every remote write of Prometheus.
    Snappy,
    /// Frames of snappy: a compressed push to a pushgateway.
    SnappyFrames,
    /// Frames of zstd: the remote write of vmagent.
    Zstd,
    /// Members of gzip.
    Gzip,
}

impl Encoding {
    /// Reads the header `Content-Encoding` of a remote write, whose snappy is one block.
    #[must_use]
    pub fn of_write(header: &str) -> Option<Self> {
        match header.trim().to_ascii_lowercase().as_str() {
            "snappy" => Some(Self::Snappy),
            "zstd" => Some(Self::Zstd),
            "gzip" => Some(Self::Gzip),
            "" | "identity" => Some(Self::Identity),
            _ => None,
        }
    }

    /// Reads the header `Content-Encoding` of a push, whose snappy is in frames. The Pushgateway takes a body of any other
    /// encoding as it is.
    #[must_use]
    pub fn of_push(header: &str) -> Self {
        match header.to_ascii_lowercase().as_str() {
            "snappy" => Self::SnappyFrames,
            "gzip" => Self::Gzip,
            _ => Self::Identity,
        }
    }
}

/// The largest body, before and after decompression.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BodyLimits {
    /// In bytes, as it arrives.
    pub compressed: usize,
    /// In bytes, after decompression.
    pub plain: usize,
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self { compressed: MAX_COMPRESSED, plain: MAX_PLAIN }
    }
}

/// The reason why a body cannot be decompressed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum BodyError {
    /// The body has more bytes than allowed.
    Compressed {
        /// Bytes that arrived.
        found: usize,
        /// [`BodyLimits::compressed`].
        limit: usize,
    },
    /// The body would have more bytes after decompression than allowed. No more memory than that was used.
    Plain {
        /// [`BodyLimits::plain`].
        limit: usize,
    },
    /// The bytes are not what the encoding says.
    Corrupt(Encoding, String),
}

/// Decompresses a body into a buffer, whose memory the next request can use again, and returns the plain bytes.
///
/// A length that the body declares is checked before memory is taken for it; memory in use grows no faster than what is
/// really decompressed.
///
/// # Errors
/// If the body is too large, before or after, or corrupt.
pub fn decompress<'b>(
    encoding: Encoding,
    body: &'b [u8],
    limits: BodyLimits,
    buffer: &'b mut Vec<u8>,
) -> Result<&'b [u8], BodyError> {
    if body.len() > limits.compressed {
        return Err(BodyError::Compressed { found: body.len(), limit: limits.compressed });
    }
    match encoding {
        Encoding::Identity if body.len() > limits.plain => Err(BodyError::Plain { limit: limits.plain }),
        Encoding::Identity => Ok(body),
        Encoding::Snappy => snappy(body, limits.plain, buffer),
        Encoding::SnappyFrames => read(snap::read::FrameDecoder::new(body), encoding, limits.plain, buffer),
        Encoding::Gzip => read(flate2::read::MultiGzDecoder::new(body), encoding, limits.plain, buffer),
        Encoding::Zstd => zstd(body, limits.plain, buffer),
    }
}

/// Decompresses one block. The buffer keeps its length, so that its memory is not set to zero for each request.
fn snappy<'b>(body: &[u8], limit: usize, buffer: &'b mut Vec<u8>) -> Result<&'b [u8], BodyError> {
    let corrupt = |error: snap::Error| BodyError::Corrupt(Encoding::Snappy, error.to_string());
    let declared = snap::raw::decompress_len(body).map_err(corrupt)?;
    if declared > limit {
        return Err(BodyError::Plain { limit });
    }
    if body.is_empty() || declared > body.len().saturating_mul(SNAPPY_RATIO) {
        let text = format!("a block of {} bytes cannot hold {declared}", body.len());
        return Err(BodyError::Corrupt(Encoding::Snappy, text));
    }
    if buffer.len() < declared {
        buffer.resize(declared, 0);
    }
    let plain = buffer.get_mut(..declared).unwrap_or_default();
    let written = snap::raw::Decoder::new().decompress(body, plain).map_err(corrupt)?;
    Ok(plain.get(..written).unwrap_or_default())
}

/// Reads to the end, or one byte more than the limit.
fn read(
    reader: impl Read,
    encoding: Encoding,
    limit: usize,
    buffer: &mut Vec<u8>,
) -> Result<&[u8], BodyError> {
    buffer.clear();
    let most = (limit as u64).saturating_add(1);
    reader.take(most).read_to_end(buffer).map_err(|error| BodyError::Corrupt(encoding, error.to_string()))?;
    if buffer.len() > limit { Err(BodyError::Plain { limit }) } else { Ok(buffer) }
}

/// Decompresses all frames. The decoder holds at most the window of a frame besides what is in the buffer.
fn zstd<'b>(mut body: &[u8], limit: usize, buffer: &'b mut Vec<u8>) -> Result<&'b [u8], BodyError> {
    let corrupt = |error: &dyn fmt::Display| BodyError::Corrupt(Encoding::Zstd, error.to_string());
    buffer.clear();
    let mut decoder = FrameDecoder::new();
    decoder.set_max_window_size(ZSTD_WINDOW.max(limit as u64));
    while !body.is_empty() {
        match decoder.init(&mut body) {
            Ok(()) => {}
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                length, ..
            })) => {
                let after = usize::try_from(length).ok().and_then(|length| body.get(length..));
                body = after.ok_or_else(|| corrupt(&"a frame to skip is truncated"))?;
                continue;
            }
            Err(FrameDecoderError::WindowSizeTooBig { .. }) => return Err(BodyError::Plain { limit }),
            Err(error) => return Err(corrupt(&error)),
        }
        if decoder.content_size() > (limit - buffer.len()) as u64 {
            return Err(BodyError::Plain { limit });
        }
        while !decoder.is_finished() {
            decoder
                .decode_blocks(&mut body, BlockDecodingStrategy::UptoBlocks(1))
                .map_err(|error| corrupt(&error))?;
            if decoder.can_collect() > limit - buffer.len() {
                return Err(BodyError::Plain { limit });
            }
            decoder.collect_to_writer(&mut *buffer).map_err(|error| corrupt(&error))?;
        }
        if decoder.get_checksum_from_data().is_some_and(|sum| Some(sum) != decoder.get_calculated_checksum())
        {
            return Err(corrupt(&"the checksum of a frame differs"));
        }
    }
    if buffer.is_empty() { Err(corrupt(&"no data")) } else { Ok(buffer) }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Identity => "identity",
            Self::Snappy => "snappy (one block)",
            Self::SnappyFrames => "snappy (frames)",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        })
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compressed { found, limit } => {
                write!(f, "the body has {found} bytes, allowed are {limit}: send smaller requests")
            }
            Self::Plain { limit } => {
                write!(f, "the body has more than {limit} bytes when decompressed: send smaller requests")
            }
            Self::Corrupt(encoding, error) => write!(f, "the body is not {encoding}: {error}"),
        }
    }
}

impl std::error::Error for BodyError {}

#[cfg(test)]
mod tests {
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
        for (encoding, length) in
            ALL.into_iter().flat_map(|encoding| [9_000, 10, 8_000].map(|n| (encoding, n)))
        {
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
                let is_good = result.is_err()
                    || matches!(encoding, Encoding::SnappyFrames | Encoding::Gzip) && end <= 10;
                assert!(is_good, "{encoding} {end}");
            }
        }
    }
}
