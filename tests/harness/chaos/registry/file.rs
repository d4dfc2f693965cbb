//! A list in a file.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use super::{State, status};

/// The file of `--from file`.
#[derive(Debug)]
pub(crate) struct List {
    path: PathBuf,
    gateways: BTreeMap<SocketAddr, &'static str>,
}

impl List {
    pub(super) fn create(dir: &Path) -> Result<Self> {
        let list = Self { path: dir.join("gateways.json"), gateways: BTreeMap::new() };
        list.write()?;
        Ok(list)
    }

    pub(super) fn flags(&self) -> Vec<String> {
        vec!["--from=file".to_owned(), format!("--file={}", self.path.display())]
    }

    pub(super) fn set_state(&mut self, address: SocketAddr, to: State) -> Result<()> {
        match to {
            State::Absent => self.gateways.remove(&address),
            State::Critical | State::Passing => self.gateways.insert(address, status(to)),
        };
        self.write()
    }

    pub(super) fn restart(&self, away: Duration) -> Result<()> {
        fs::remove_file(&self.path)?;
        thread::sleep(away);
        self.write()
    }

    fn write(&self) -> Result<()> {
        let entry = |(address, status)| json!({"address": address, "status": status});
        let list: Vec<_> = self.gateways.iter().map(entry).collect();
        let new = self.path.with_extension("new");
        fs::write(&new, json!(list).to_string())?;
        Ok(fs::rename(new, &self.path)?)
    }
}
