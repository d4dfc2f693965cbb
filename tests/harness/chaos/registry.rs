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
use crate::Consul;

/// Where the members come from, and how they reach Envoy's files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Source {
    /// Consul, by consul-template with the shipped templates.
    #[default]
    ConsulTemplate,
    /// Consul, by `pushring discover`.
    Consul,
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
    File(List),
}

/// The file of `--from file`.
#[derive(Debug)]
pub(super) struct List {
    path: PathBuf,
    gateways: BTreeMap<SocketAddr, &'static str>,
}

impl Registry {
    pub(super) fn start(source: Source, dir: &Path) -> Result<Self> {
        Ok(match source {
            Source::ConsulTemplate | Source::Consul => Self::Consul(Consul::start_persistent(dir)?),
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
            Self::File(list) => {
                fs::remove_file(&list.path)?;
                thread::sleep(away);
                list.write()
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
