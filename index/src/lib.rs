//! The pure half of metric-index: from the bytes of a request to series with a canonical form and a key.
//!
//! A series has one key, in every process, with remote write 1.0 and 2.0 and for a push: the key is a wire format
//! (docs/index/wire-format.md) and never changes. Nothing here reads a clock, a file or the network.

pub mod body;
pub mod convert;
mod key;
pub mod known;
mod labels;
pub mod matcher;
pub mod pushed;
mod sighting;
pub mod wire;

pub use key::Key;
pub use labels::{Labels, LabelsError, METRIC_NAME};
pub use sighting::{Kind, Metadata, Sighting, Source};
