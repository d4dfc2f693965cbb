//! The server's own metrics, all with the prefix `metric_index_`.

use anyhow::Context;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

/// Starts recording.
///
/// # Errors
/// If the process has a recorder already.
pub(crate) fn start() -> anyhow::Result<PrometheusHandle> {
    let handle = PrometheusBuilder::new().install_recorder().context("the recorder of metrics")?;
    let build = [("version", env!("CARGO_PKG_VERSION")), ("commit", crate::COMMIT)];
    metrics::gauge!("metric_index_build_info", &build).set(1.0);
    Ok(handle)
}
