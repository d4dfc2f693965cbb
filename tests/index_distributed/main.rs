//! The distributed engine of metric-index with real Redis, Kafka, MariaDB, Prometheus, vmagent and VictoriaMetrics.

mod fleet;
mod order;
mod stores;
