//! Who the gateways are, and which groups each of them holds.

pub(crate) mod group_filter;
mod read;
pub mod source;
pub(crate) mod survey;
