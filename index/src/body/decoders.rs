//! A decoder for each compression; none takes more memory than the limit allows.

use std::fmt;
use std::io::Read;

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::{BodyError, Encoding};

/// A block of snappy grows by this factor at most: an element of 3 bytes copies up to 64.
const SNAPPY_RATIO: usize = 22;
/// The window that every decoder of zstd grants, whatever the limits.
const ZSTD_WINDOW: u64 = 8 << 20;

/// Decompresses one block. The buffer keeps its length, so that its memory is not set to zero for each request.
pub(super) fn snappy<'b>(body: &[u8], limit: usize, buffer: &'b mut Vec<u8>) -> Result<&'b [u8], BodyError> {
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
pub(super) fn read(
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
pub(super) fn zstd<'b>(
    mut body: &[u8],
    limit: usize,
    buffer: &'b mut Vec<u8>,
) -> Result<&'b [u8], BodyError> {
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
