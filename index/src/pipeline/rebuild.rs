//! The catalogue again, from the topic: it is compacted, so that it has the newest record of every series.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};
use tokio::time::timeout;

use super::inbox::Inbox;
use super::kafka;
use crate::catalogue::Catalogue;
use crate::config;

/// Most records of a batch.
const BATCH: usize = 2_000;
/// Longest time without a record.
const PATIENCE: Duration = Duration::from_secs(60);

/// The result.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Rebuilt {
    /// Records that were read.
    pub(crate) records: u64,
    /// Series that the catalogue did not have.
    pub(crate) new: u64,
    /// Records that could not be read.
    pub(crate) dead: u64,
}

/// Reads all topics from their begin to the end that they have now; the offsets of the indexers stay.
///
/// # Errors
/// If Kafka or the database is away: what was read is in the catalogue, and the command can run again.
pub(crate) async fn rebuild(settings: &config::Consumer, catalogue: &Catalogue) -> Result<Rebuilt> {
    let mut rebuilt = Rebuilt::default();
    for topic in &settings.topics {
        read(settings, topic, catalogue, &mut rebuilt).await?;
    }
    Ok(rebuilt)
}

async fn read(
    settings: &config::Consumer,
    topic: &str,
    catalogue: &Catalogue,
    rebuilt: &mut Rebuilt,
) -> Result<()> {
    let mut config = kafka::client(&settings.hosts);
    config
        .set("group.id", format!("{}-rebuild", settings.group_id))
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true");
    let consumer: StreamConsumer = config.create().context("metric_store.consummer")?;
    let metadata = tokio::task::block_in_place(|| consumer.fetch_metadata(Some(topic), PATIENCE));
    let metadata = metadata.context("Kafka is away")?;
    let partitions = metadata.topics().first().map(|topic| topic.partitions()).unwrap_or_default();
    ensure!(!partitions.is_empty(), "Kafka has no topic {topic}");
    let mut left: BTreeSet<i32> = partitions.iter().map(|partition| partition.id()).collect();
    let mut list = TopicPartitionList::new();
    for partition in &left {
        list.add_partition_offset(topic, *partition, Offset::Beginning)?;
    }
    consumer.assign(&list)?;

    let mut inbox = Inbox::default();
    while !left.is_empty() {
        match timeout(PATIENCE, consumer.recv()).await {
            Ok(Ok(message)) => inbox.add(&message),
            Ok(Err(KafkaError::PartitionEOF(partition))) => drop(left.remove(&partition)),
            Ok(Err(error)) => return Err(error).context("Kafka cannot be read"),
            Err(_) => bail!("Kafka returned nothing of {topic} for {} s", PATIENCE.as_secs()),
        }
        if inbox.len() >= BATCH || left.is_empty() {
            inbox.store(catalogue, 0).await.context("the database is away")?;
            rebuilt.records += inbox.len() as u64;
            rebuilt.new += inbox.new;
            rebuilt.dead += inbox.dead() as u64;
            inbox = Inbox::default();
        }
    }
    Ok(())
}
