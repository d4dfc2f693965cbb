//! Records of Kafka on the way into the catalogue.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use metrics::counter;
use pushring_index::Sighting;
use rdkafka::error::KafkaResult;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, TopicPartitionList};
use tracing::error;

use super::record;
use super::touch::Touch;
use crate::catalogue::{Catalogue, Letter};

/// Attempts to write a batch before its series are written one by one.
const PATIENCE: u32 = 3;
/// Series that fail alone, without one that does not, before the database counts as away.
const PROBES: usize = 8;

/// The content of some records, and the place behind each of them.
#[derive(Default)]
pub(super) struct Inbox {
    sightings: Vec<Sighting>,
    touches: Vec<Touch>,
    letters: Vec<Letter>,
    next: BTreeMap<(String, i32), i64>,
    records: usize,
    /// Series that the catalogue did not have.
    pub(super) new: u64,
}

impl Inbox {
    /// Takes a record in. An unreadable one goes to the dead letters.
    pub(super) fn add(&mut self, message: &BorrowedMessage<'_>) {
        let (topic, partition, offset) = (message.topic(), message.partition(), message.offset());
        self.next.insert((topic.to_owned(), partition), offset + 1);
        self.records += 1;
        // A record without a value removes a key.
        let Some(value) = message.payload() else { return };
        let at = message.timestamp().to_millis().filter(|at| *at > 0).unwrap_or_else(now);
        let read = if topic.ends_with("-touch") {
            Touch::decode(value).map(|touch| self.touches.push(touch))
        } else {
            record::decode(message.key(), value, at).map(|sightings| self.sightings.extend(sightings))
        };
        if let Err(error) = read {
            let origin = format!("{topic}/{partition}/{offset}");
            let reason = format!("{error:#}");
            self.letters.push(Letter { at, origin, reason, record: value.to_vec() });
        }
    }

    pub(super) fn len(&self) -> usize {
        self.records
    }

    /// Writes everything; it is durable when this returns.
    ///
    /// # Errors
    /// If the database is away. The next call writes everything again, which changes nothing.
    pub(super) async fn store(&mut self, catalogue: &Catalogue, failures: u32) -> Result<()> {
        if failures > PATIENCE {
            self.store_one_by_one(catalogue).await?;
        }
        let recorded = catalogue.record(&self.sightings).await?;
        self.count(recorded.new, recorded.collisions);
        catalogue.touch(self.touches.clone()).await?;
        catalogue.bury(self.letters.clone()).await?;
        counter!("metric_index_dead_letters_total").increment(self.letters.len() as u64);
        counter!("metric_index_consumed_total").increment(self.records as u64);
        Ok(())
    }

    /// Writes series one by one, so that one that the database refuses does not hold up the others: it becomes a dead letter.
    async fn store_one_by_one(&mut self, catalogue: &Catalogue) -> Result<()> {
        let mut failed = Vec::new();
        for (index, sighting) in self.sightings.iter().enumerate() {
            match catalogue.record(std::slice::from_ref(sighting)).await {
                Ok(recorded) => {
                    counter!("metric_index_new_series_total").increment(recorded.new);
                    self.new += recorded.new;
                }
                Err(error) => {
                    failed.push((sighting, error));
                    if failed.len() == index + 1
                        && (failed.len() >= PROBES || failed.len() == self.sightings.len())
                    {
                        return failed.pop().map_or(Ok(()), |(_, error)| Err(error));
                    }
                }
            }
        }
        let mut letters = Vec::new();
        for (sighting, error) in failed {
            let (labels, reason) = (sighting.labels.to_string(), format!("{error:#}"));
            error!(labels, error = reason, "a series cannot be written");
            let record = record::encode(sighting)?;
            letters.push(Letter { at: sighting.at, origin: "database".into(), reason, record });
        }
        self.letters.extend(letters);
        self.sightings.clear();
        Ok(())
    }

    fn count(&mut self, new: u64, collisions: u64) {
        self.new += new;
        counter!("metric_index_new_series_total").increment(new);
        counter!("metric_index_collisions_total").increment(collisions);
    }

    /// Returns the place behind the last record of each partition.
    pub(super) fn offsets(&self) -> KafkaResult<TopicPartitionList> {
        let mut list = TopicPartitionList::new();
        for ((topic, partition), next) in &self.next {
            list.add_partition_offset(topic, *partition, Offset::Offset(*next))?;
        }
        Ok(list)
    }

    /// Returns the number of records that became dead letters.
    pub(super) fn dead(&self) -> usize {
        self.letters.len()
    }
}

fn now() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_millis()).unwrap_or_default()
}
