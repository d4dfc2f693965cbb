//! New series through Kafka into MariaDB by one indexer.

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, ensure};
use pushring_harness::{Kafka, MariaDb, MetricIndex};
use serde_json::json;

use crate::report::{Goal, Report, micros};
use crate::requests::{BATCH, Requests};
use crate::sender::{fill, wait_for};

/// Series of the topic.
pub(crate) const SERIES: usize = 200_000;

/// Fills the topic first; then one indexer reads it.
pub(crate) fn measure(dir: &Path, requests: &Requests, report: &mut Report) -> Result<()> {
    let kafka = Kafka::start(dir)?;
    let mut mariadb = MariaDb::start(dir)?;
    let config = |role: &str| {
        json!({
            "app": {"role_type": role},
            "mysql": {"host": "127.0.0.1", "port": mariadb.address.port(), "db_name": "metrics"},
            "metric_store": {
                "producer": {"hosts": [kafka.address], "topic": "series"},
                "consummer": {"hosts": [kafka.address], "topics": ["series"], "group_id": "bench"},
            },
        })
    };
    let (producer, consumer) = (config("gateway"), config("indexer"));
    let mut gateway = MetricIndex::start(dir, "gateway", &producer)?;
    let cpu = gateway.process().cpu_time()?;
    let bodies = requests.bodies.get(..SERIES / BATCH).unwrap_or(&requests.bodies);
    let series = fill(&gateway, requests.version, bodies)?;
    let produced = micros(gateway.process().cpu_time()? - cpu, series);
    drop(gateway);
    report.fact(
        "µs of CPU of a gateway for a new series into Kafka",
        produced,
        "acknowledged; without Redis",
    );

    let mut indexer = MetricIndex::start(dir, "indexer", &consumer)?;
    let recorded = |indexer: &MetricIndex| indexer.metric("metric_index_new_series_total");
    // Joining the group takes seconds that are not work.
    wait_for("the indexer", || recorded(&indexer), 1.0)?;
    let first = recorded(&indexer)?;
    let (began, own, theirs) = (Instant::now(), indexer.process().cpu_time()?, mariadb.process().cpu_time()?);
    wait_for("the indexer", || recorded(&indexer), series as f64)?;
    let (time, found) = (began.elapsed(), recorded(&indexer)?);
    ensure!(found == series as f64, "{found} new series, expected {series}");
    let rest = series - first as usize;
    let (own, theirs) = (indexer.process().cpu_time()? - own, mariadb.process().cpu_time()? - theirs);
    report.goal(
        "new series a second into MariaDB, one indexer",
        Goal::AtLeast(8_000.0),
        rest as f64 / time.as_secs_f64(),
        format!(
            "wall time of this machine; {:.1} µs of CPU of the indexer and {:.1} of MariaDB a series",
            micros(own, rest),
            micros(theirs, rest)
        ),
    );
    Ok(())
}
