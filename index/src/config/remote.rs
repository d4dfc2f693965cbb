//! The section `remote`: the targets that writes are passed on to.

use std::path::PathBuf;

use serde::Deserialize;

/// The section. Without a target, the index only listens, behind a mirror.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Remote {
    pub(crate) write: Option<Write>,
    pub(crate) send: Option<Send>,
}

/// The target of remote writes, such as vminsert.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Write {
    pub(crate) url: String,
    /// `application/x-protobuf` in the original; no effect here: a body is passed on as it came, with its own headers.
    #[serde(default)]
    pub(crate) content_type: Option<String>,
    /// Newest version of remote write that the target accepts, 1 or 2. For a target of 1, a body of 2.0 is converted.
    #[serde(default = "first")]
    pub(crate) protocol: u8,
    /// Longest time for an answer, in seconds.
    #[serde(default = "timeout")]
    pub(crate) timeout: u64,
    #[serde(default)]
    pub(crate) spool: Option<Spool>,
}

/// Bodies on disk for the time that the target is away.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Spool {
    /// Directory.
    pub(crate) path: PathBuf,
    /// Most bytes; a full spool answers 503.
    #[serde(default = "spool_bytes")]
    pub(crate) max_bytes: u64,
}

/// The target of puts of OpenTSDB.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Send {
    pub(crate) url: String,
    /// `application/json` in the original, which is what is always sent.
    #[serde(default)]
    pub(crate) content_type: Option<String>,
    /// Whether remote writes become puts, too.
    #[serde(default)]
    pub(crate) convert: bool,
    #[serde(default)]
    pub(crate) charset: Charset,
    /// Longest time for an answer, in seconds.
    #[serde(default = "timeout")]
    pub(crate) timeout: u64,
}

/// The names that the target accepts.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Charset {
    /// All, as VictoriaMetrics.
    #[default]
    Victoria,
    /// Letters, digits, `_`, `.`, `/` and `-`, at most 8 tags, at least one: OpenTSDB itself.
    Strict,
}

fn first() -> u8 {
    1
}

fn timeout() -> u64 {
    30
}

fn spool_bytes() -> u64 {
    1 << 30
}
