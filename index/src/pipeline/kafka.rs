//! The topics, and the client that writes them: a record is durable when the brokers that are in sync have it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use metrics::{counter, histogram};
use pushring_index::Sighting;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::KafkaError;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use rdkafka::types::RDKafkaErrorCode;
use tracing::warn;

use super::record;
use super::touch::{self, Touch};
use crate::config;

/// Longest time until a record is acknowledged; then its batch is tried again.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The client that writes.
pub(crate) struct Kafka {
    config: ClientConfig,
    /// Replaced after a fatal error.
    producer: Mutex<FutureProducer>,
    topic: String,
    touch: String,
    /// The topics exist.
    are_created: AtomicBool,
}

impl Kafka {
    /// Prepares the client, which connects in the background.
    ///
    /// # Errors
    /// If the configuration is wrong.
    pub(crate) fn new(settings: &config::Producer) -> Result<Self> {
        let mut config = client(&settings.hosts);
        config
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("compression.type", "lz4")
            .set("linger.ms", "5")
            .set("message.timeout.ms", TIMEOUT.as_millis().to_string());
        let producer = Mutex::new(config.create().context("metric_store.producer")?);
        let (topic, touch) = (settings.topic.clone(), touch::topic(&settings.topic));
        Ok(Self { config, producer, topic, touch, are_created: AtomicBool::new(false) })
    }

    /// Writes new series, and known ones by their keys. Both are durable when it returns.
    ///
    /// # Errors
    /// If a record is not acknowledged. Others may be; they are written again, which changes nothing.
    pub(super) async fn store(&self, new: &[&Sighting], touches: &[Touch]) -> Result<()> {
        if !self.are_created.load(Ordering::Relaxed) {
            let admin = client_of(&self.config)?;
            create_topics(&admin, [self.topic.as_str()].into_iter()).await?;
            self.are_created.store(true, Ordering::Relaxed);
        }
        let began = Instant::now();
        let series =
            new.iter().map(|new| Ok((self.topic.as_str(), new.key.to_string(), record::encode(new)?)));
        let known = touches.iter().map(|touch| Ok((self.touch.as_str(), touch.key(), touch.encode()?)));
        let records = series.chain(known).collect::<Result<Vec<_>>>()?;
        let sent = self.send(&records).await;
        histogram!("metric_index_kafka_seconds").record(began.elapsed());
        if sent.is_err() {
            counter!("metric_index_failures_total", "server" => "kafka").increment(1);
        }
        sent
    }

    async fn send(&self, records: &[(&str, String, Vec<u8>)]) -> Result<()> {
        let producer = self.producer()?;
        let mut deliveries = Vec::with_capacity(records.len());
        let mut failed = None;
        for (topic, key, value) in records {
            match producer.send_result(FutureRecord::to(topic).key(key).payload(value)) {
                Ok(delivery) => deliveries.push(delivery),
                Err((error, _)) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        for delivery in deliveries {
            if let Err((error, _)) = delivery.await.map_err(|_| anyhow!("the client of Kafka has ended"))? {
                failed = Some(error);
            }
        }
        failed.map_or(Ok(()), |error| Err(error).context("Kafka did not acknowledge a record"))
    }

    /// Returns the client; a new one after a fatal error, which the library does not recover from.
    fn producer(&self) -> Result<FutureProducer> {
        let mut producer = self.producer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((code, text)) = producer.client().fatal_error() {
            warn!(code = code.to_string(), text, "the client of Kafka starts again");
            *producer = self.config.create()?;
        }
        Ok(producer.clone())
    }
}

/// Returns whether a record itself is at fault, so that its neighbors must be written without it.
pub(super) fn is_bad_record(error: &anyhow::Error) -> bool {
    use RDKafkaErrorCode::{InvalidRecord, MessageSizeTooLarge};
    let code = error.downcast_ref::<KafkaError>().and_then(KafkaError::rdkafka_error_code);
    matches!(code, Some(InvalidRecord | MessageSizeTooLarge))
}

/// Returns the settings that all clients share.
pub(super) fn client(hosts: &[String]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", hosts.join(","))
        .set("client.id", "metric-index")
        .set("socket.timeout.ms", "10000")
        .set("reconnect.backoff.max.ms", "2000");
    config
}

/// Returns a client that creates topics.
pub(super) fn client_of(config: &ClientConfig) -> Result<AdminClient<DefaultClientContext>> {
    let mut shared = ClientConfig::new();
    for name in ["bootstrap.servers", "client.id", "socket.timeout.ms"] {
        shared.set(name, config.get(name).unwrap_or_default());
    }
    shared.create().context("the client of Kafka")
}

/// Creates the topics with their second ones, with the broker's own number of partitions and copies. Existing topics stay
/// as they are.
pub(super) async fn create_topics(
    admin: &AdminClient<DefaultClientContext>,
    topics: impl Iterator<Item = &str>,
) -> Result<()> {
    let names: Vec<_> = topics.map(|main| (main, touch::topic(main))).collect();
    let mut new = Vec::new();
    for (main, touch) in &names {
        // The newest record of each series stays: the topic is the catalogue.
        new.push(NewTopic::new(main, -1, TopicReplication::Fixed(-1)).set("cleanup.policy", "compact"));
        new.push(NewTopic::new(touch, -1, TopicReplication::Fixed(-1)).set("cleanup.policy", "delete"));
    }
    let options = AdminOptions::new().request_timeout(Some(TIMEOUT)).operation_timeout(Some(TIMEOUT));
    for created in admin.create_topics(&new, &options).await.context("Kafka is away")? {
        match created {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            // An operator may have created the topics and allow no more.
            Err((topic, code)) => warn!(topic, code = code.to_string(), "Kafka does not create the topic"),
        }
    }
    Ok(())
}
