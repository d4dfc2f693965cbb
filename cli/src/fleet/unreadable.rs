//! A gateway that could not be read, as every report lists it.

use std::fmt;

use serde::Serialize;

use crate::output::short_line;

/// A gateway whose groups are unknown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Unreadable {
    /// Name of the gateway.
    pub(crate) gateway: String,
    /// A gateway that is not on the ring is only registered in Consul and owns nothing.
    pub(crate) on_ring: bool,
    pub(crate) reason: String,
}

impl Unreadable {
    /// Formats gateways, one per line.
    pub(crate) fn lines(gateways: &[Self]) -> String {
        gateways.iter().map(|gateway| format!("{gateway}\n")).collect()
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let off = if self.on_ring { "" } else { " (not on the ring)" };
        write!(f, "{}{off} cannot be read: {}", short_line(&self.gateway), short_line(&self.reason))
    }
}
