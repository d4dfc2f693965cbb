//! From one protocol to another, for targets that know only one, with honest counts of what was converted.

#![deny(clippy::indexing_slicing)]

mod opentsdb;
#[cfg(test)]
mod tests;
mod write;

pub use opentsdb::{Charset, Dropped, MAX_PUTS, Put, PutError, Puts, put_bodies, read_puts};
pub use write::{ConvertError, Converted, to_v1};
