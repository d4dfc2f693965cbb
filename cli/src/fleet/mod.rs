//! Who the gateways are, and which groups each of them holds.

pub mod group_filter;
pub mod source;
pub mod survey;
