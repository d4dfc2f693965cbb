//! The place where series become durable, and the set of those that are, if gateways share one.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Result;
use metrics::counter;
use pushring_index::{Key, Sighting};

use super::kafka::{self, Kafka};
use super::redis::{Mark, Redis, Shared};
use super::{Fresh, touch};
use crate::catalogue::Catalogue;
use crate::config::Config;

/// The place, behind the set.
pub(crate) struct Sink {
    redis: Option<Redis>,
    place: Place,
}

enum Place {
    /// The catalogue of this process, or that of all.
    Catalogue(Arc<Catalogue>),
    /// The topic, from which indexers write the catalogue.
    Kafka(Kafka),
}

impl Sink {
    /// Prepares what a configuration names; nothing has to be up.
    ///
    /// # Errors
    /// If the configuration is wrong.
    pub(crate) fn new(config: &Config, catalogue: Arc<Catalogue>) -> Result<Self> {
        let place = match &config.metric_store.producer {
            Some(producer) => Place::Kafka(Kafka::new(producer)?),
            None => Place::Catalogue(catalogue),
        };
        Ok(Self { redis: Redis::new(config)?, place })
    }

    /// Stores a batch; it is durable when this returns. Only then Redis hears of it. Returns the number of new series of each
    /// tenant; to Kafka, without Redis, every series is new.
    ///
    /// # Errors
    /// If the place is away: nothing of the batch is marked then, and it must be stored again.
    pub(super) async fn store(&self, batch: &[Fresh]) -> Result<HashMap<String, usize>> {
        let ids: Vec<Key> = batch.iter().map(|fresh| fresh.id).collect();
        let shared = match &self.redis {
            Some(redis) => redis.knows(&ids).await,
            None => vec![Shared::Unknown; ids.len()],
        };
        let of = |wanted| {
            let pairs = batch.iter().zip(&shared);
            pairs.filter(move |(_, found)| **found == wanted).map(|(fresh, _)| fresh)
        };
        counter!("metric_index_known_total", "level" => "redis")
            .increment((ids.len() - of(Shared::Unknown).count()) as u64);
        let mut new_of: HashMap<String, usize> = HashMap::new();
        match &self.place {
            Place::Catalogue(catalogue) => {
                let series = of(Shared::Unknown).chain(of(Shared::Due));
                let sightings: Vec<Sighting> = series.map(|fresh| fresh.sighting.clone()).collect();
                for (tenant, recorded) in catalogue.record_by_tenant(&sightings).await? {
                    counter!("metric_index_new_series_total").increment(recorded.new);
                    counter!("metric_index_collisions_total").increment(recorded.collisions);
                    new_of.insert(tenant, recorded.new as usize);
                }
            }
            Place::Kafka(kafka) => {
                let new: Vec<&Sighting> = of(Shared::Unknown).map(|fresh| &fresh.sighting).collect();
                let touches = touch::group(of(Shared::Due).map(|fresh| &fresh.sighting));
                kafka.store(&new, &touches).await?;
                counter!("metric_index_produced_total").increment(new.len() as u64);
                for sighting in new {
                    *new_of.entry(sighting.tenant.clone()).or_default() += 1;
                }
            }
        }
        if let Some(redis) = &self.redis {
            let new = of(Shared::Unknown).map(|fresh| Mark { id: fresh.id, is_known: false });
            redis.mark(new.chain(of(Shared::Due).map(|fresh| Mark { id: fresh.id, is_known: true })));
        }
        Ok(new_of)
    }

    /// Returns whether an error says that the place is away, so that no series of the batch is at fault.
    pub(super) fn is_away(&self, error: &anyhow::Error) -> bool {
        matches!(self.place, Place::Kafka(_)) && !kafka::is_bad_record(error)
    }

    /// Writes what waits for Redis.
    pub(super) async fn end(self) {
        if let Some(redis) = self.redis {
            redis.end().await;
        }
    }
}
