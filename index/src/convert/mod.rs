//! From one protocol to another, for targets that know only one, with honest counts of what was converted.

#![deny(clippy::indexing_slicing)]

mod opentsdb;
mod part;
mod read_puts;
#[cfg(test)]
mod tests;
mod write;

pub use opentsdb::{Charset, Dropped, MAX_PUTS, Put, Puts, put_bodies};
pub use part::{without_v1, without_v2};
pub use read_puts::{BadPut, PutError, PutLimits, ReadPuts, read_puts};
pub use write::{ConvertError, Converted, to_v1};
