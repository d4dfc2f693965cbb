//! A lock in Kubernetes: a Lease, used as by the controllers of Kubernetes themselves.
//!
//! The holder writes its identity and renews the time. Clocks of machines may differ, so a candidate compares no times: a
//! Lease is free when it did not change for its duration, as this candidate saw it. Updates name the version that they
//! replace; of two candidates, the API server accepts one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::ensure;
use jiff::Timestamp;
use reqwest::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::access::{KubernetesArgs, check_label};
use super::client::{Failure, Kubernetes, TIMEOUT};
use crate::http::AnswerLimits;
use crate::lock::held::{LOCK_DELAY, TTL};
use crate::lock::identity;
use crate::lock::store::{Holder, Store};

/// Interval at which a standby looks.
const STANDBY: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(crate) struct LeaseLock {
    args: KubernetesArgs,
    name: String,
    /// Differs for any two processes.
    identity: String,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    api: Arc<Kubernetes>,
    /// As last read; `None`: there was none.
    lease: Option<Lease>,
    /// When this process saw the lease of another, or none, for the first time without a change since.
    unchanged: Instant,
}

/// All fields are kept that are not ours, such as labels.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
struct Lease {
    metadata: Value,
    #[serde(default)]
    spec: Spec,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    holder_identity: Option<String>,
    lease_duration_seconds: Option<u64>,
    acquire_time: Option<String>,
    renew_time: Option<String>,
    lease_transitions: Option<u64>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl Lease {
    fn holder(&self) -> Option<&str> {
        self.spec.holder_identity.as_deref().filter(|holder| !holder.is_empty())
    }

    /// Returns the time without a change after which it is free.
    fn duration(&self) -> Duration {
        let seconds = self.spec.lease_duration_seconds.filter(|seconds| *seconds > 0);
        seconds.map_or(TTL, Duration::from_secs)
    }
}

impl LeaseLock {
    /// Reads the credentials; sends no request.
    ///
    /// # Errors
    /// [`crate::error::BadInput`]: the name or the credentials are of no use.
    pub(crate) fn new(args: &KubernetesArgs, name: &str) -> anyhow::Result<Self> {
        check_label("--lock-name", name)?;
        let (host, pid, since) = identity();
        let state = State { api: Arc::new(Kubernetes::new(args)?), lease: None, unchanged: Instant::now() };
        Ok(Self {
            args: args.clone(),
            name: name.to_owned(),
            identity: format!("{host}_{pid}_{since}"),
            state: Mutex::new(state),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn api(&self) -> Arc<Kubernetes> {
        Arc::clone(&self.state().api)
    }

    /// Reads the Lease from the store behind the API server; `None`: there is none.
    fn read(&self) -> anyhow::Result<Option<Lease>> {
        let api = self.api();
        let request = api.client().get(api.url("coordination.k8s.io", "v1", "leases", Some(&self.name)));
        match api.send(request, AnswerLimits::of_agent(TIMEOUT)) {
            Ok(answer) => answer.json("a Kubernetes API server").map(Some),
            Err(error) if Failure::is(&error, StatusCode::NOT_FOUND) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes the Lease with this holder, if it was neither changed nor created since it was read.
    fn write(&self, read: Option<Lease>, holder: &str) -> anyhow::Result<bool> {
        let api = self.api();
        let now = format!("{:.6}", Timestamp::now());
        let url = |name| api.url("coordination.k8s.io", "v1", "leases", name);
        let (request, mut lease) = match read {
            Some(lease) => (api.client().put(url(Some(&self.name))), lease),
            None => {
                let head = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"});
                let rest = head.as_object().cloned().unwrap_or_default();
                let lease = Lease { metadata: json!({"name": self.name}), spec: Spec::default(), rest };
                (api.client().post(url(None)), lease)
            }
        };
        let spec = &mut lease.spec;
        if !holder.is_empty() && spec.holder_identity.as_deref() != Some(holder) {
            spec.acquire_time = Some(now.clone());
            spec.lease_transitions = Some(spec.lease_transitions.unwrap_or_default() + 1);
        }
        spec.holder_identity = Some(holder.to_owned());
        spec.lease_duration_seconds = Some(TTL.as_secs());
        spec.renew_time = Some(now);
        match api.send(request.json(&lease), AnswerLimits::of_agent(TIMEOUT)) {
            Ok(_) => Ok(true),
            Err(error) if Failure::is(&error, StatusCode::CONFLICT) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn renew_or_look(&self) -> anyhow::Result<Holder> {
        let lease = self.read()?;
        let holder = lease.as_ref().and_then(Lease::holder).map(str::to_owned);
        if holder.as_ref() == Some(&self.identity) {
            ensure!(self.write(lease.clone(), &self.identity)?, "the Lease was changed while it was renewed");
        }
        let mut state = self.state();
        if state.lease != lease {
            state.unchanged = Instant::now();
        }
        let expired = lease.as_ref().is_some_and(|lease| state.unchanged.elapsed() >= lease.duration());
        state.lease = lease;
        Ok(match holder {
            Some(holder) if holder == self.identity => Holder::This,
            Some(holder) if !expired => Holder::Other(holder),
            _ => Holder::None,
        })
    }
}

impl Store for LeaseLock {
    fn name(&self) -> &str {
        &self.name
    }

    fn renew(&self) -> anyhow::Result<Holder> {
        let result = self.renew_or_look();
        // A new client, because certificates may have been replaced.
        if result.is_err()
            && let Ok(api) = Kubernetes::new(&self.args)
        {
            self.state().api = Arc::new(api);
        }
        result
    }

    fn acquire(&self) -> anyhow::Result<bool> {
        let (lease, unchanged) = {
            let state = self.state();
            (state.lease.clone(), state.unchanged)
        };
        // It may have been deleted while its holder works.
        if lease.is_none() && unchanged.elapsed() < LOCK_DELAY {
            return Ok(false);
        }
        self.write(lease, &self.identity)
    }

    fn describe(&self) -> anyhow::Result<String> {
        let state = self.state();
        Ok(state.lease.as_ref().and_then(Lease::holder).unwrap_or_default().to_owned())
    }

    fn stand_by(&self) -> anyhow::Result<Duration> {
        Ok(STANDBY)
    }

    fn is_ours(&self) -> anyhow::Result<bool> {
        Ok(self.read()?.as_ref().and_then(Lease::holder) == Some(&self.identity))
    }

    fn release(&self, held: bool) -> anyhow::Result<()> {
        if !held {
            return Ok(());
        }
        let lease = self.read()?;
        if lease.as_ref().and_then(Lease::holder) == Some(&self.identity) {
            self.write(lease, "")?;
        }
        Ok(())
    }
}
