//! The agent's registration in etcd: a key with a lease, which exists only while the check passes.

use serde_json::Value;

use super::check::State;
use super::store::{Done, Store};
use crate::etcd::client::Etcd;

/// A key with a lease.
pub(super) struct Key {
    etcd: Etcd,
    key: String,
    value: Value,
    seconds: u64,
    lease: Option<u64>,
}

impl Key {
    /// Sends no request.
    pub(super) fn new(etcd: Etcd, key: String, value: Value, seconds: u64) -> Self {
        Self { etcd, key, value, seconds, lease: None }
    }

    /// Writes a value if the key has another one or another lease; returns whether it did.
    fn write(&mut self, value: &Value) -> anyhow::Result<bool> {
        let Self { etcd, key, lease, seconds, .. } = self;
        let value = value.to_string();
        etcd.anywhere(|etcd| {
            let alive = match *lease {
                Some(lease) => etcd.keep_alive(lease)?,
                None => false,
            };
            let id = match *lease {
                Some(id) if alive => id,
                // It ended, or etcd lost its store.
                _ => *lease.insert(etcd.grant(*seconds)?),
            };
            let found = etcd.get(key)?;
            if found.is_some_and(|found| found.lease == id && found.value == value.as_bytes()) {
                return Ok(false);
            }
            etcd.put(key.as_bytes(), value.as_bytes(), Some(id))?;
            Ok(true)
        })
    }
}

impl Store for Key {
    fn keep(&mut self, state: &State) -> anyhow::Result<Done> {
        match state.passing {
            Some(true) => {
                let value = self.value.clone();
                Ok(if self.write(&value)? { Done::Registered } else { Done::Renewed })
            }
            Some(false) if self.lease.is_some() => {
                self.remove()?;
                Ok(Done::Removed)
            }
            Some(false) | None => Ok(Done::Absent),
        }
    }

    fn announce(&mut self) -> anyhow::Result<()> {
        let mut value = self.value.clone();
        value["leaving"] = true.into();
        self.write(&value).map(drop)
    }

    fn remove(&mut self) -> anyhow::Result<()> {
        let Some(lease) = self.lease else { return Ok(()) };
        self.etcd.anywhere(|etcd| etcd.revoke(lease))?;
        self.lease = None;
        Ok(())
    }
}
