//! The compression that a header names.

use std::fmt;

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
    /// Reads the header `Content-Encoding` of a remote write, whose snappy is one block. The protocol knows snappy only, as a
    /// sender without the header means; vmagent sends zstd.
    #[must_use]
    pub fn of_write(header: &str) -> Option<Self> {
        match header.trim().to_ascii_lowercase().as_str() {
            "" | "snappy" => Some(Self::Snappy),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }

    /// Reads the header `Content-Encoding` of a put of OpenTSDB.
    #[must_use]
    pub fn of_put(header: &str) -> Option<Self> {
        match header.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Some(Self::Identity),
            "gzip" => Some(Self::Gzip),
            "zstd" => Some(Self::Zstd),
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
