//! `metric-index rebuild`.

use std::path::PathBuf;

use crate::catalogue::Catalogue;
use crate::config::Config;
use crate::error::{BadInput, ExitStatus};
use crate::log;
use crate::pipeline::{self, Rebuilt};

/// Write the catalogue again from the topic of Kafka, which has the newest record of every series
///
/// Reads the topic from its begin to the end that it has now. The catalogue may be empty or not, and servers may run: what
/// is there stays. The offsets of the indexers do not change.
#[derive(clap::Args)]
#[command(after_help = "\
Exit codes: 0 done; 1 Kafka or the database is away, run it again; 2 wrong usage or invalid configuration.

Example:
  metric-index rebuild --config /etc/metric-index.yaml")]
pub(crate) struct RebuildArgs {
    /// Configuration file of an indexer
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

impl RebuildArgs {
    pub(crate) fn run(self) -> anyhow::Result<ExitStatus> {
        let config = Config::read(&self.config)?;
        let Some(consumer) = &config.metric_store.consumer else {
            let text = format!(
                "{}: metric_store.consummer: missing; expected the hosts and topics of Kafka",
                self.config.display()
            );
            return Err(BadInput(text).into());
        };
        log::start(config.log.level.filter());
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let Rebuilt { records, new, dead } = runtime.block_on(async {
            let catalogue = Catalogue::of(&config).await?;
            pipeline::rebuild(consumer, &catalogue).await
        })?;
        println!(
            "{records} records read, {new} series new in the catalogue, {dead} records not readable (table dead_letter)"
        );
        Ok(ExitStatus::Done)
    }
}
