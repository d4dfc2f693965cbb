//! The spool, sent to the target in order when it is back.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::http::StatusCode;
use metrics::counter;
use pushring_index::body::{self, BodyLimits};
use pushring_index::wire::{Counts, v2};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};
use tracing::{error, warn};

use super::spool::Spool;
use super::{Forward, Outbound, Outcome, rewrite};
use crate::config::Limits;
use crate::gateway::Version;

/// Pauses after an attempt that failed.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(5);

impl Forward {
    /// Replays the spool for as long as the process runs.
    pub(crate) async fn replay(self: Arc<Self>) {
        let Some(spool) = self.spool.clone() else { return };
        let mut pause = FIRST_PAUSE;
        loop {
            let Some(number) = spool.first() else {
                spool.added.notified().await;
                continue;
            };
            match self.replay_one(&spool, number).await {
                Ok(true) => pause = FIRST_PAUSE,
                Ok(false) => {
                    // Another target ends the pause.
                    let is_changed = timeout(pause, self.changed.notified()).await.is_ok();
                    pause = if is_changed { FIRST_PAUSE } else { (pause * 2).min(MAX_PAUSE) };
                }
                Err(error) => {
                    error!(error = format!("{error:#}"), "the spool cannot be read; trying again");
                    sleep(MAX_PAUSE).await;
                }
            }
        }
    }

    /// Returns whether the record is done: the target has it, or will never accept it.
    async fn replay_one(&self, spool: &Arc<Spool>, number: u64) -> anyhow::Result<bool> {
        let Some(target) = self.target() else { return Ok(false) };
        let (from, limits, protocol) = (spool.clone(), self.limits(), target.protocol());
        let read = move || anyhow::Ok(from.read(number)?.map(|outbound| fit(outbound, protocol, &limits)));
        match spawn_blocking(read).await?? {
            // It is damaged, and not in the spool any more.
            None => return Ok(true),
            Some(Err(fault)) => self.reject(&fault),
            Some(Ok(outbound)) => {
                let Outcome::Answer(answer) = self.send(&target, &outbound).await else { return Ok(false) };
                match answer.status {
                    status if status.is_success() => counter!("metric_index_replayed_total").increment(1),
                    // These speak about the body. All others, such as 401 and 404, speak about the configuration.
                    StatusCode::BAD_REQUEST
                    | StatusCode::CONFLICT
                    | StatusCode::UNSUPPORTED_MEDIA_TYPE
                    | StatusCode::UNPROCESSABLE_ENTITY => {
                        self.reject(String::from_utf8_lossy(&answer.body).trim());
                    }
                    _ => return Ok(false),
                }
            }
        }
        let from = spool.clone();
        spawn_blocking(move || from.remove(number)).await??;
        Ok(true)
    }

    /// Counts a request of the spool that the target does not accept: its sender got a success and cannot know.
    fn reject(&self, error: &str) {
        counter!("metric_index_spool_rejected_total").increment(1);
        if !self.has_rejected.swap(true, Ordering::Relaxed) {
            warn!(
                error,
                "the target rejects a request of the spool; metric_index_spool_rejected_total counts them"
            );
        }
    }
}

/// Converts a request that was added when the target took another version.
///
/// # Errors
/// The reason why nothing of it can be written.
fn fit(mut outbound: Outbound, protocol: u8, limits: &Limits) -> Result<Outbound, String> {
    if outbound.version == Version::V1 || protocol == 2 {
        return Ok(outbound);
    }
    let sizes = BodyLimits { compressed: usize::MAX, plain: limits.max_plain_bytes };
    let mut buffer = Vec::new();
    let plain = body::decompress(outbound.encoding(), &outbound.body, sizes, &mut buffer);
    let plain = plain.map_err(|error| error.to_string())?;
    let request = v2::Request::new(plain).map_err(|error| error.to_string())?;
    let mut counts = Counts::default();
    request.series().flatten().for_each(|series| counts += series.counts());
    let rewritten = rewrite((Version::V2, plain), (counts, &[]), protocol, limits);
    let is_empty = match rewritten.map_err(|error| error.to_string())? {
        Some(rewritten) => !outbound.rewrite(rewritten),
        None => false,
    };
    if is_empty { Err("it has native histograms only".to_owned()) } else { Ok(outbound) }
}
