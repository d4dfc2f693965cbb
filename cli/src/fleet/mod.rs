//! The gateways of a fleet, and the groups that each of them holds.

pub mod access;
pub(crate) mod address;
pub(crate) mod authority;
mod candidates;
pub(crate) mod group_filter;
pub mod members;
pub(crate) mod past;
mod read;
pub mod registration;
pub mod render;
mod render_access;
pub mod ring_file;
pub(crate) mod ring_history;
pub mod source;
pub(crate) mod survey;
#[cfg(test)]
mod test_fleet;
pub(crate) mod unreadable;
