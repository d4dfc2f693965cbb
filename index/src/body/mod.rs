//! The body of a request, decompressed within limits.

#![deny(clippy::indexing_slicing)]

mod decoders;
mod encoding;
#[cfg(test)]
mod tests;

use std::fmt;

use decoders::{read, snappy, zstd};
pub use encoding::Encoding;

/// Largest body in bytes as it arrives, unless configured otherwise.
pub const MAX_COMPRESSED: usize = 32 << 20;
/// Largest body in bytes after decompression, unless configured otherwise.
pub const MAX_PLAIN: usize = 128 << 20;

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
