//! The registry of a run: where the gateways are listed.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;
use serde_json::json;

use super::plan::State;
use crate::{Consul, Etcd, etcd};

/// Where the members come from, and how they reach Envoy's files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Source {
    /// Consul, by consul-template with the shipped templates.
    #[default]
    ConsulTemplate,
    /// Consul, by `pushring discover`.
    Consul,
    /// etcd, by `pushring discover`.
    Etcd,
    /// A file, by `pushring discover`.
    File,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_possible_value().as_ref().map_or("", |value| value.get_name()))
    }
}

/// A registry that runs.
#[derive(Debug)]
pub(super) enum Registry {
    Consul(Consul),
    Etcd(Keys),
    File(List),
}

/// The file of `--from file`.
#[derive(Debug)]
pub(super) struct List {
    path: PathBuf,
    gateways: BTreeMap<SocketAddr, &'static str>,
}

/// The keys in etcd. A passing gateway has a key with a lease of its own. A critical one has none, because its lease ended.
#[derive(Debug)]
pub(super) struct Keys {
    etcd: Etcd,
    leases: BTreeMap<SocketAddr, String>,
}

/// So long that no lease ends in a run, in seconds.
const LEASE: u64 = 3600;

impl Registry {
    pub(super) fn start(source: Source, dir: &Path) -> Result<Self> {
        Ok(match source {
            Source::ConsulTemplate | Source::Consul => Self::Consul(Consul::start_persistent(dir)?),
            Source::Etcd => {
                Self::Etcd(Keys { etcd: Etcd::start(dir, etcd::Version::Newest)?, leases: BTreeMap::new() })
            }
            Source::File => {
                let list = List { path: dir.join("gateways.json"), gateways: BTreeMap::new() };
                list.write()?;
                Self::File(list)
            }
        })
    }

    /// Returns the flags of `pushring discover` for it.
    pub(super) fn flags(&self) -> Vec<String> {
        match self {
            Self::Consul(consul) => vec!["--from=consul".to_owned(), format!("--consul={}", consul.address)],
            Self::Etcd(keys) => vec!["--from=etcd".to_owned(), format!("--etcd={}", keys.etcd.url())],
            Self::File(list) => vec!["--from=file".to_owned(), format!("--file={}", list.path.display())],
        }
    }

    /// Moves a gateway from one state to another.
    pub(super) fn set_state(&mut self, address: SocketAddr, from: State, to: State) -> Result<()> {
        let status = if to == State::Passing { "passing" } else { "critical" };
        match self {
            Self::Consul(consul) => match (from, to) {
                (_, State::Absent) => consul.deregister(address),
                (State::Absent, _) => consul.register(address, status),
                (_, _) => consul.set_status(address, status),
            },
            Self::Etcd(keys) => keys.set_state(address, to),
            Self::File(list) => {
                match to {
                    State::Absent => list.gateways.remove(&address),
                    State::Critical | State::Passing => list.gateways.insert(address, status),
                };
                list.write()
            }
        }
    }

    /// Kills it, and starts it again after `away`. A file is removed and written again.
    pub(super) fn restart(&mut self, away: Duration) -> Result<()> {
        match self {
            Self::Consul(consul) => {
                consul.process().kill();
                thread::sleep(away);
                consul.restart()
            }
            Self::Etcd(keys) => {
                keys.etcd.process().kill();
                thread::sleep(away);
                keys.etcd.restart()
            }
            Self::File(list) => {
                fs::remove_file(&list.path)?;
                thread::sleep(away);
                list.write()
            }
        }
    }
}

impl Keys {
    fn set_state(&mut self, address: SocketAddr, to: State) -> Result<()> {
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
}

impl List {
    fn write(&self) -> Result<()> {
        let entry = |(address, status)| json!({"address": address, "status": status});
        let list: Vec<_> = self.gateways.iter().map(entry).collect();
        let new = self.path.with_extension("new");
        fs::write(&new, json!(list).to_string())?;
        Ok(fs::rename(new, &self.path)?)
    }
}
