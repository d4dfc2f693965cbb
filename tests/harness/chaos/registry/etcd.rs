//! Keys in etcd.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use super::State;
use crate::Etcd;
use crate::etcd::Version;

/// So long that no lease ends in a run, in seconds.
const LEASE: u64 = 3600;

/// The keys in etcd. A passing gateway has a key with a lease of its own. A critical one has none, because its lease ended.
#[derive(Debug)]
pub(crate) struct Keys {
    etcd: Etcd,
    leases: BTreeMap<SocketAddr, String>,
}

impl Keys {
    pub(super) fn start(dir: &Path) -> Result<Self> {
        Ok(Self { etcd: Etcd::start(dir, Version::Newest)?, leases: BTreeMap::new() })
    }

    pub(super) fn flags(&self) -> Vec<String> {
        vec!["--from=etcd".to_owned(), format!("--etcd={}", self.etcd.url())]
    }

    pub(super) fn set_state(&mut self, address: SocketAddr, to: State) -> Result<()> {
        let key = format!("/service/pushgateway/{address}");
        let value =
            |leaving| json!({"host": address.ip(), "port": address.port(), "leaving": leaving}).to_string();
        match to {
            State::Passing => {
                if !self.leases.contains_key(&address) {
                    self.leases.insert(address, self.etcd.lease(LEASE)?);
                }
                self.etcd.put_leased(&key, &value(false), &self.leases[&address])
            }
            State::Critical => self.leases.remove(&address).map_or(Ok(()), |lease| self.etcd.revoke(&lease)),
            State::Absent => {
                self.leases.remove(&address);
                self.etcd.put(&key, value(true))?;
                self.etcd.delete(&key)
            }
        }
    }

    pub(super) fn restart(&mut self, away: Duration) -> Result<()> {
        self.etcd.process().kill();
        thread::sleep(away);
        self.etcd.restart()
    }
}
