//! Writes in line: each is passed on to the target before it is answered. A write that the target cannot take now is answered
//! 503, so that the sender keeps it, or goes to the spool if there is one.

mod headers;
mod outbound;
mod replay;
mod spool;
mod target;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tracing::{error, info, warn};

use crate::config::{Config, Limits};
pub(crate) use outbound::{Outbound, Rewritten, rewrite};
use spool::{Refusal, Spool};
pub(crate) use target::{Answer, Away, Outcome, Target};

/// The target of `remote.write`; none if the index only listens.
#[derive(Debug)]
pub(crate) struct Forward {
    target: RwLock<Option<Arc<Target>>>,
    limits: RwLock<Limits>,
    spool: Option<Arc<Spool>>,
    /// There is another target.
    changed: Notify,
    /// Whether the last attempt failed, and whether the target has rejected a request of the spool: for the log.
    is_away: AtomicBool,
    has_rejected: AtomicBool,
}

/// The fate of a request.
#[derive(Debug)]
pub(crate) enum Passed {
    /// The target has answered.
    Answered(Answer),
    /// It is in the spool.
    Spooled,
    /// It is nowhere; the sender must repeat it.
    Failed(Away),
}

impl Forward {
    /// Creates it, without a connection, and opens the spool.
    ///
    /// # Errors
    /// If the client of the target cannot be made, or the spool cannot be opened.
    pub(crate) fn new(config: &Config) -> anyhow::Result<Self> {
        let spool = config.target().and_then(|write| write.spool.as_ref());
        let forward = Self {
            target: RwLock::default(),
            limits: RwLock::default(),
            spool: spool.map(Spool::open).transpose()?.map(Arc::new),
            changed: Notify::new(),
            is_away: AtomicBool::new(false),
            has_rejected: AtomicBool::new(false),
        };
        forward.configure(config)?;
        Ok(forward)
    }

    /// Takes the target of another configuration. Requests under way end at the one that they began with.
    ///
    /// # Errors
    /// If the client of the target cannot be made; the last one stays then.
    pub(crate) fn configure(&self, config: &Config) -> anyhow::Result<()> {
        *self.limits.write().unwrap_or_else(PoisonError::into_inner) = config.limits.clone();
        let new = config.target();
        if let (Some(spool), Some(new)) = (&self.spool, new.and_then(|write| write.spool.as_ref())) {
            spool.set_max_bytes(new.max_bytes);
        }
        // The same target keeps its connections.
        if self.target().as_deref().map(Target::config) != new {
            let new = new.map(Target::new).transpose()?.map(Arc::new);
            *self.target.write().unwrap_or_else(PoisonError::into_inner) = new;
            self.changed.notify_one();
        }
        Ok(())
    }

    /// Returns the target.
    pub(crate) fn target(&self) -> Option<Arc<Target>> {
        self.target.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn limits(&self) -> Limits {
        self.limits.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Passes a request on, or adds it to the spool: if the target is away, or others wait there, which it must not overtake.
    pub(crate) async fn pass(&self, target: &Target, outbound: Outbound) -> Passed {
        let waiting = self.spool.as_ref().filter(|spool| !spool.is_empty());
        if let Some(spool) = waiting {
            return add(spool, outbound, None).await;
        }
        match (self.send(target, &outbound).await, &self.spool) {
            (Outcome::Answer(answer), _) => Passed::Answered(answer),
            (Outcome::Away(away), None) => Passed::Failed(away),
            (Outcome::Away(away), Some(spool)) => add(spool, outbound, Some(away)).await,
        }
    }

    /// Sends a request once, and logs the first failure and the first success after it.
    async fn send(&self, target: &Target, outbound: &Outbound) -> Outcome {
        let outcome = target.send(outbound).await;
        let is_away = matches!(outcome, Outcome::Away(_));
        let was_away = self.is_away.swap(is_away, Ordering::Relaxed);
        match &outcome {
            Outcome::Away(away) if !was_away => warn!(error = away.text, "the target of writes is away"),
            Outcome::Answer(_) if was_away => info!("the target of writes is back"),
            _ => {}
        }
        outcome
    }
}

/// Adds a request to the spool. `away` is the failure of the target, if it was asked.
async fn add(spool: &Arc<Spool>, outbound: Outbound, away: Option<Away>) -> Passed {
    let spool = spool.clone();
    let added = spawn_blocking(move || spool.add(&outbound)).await;
    let (reason, text) = match added {
        Ok(Ok(())) => return Passed::Spooled,
        Ok(Err(Refusal::Full)) => ("spool full", "the spool is full".to_owned()),
        Ok(Err(Refusal::Failed(error))) => {
            error!(error = format!("{error:#}"), "a request cannot be added to the spool");
            ("spool", "the spool cannot be written".to_owned())
        }
        Err(_) => ("spool", "the spool cannot be written".to_owned()),
    };
    metrics::counter!("metric_index_forward_failures_total", "reason" => reason).increment(1);
    let retry_after = away.as_ref().and_then(|away| away.retry_after.clone());
    let text = away.map_or_else(|| text.clone(), |away| format!("{text}, and {}", away.text));
    Passed::Failed(Away { reason, text, retry_after })
}
