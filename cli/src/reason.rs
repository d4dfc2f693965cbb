//! Reasons why a command keeps a group: a stable code for programs and a text, which may change, for people.

use std::fmt;

use serde::Serialize;

/// The field `code` of reports; docs/command/README.md describes each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Code {
    LeftBehind,
    Lacking,
    NotNewer,
    UnknownLabels,
    NoJob,
    NotUtf8,
    FutureTimestamp,
    NoPushTime,
    NeverAccepted,
    ExpositionIncomplete,
    UnsupportedType,
    NoPath,
    RouteByPath,
    Unreadable,
    OwnerUnreadable,
    ReplicaUnreadable,
    Unreplicated,
    ReplicaLacking,
    ReplicaDiffers,
    LostByOwner,
    OwnerLabelsUnknown,
    SharedProcess,
    Restarted,
    ClockSet,
    ClockUncertain,
    TooSlow,
    Changed,
    NotSafe,
    Interrupted,
    TypeConflict,
    NameConflict,
    SeriesConflict,
    HashCollision,
    InvalidName,
    UnknownType,
    RepeatedLabel,
    InvalidHistogram,
    InvalidMetric,
    NoValue,
    DeleteFailed,
    PushFailed,
    OwnerRejected,
    NotStored,
    StaleReplica,
    StaleOwner,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Reason {
    #[serde(rename = "reason")]
    pub(crate) text: String,
    pub(crate) code: Code,
}

impl Code {
    pub(crate) fn because(self, text: impl Into<String>) -> Reason {
        Reason { text: text.into(), code: self }
    }
}

impl Reason {
    /// Converts an error. The code is that of a reason among its causes, else `default`.
    pub(crate) fn from_error(error: &anyhow::Error, default: Code) -> Self {
        let known = error.downcast_ref::<Self>().map(|reason| reason.code);
        known.unwrap_or(default).because(format!("{error:#}"))
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Reason {}
