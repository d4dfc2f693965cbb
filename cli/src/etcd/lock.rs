//! A lock in etcd: a key that belongs to a lease, which the holder must keep alive.
//!
//! etcd deletes the key no sooner than [`TTL`] after the last renewal. A holder that stops leaves the key without a lease, so
//! that a key that is missing means a lease that ended, for whatever reason: it stays free for [`LOCK_DELAY`]. Transactions
//! name the revision that they replace; of two candidates, etcd accepts one.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::client::{Etcd, EtcdArgs};
use super::wire::{Line, bytes, encode, number};
use crate::lock::held::{LOCK_DELAY, TTL};
use crate::lock::identity;
use crate::lock::store::{Holder, Store};

/// Interval at which a standby looks.
const STANDBY: Duration = Duration::from_secs(2);

pub(crate) struct EtcdLock {
    key: String,
    /// For the thread that renews.
    renewing: Mutex<Etcd>,
    /// For checks: a renewal that hangs must not delay them.
    checking: Mutex<Etcd>,
    state: Mutex<State>,
}

#[derive(Clone, Default)]
struct State {
    /// The lease of this process.
    lease: Option<u64>,
    /// The key as last read; `None`: it is missing.
    found: Option<Found>,
    /// When it was first found to be missing.
    missing: Option<Instant>,
}

#[derive(Clone, Deserialize)]
struct Found {
    #[serde(default, deserialize_with = "bytes")]
    value: Vec<u8>,
    #[serde(default, deserialize_with = "number")]
    mod_revision: u64,
    /// 0: none.
    #[serde(default, deserialize_with = "number")]
    lease: u64,
}

impl EtcdLock {
    /// The lock is the key `/pushring/<name>`.
    ///
    /// # Errors
    /// [`crate::error::BadInput`]: a flag is of no use.
    pub(crate) fn new(args: &EtcdArgs, name: &str) -> anyhow::Result<Self> {
        Ok(Self {
            key: format!("/pushring/{name}"),
            renewing: Mutex::new(Etcd::new(args)?),
            checking: Mutex::new(Etcd::new(args)?),
            state: Mutex::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call<T: DeserializeOwned>(&self, path: [&str; 2], body: &Value) -> anyhow::Result<T> {
        call(&self.renewing, path, body)
    }

    /// Reads the key as most members of the cluster know it.
    fn read(&self, etcd: &Mutex<Etcd>) -> anyhow::Result<Option<Found>> {
        #[derive(Deserialize)]
        struct Page {
            #[serde(default)]
            kvs: Vec<Found>,
        }
        Ok(call::<Page>(etcd, ["kv", "range"], &json!({"key": encode(&self.key)}))?.kvs.into_iter().next())
    }

    /// Keeps the lease alive; grants a new one if there is none or etcd has ended it.
    fn renew_lease(&self) -> anyhow::Result<u64> {
        #[derive(Deserialize)]
        struct Lease {
            #[serde(rename = "ID", default, deserialize_with = "number")]
            id: u64,
            /// Absent if it has ended.
            #[serde(rename = "TTL", default, deserialize_with = "number")]
            ttl: u64,
        }
        let lease = self.state().lease;
        if let Some(lease) = lease {
            let line: Line<Lease> = self.call(["lease", "keepalive"], &json!({"ID": lease.to_string()}))?;
            let error = line.error.map_or_else(String::new, |error| error.message);
            let kept = line.result.with_context(|| format!("the lease was not kept alive: {error}"))?;
            if kept.ttl > 0 {
                return Ok(lease);
            }
        }
        let granted: Lease = self.call(["lease", "grant"], &json!({"TTL": TTL.as_secs().to_string()}))?;
        self.state().lease = Some(granted.id);
        Ok(granted.id)
    }

    /// Writes the key if it is still as it was read; `lease` 0: without one.
    fn write(&self, found: Option<Found>, value: &str, lease: u64) -> anyhow::Result<bool> {
        #[derive(Deserialize)]
        struct Transaction {
            #[serde(default)]
            succeeded: bool,
        }
        let key = encode(&self.key);
        let revision = found.map_or(0, |found| found.mod_revision);
        let body = json!({
            "compare": [{"key": key, "target": "MOD", "result": "EQUAL", "mod_revision": revision.to_string()}],
            "success": [{"request_put": {"key": key, "value": encode(value), "lease": lease.to_string()}}],
        });
        Ok(self.call::<Transaction>(["kv", "txn"], &body)?.succeeded)
    }
}

impl Store for EtcdLock {
    fn name(&self) -> &str {
        &self.key
    }

    fn renew(&self) -> anyhow::Result<Holder> {
        let lease = self.renew_lease()?;
        let found = self.read(&self.renewing)?;
        let mut state = self.state();
        state.missing = match found {
            Some(_) => None,
            None => state.missing.or_else(|| Some(Instant::now())),
        };
        let holder = match &found {
            Some(found) if found.lease == lease => Holder::This,
            Some(found) if found.lease > 0 => Holder::Other(found.lease.to_string()),
            _ => Holder::None,
        };
        state.found = found;
        Ok(holder)
    }

    fn acquire(&self) -> anyhow::Result<bool> {
        let State { lease, found, missing } = self.state().clone();
        if missing.is_some_and(|missing| missing.elapsed() < LOCK_DELAY) {
            return Ok(false);
        }
        let (host, pid, since) = identity();
        let holder = json!({"host": host, "pid": pid, "since": since}).to_string();
        self.write(found, &holder, lease.context("no lease")?)
    }

    fn describe(&self) -> anyhow::Result<String> {
        let found = self.state().found.clone();
        Ok(found.map(|found| String::from_utf8_lossy(&found.value).into_owned()).unwrap_or_default())
    }

    fn stand_by(&self) -> anyhow::Result<Duration> {
        Ok(STANDBY)
    }

    fn is_ours(&self) -> anyhow::Result<bool> {
        let lease = self.state().lease;
        let found = self.read(&self.checking)?;
        Ok(lease.is_some() && found.map(|found| found.lease) == lease)
    }

    fn release(&self, held: bool) -> anyhow::Result<()> {
        let Some(lease) = self.state().lease.take() else { return Ok(()) };
        if held && let Some(found) = self.read(&self.renewing)?.filter(|found| found.lease == lease) {
            self.write(Some(found), "", 0)?;
        }
        self.call::<Value>(["lease", "revoke"], &json!({"ID": lease.to_string()})).map(drop)
    }
}

impl fmt::Debug for EtcdLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)
    }
}

/// Sends a request to the endpoint in use; after an error, the next request goes to the next one.
fn call<T: DeserializeOwned>(etcd: &Mutex<Etcd>, path: [&str; 2], body: &Value) -> anyhow::Result<T> {
    let mut etcd = etcd.lock().unwrap_or_else(PoisonError::into_inner);
    etcd.call(path, body).map_err(|error| {
        let endpoint = etcd.endpoint();
        etcd.rotate();
        error.context(format!("etcd at {endpoint}"))
    })
}
