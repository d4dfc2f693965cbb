//! The meaning of a push path: its labels, and the key of their group.

mod group;
mod labels;
mod path;
mod utf8_name;

pub use group::{ParsedGroup, labels_to_path};
pub use labels::is_legacy_name;
pub use path::clean_path;

pub(crate) use group::write_key;
pub(crate) use labels::{Labels, Poison};
pub(crate) use path::{Decoded, PushPath, Target, cleaned, decode};
