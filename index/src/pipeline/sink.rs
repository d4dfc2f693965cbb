//! The place where series become durable.

use std::sync::Arc;

use metrics::counter;
use pushring_index::Sighting;

use super::Fresh;
use crate::catalogue::Catalogue;

/// A place where series become durable.
pub(crate) enum Sink {
    /// The catalogue of this process.
    Catalogue(Arc<Catalogue>),
}

impl Sink {
    /// Stores a batch; it is durable when this returns.
    pub(super) async fn store(&self, batch: &[Fresh]) -> anyhow::Result<()> {
        match self {
            Self::Catalogue(catalogue) => {
                let sightings: Vec<Sighting> = batch.iter().map(|fresh| fresh.sighting.clone()).collect();
                let recorded = catalogue.record(&sightings).await?;
                counter!("metric_index_new_series_total").increment(recorded.new);
                counter!("metric_index_collisions_total").increment(recorded.collisions);
                Ok(())
            }
        }
    }
}
