//! `PUT /api/v1/admin/wipe`: deletes every group on every gateway.

use std::sync::Arc;

use anyhow::{Context, ensure};
use pushring_router::{Config, labels_to_path};
use tokio::task::JoinSet;
use tracing::warn;

use super::reader::Reader;
use super::reading::Target;
use crate::gateway::client::Gateway;

/// Wipes all gateways at the same time.
///
/// # Errors
/// The gateways that still have groups, one line each, with the reason.
pub(super) async fn all(reader: &Arc<Reader>) -> Result<(), String> {
    let (fleet, targets) = reader.members().await?;
    let mut tasks = JoinSet::new();
    for Target { gateway, .. } in targets {
        let fleet = fleet.clone();
        tasks.spawn_blocking(move || {
            let result = one(&gateway, fleet.router.config());
            result.map_err(|error| format!("{}: {error:#}\n", gateway.name()))
        });
    }
    let results = tasks.join_all().await;
    let failed: String = results.into_iter().filter_map(Result::err).collect();
    warn!(failed = failed.lines().count(), "wiped all gateways");
    if failed.is_empty() { Ok(()) } else { Err(failed) }
}

/// Wipes one gateway by its own admin API, or, if it has none, group by group.
fn one(gateway: &Gateway, config: &Config) -> anyhow::Result<()> {
    if gateway.wipe()? {
        return Ok(());
    }
    let mut kept = 0;
    for group in gateway.groups()? {
        let labels = group.labels.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let path = labels_to_path(&config.path_prefix, config.utf8_names, labels)
            .filter(|_| group.ambiguity.is_none());
        match path {
            Some(path) => gateway.delete(&path).with_context(|| path.clone())?,
            None => kept += 1,
        }
    }
    let found = "groups whose labels its API does not show, or without a push path";
    ensure!(kept == 0, "kept {kept} {found}; start it with --web.enable-admin-api");
    Ok(())
}
