//! What a push path means: its labels and the key of their group.

mod component;
mod group;
mod labels;
mod path;
mod utf8_name;

pub(crate) use group::write_key;
pub use group::{Group, labels_to_path};
pub(crate) use labels::{Labels, Poison};
pub use path::clean_path;
pub(crate) use path::{Decoded, PushPath, Target};
