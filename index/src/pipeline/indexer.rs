//! From the topics to the catalogue: a batch of records, then the transaction, then the commit of the offsets. A crash between
//! the two only repeats the batch, which changes nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use metrics::{counter, gauge, histogram};
use rdkafka::ClientContext;
use rdkafka::consumer::{CommitMode, Consumer, ConsumerContext, StreamConsumer};
use rdkafka::statistics::Statistics;
use tokio::sync::watch;
use tokio::time::{sleep, timeout_at};
use tracing::{info, warn};

use super::inbox::Inbox;
use super::{kafka, touch};
use crate::catalogue::Catalogue;
use crate::config::{self, OffsetType};

/// Most records of a batch.
const BATCH: usize = 2_000;
/// Time for a batch to fill.
const LINGER: Duration = Duration::from_millis(100);
/// Longest pause after a failure.
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// The consumer of the topics.
pub(crate) struct Indexer {
    consumer: Arc<StreamConsumer<Lag>>,
    catalogue: Arc<Catalogue>,
}

/// Counts the records that wait.
pub(crate) struct Lag;

impl ClientContext for Lag {
    fn stats(&self, statistics: Statistics) {
        let partitions = statistics.topics.values().flat_map(|topic| topic.partitions.values());
        let lag: i64 = partitions.map(|partition| partition.consumer_lag.max(0)).sum();
        gauge!("metric_index_lag").set(lag as f64);
    }
}

impl ConsumerContext for Lag {}

impl Indexer {
    /// Prepares the client, which connects in the background.
    ///
    /// # Errors
    /// If the configuration is wrong.
    pub(crate) fn new(settings: &config::Consumer, catalogue: Arc<Catalogue>) -> Result<Self> {
        let oldest = settings.offset_type == OffsetType::Oldest;
        if !oldest {
            warn!(
                "metric_store.consummer.offset_type is newest: a group without offsets skips the series that are in the topic, \
                 and no gateway sends them again before Redis forgets them"
            );
        }
        let mut config = kafka::client(&settings.hosts);
        config
            .set("group.id", &settings.group_id)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", if oldest { "earliest" } else { "latest" })
            // The partitions of an indexer that was killed are soon read by another one.
            .set("session.timeout.ms", "10000")
            .set("statistics.interval.ms", "5000");
        let consumer: StreamConsumer<Lag> =
            config.create_with_context(Lag).context("metric_store.consummer")?;
        let both: Vec<String> =
            settings.topics.iter().flat_map(|main| [main.clone(), touch::topic(main)]).collect();
        let both: Vec<&str> = both.iter().map(String::as_str).collect();
        consumer.subscribe(&both).context("metric_store.consummer.topics")?;
        Ok(Self { consumer: Arc::new(consumer), catalogue })
    }

    /// Reads until the end is announced. The batch that is under way is written, unless the database is away.
    pub(crate) async fn run(self, mut ending: watch::Receiver<bool>) {
        let end = |ending: &watch::Receiver<bool>| *ending.borrow();
        while !end(&ending) {
            let gathered = tokio::select! {
                inbox = self.gather() => inbox,
                _ = ending.wait_for(|ends| *ends) => break,
            };
            if let Some(inbox) = self.write(gathered, &mut ending).await {
                self.commit(inbox).await;
            }
        }
    }

    /// Waits for records.
    async fn gather(&self) -> Inbox {
        let mut inbox = Inbox::default();
        let mut end = None;
        let mut was_away = false;
        while inbox.len() < BATCH {
            let received = match end {
                None => self.consumer.recv().await,
                Some(end) => match timeout_at(end, self.consumer.recv()).await {
                    Ok(received) => received,
                    Err(_) => break,
                },
            };
            match received {
                Ok(message) => {
                    inbox.add(&message);
                    end.get_or_insert_with(|| tokio::time::Instant::now() + LINGER);
                }
                Err(error) => {
                    counter!("metric_index_failures_total", "server" => "kafka").increment(1);
                    if !was_away {
                        warn!(error = error.to_string(), "Kafka cannot be read; trying again");
                    }
                    was_away = true;
                    sleep(Duration::from_millis(200)).await;
                }
            }
        }
        inbox
    }

    /// Writes records for as long as it takes. Returns nothing if the end comes first.
    async fn write(&self, mut inbox: Inbox, ending: &mut watch::Receiver<bool>) -> Option<Inbox> {
        let (mut failures, mut pause) = (0, Duration::from_millis(100));
        loop {
            let began = Instant::now();
            let Err(error) = inbox.store(&self.catalogue, failures).await else {
                histogram!("metric_index_sql_seconds").record(began.elapsed());
                if failures > 0 {
                    info!("the database takes series again");
                    let _ = self.consumer.assignment().and_then(|all| self.consumer.resume(&all));
                }
                return Some(inbox);
            };
            counter!("metric_index_failures_total", "server" => "database").increment(1);
            if failures == 0 {
                warn!(error = format!("{error:#}"), "the database is away; trying again");
            }
            failures += 1;
            tokio::select! {
                () = self.idle(&mut inbox, pause) => {}
                _ = ending.wait_for(|ends| *ends) => return None,
            }
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }

    /// Keeps the place in the group without reading on.
    async fn idle(&self, inbox: &mut Inbox, pause: Duration) {
        let end = tokio::time::Instant::now() + pause;
        loop {
            // Also the partitions that came in the meantime.
            let _ = self.consumer.assignment().and_then(|all| self.consumer.pause(&all));
            match timeout_at(end, self.consumer.recv()).await {
                Err(_) => return,
                Ok(Ok(message)) => inbox.add(&message),
                Ok(Err(_)) => sleep(Duration::from_millis(200)).await,
            }
        }
    }

    /// Commits the offsets behind what the database has.
    async fn commit(&self, inbox: Inbox) {
        let consumer = self.consumer.clone();
        let commit = move || consumer.commit(&inbox.offsets()?, CommitMode::Sync);
        let committed = tokio::task::spawn_blocking(commit).await;
        if let Ok(Err(error)) = committed {
            // The records come again, or the next commit is behind them, too.
            counter!("metric_index_failures_total", "server" => "kafka").increment(1);
            warn!(error = error.to_string(), "Kafka did not commit the offsets");
        }
    }
}
