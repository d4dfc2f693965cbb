//! Another configuration for a server that runs: at SIGHUP, and when the file changes.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use metrics::gauge;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

use crate::config::Config;

/// Interval at which the file is looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// Reads a file again when it changes, and applies it if it is valid. An invalid one changes nothing.
pub(super) async fn follow(
    file: &Path,
    mut config: Arc<Config>,
    read: impl Fn() -> anyhow::Result<Config>,
    apply: impl Fn(Arc<Config>),
) -> anyhow::Result<()> {
    let mut hangup = signal(SignalKind::hangup()).context("SIGHUP")?;
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = version(file);
    let mut before = last;
    loop {
        let is_asked = tokio::select! {
            _ = hangup.recv() => true,
            _ = ticks.tick() => false,
        };
        let now = version(file);
        // An editor may have removed the file for a moment, or not have written the end yet.
        let is_settled = std::mem::replace(&mut before, now) == now;
        if !is_asked && (now.is_none() || now == last || !is_settled) {
            continue;
        }
        last = now;
        match read() {
            Ok(new) => {
                gauge!("metric_index_config_last_reload_successful").set(1.0);
                let fixed = needs_restart(&config, &new);
                if !fixed.is_empty() {
                    warn!(
                        sections = fixed.join(", "),
                        "these changes need a restart; all others are in effect"
                    );
                }
                let new = Arc::new(new);
                apply(new.clone());
                info!("the configuration was read again");
                config = new;
            }
            Err(error) => {
                gauge!("metric_index_config_last_reload_successful").set(0.0);
                warn!(error = format!("{error:#}"), "the last configuration stays");
            }
        }
    }
}

/// Returns the changed sections that only a start reads.
fn needs_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    let (old_store, new_store) = (&old.metric_store, &new.metric_store);
    let spool = |config: &Config| Some(config.target()?.spool.as_ref()?.path.clone());
    let sections = [
        ("app", old.app != new.app),
        ("log", old.log != new.log),
        ("mysql", old.mysql != new.mysql),
        ("redis", old.redis != new.redis),
        ("metric_store.cache.max_series", old_store.cache.max_series != new_store.cache.max_series),
        ("metric_store.producer", old_store.producer != new_store.producer),
        ("metric_store.consummer", old_store.consumer != new_store.consumer),
        ("remote.send", old.remote.send != new.remote.send),
        ("remote.write.spool.path", spool(old) != spool(new)),
        ("catalogue", old.catalogue != new.catalogue),
        ("limits.max_inflight_bytes", old.limits.max_inflight_bytes != new.limits.max_inflight_bytes),
    ];
    sections.into_iter().filter(|(_, is_other)| *is_other).map(|(name, _)| name).collect()
}

/// Differs after every change of a file, also if another file moves to its place.
fn version(file: &Path) -> Option<(u64, u64, i64, i64)> {
    let file = std::fs::metadata(file).ok()?;
    Some((file.ino(), file.size(), file.mtime(), file.mtime_nsec()))
}
