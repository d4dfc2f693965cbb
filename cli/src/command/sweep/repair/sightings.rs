//! The families that the owner of a group lacks, since when.
//!
//! A push, or the deletion of a family by a PUT, may be in flight to one of two gateways. So a family is copied to the owner only
//! if a reading showed the difference before, and its source has got no other push of it since.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;

/// A difference that a reading shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sighting {
    /// A push may be in flight.
    New,
    /// The same difference was seen so long ago that nothing is in flight.
    Old,
    /// The source has got a push of the family since it was seen first.
    Replaced,
}

/// By name of the family: the index of its source, the time stamp there, and the time when the difference was seen first.
#[derive(Clone, Debug, Default)]
pub(super) struct Sightings(BTreeMap<String, ((usize, Timestamp), Instant)>);

impl Sightings {
    /// Remembers a difference, and returns how it compares with the first one of its family.
    pub(super) fn of(&mut self, name: &str, source: (usize, Timestamp), in_flight: Duration) -> Sighting {
        let Some((first, seen)) = self.0.get(name) else {
            self.0.insert(name.to_owned(), (source, Instant::now()));
            return Sighting::New;
        };
        match seen.elapsed() >= in_flight {
            _ if *first != source => Sighting::Replaced,
            true => Sighting::Old,
            false => Sighting::New,
        }
    }
}
