//! The file in which `discover` remembers members, so that a restart forgets nothing.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use pushring_router::Config;

use crate::command::publish::{WORK, work_folder};
use crate::discover::memory::Memory;
use crate::file;
use crate::parse;
use crate::text;

/// The members seen, in the work folder of the live folder.
const KNOWN: &str = "known.json";
const LOCK: &str = "discover.lock";
/// How long a start waits for the end of the process before it.
const LOCK_LIMIT: Duration = Duration::from_secs(5);

/// The state of the one `discover` of a live folder.
pub(super) struct State {
    path: PathBuf,
    written: Option<Memory>,
    _lock: File,
}

impl State {
    /// Locks the folder for this process and reads what the last one knew: its file, else the ring.
    ///
    /// # Errors
    /// Another `discover` follows a registry for this folder, the folder cannot be written, or the ring cannot be read.
    pub(super) fn open(
        live: &Path,
        ring: impl FnOnce() -> anyhow::Result<Option<Config>>,
    ) -> anyhow::Result<(Self, Memory)> {
        let lock = work_folder::lock_live(live, LOCK, LOCK_LIMIT, "another discover for this folder")?;
        let path = live.join(WORK).join(KNOWN);
        let (memory, written) = match file::read_text(&path) {
            Ok(text) => match parse::json::<Memory>(&text) {
                Ok(memory) => (memory.clone(), Some(memory)),
                // A file of another version, or a broken one: the ring is the next best knowledge.
                Err(_) => (of_ring(ring()?), None),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => (of_ring(ring()?), None),
            Err(error) => return Err(error).with_context(|| text::path(&path)),
        };
        Ok((Self { path, written, _lock: lock }, memory))
    }

    /// Writes the memory if it changed. Not synced: a file that a power cut empties is a broken one, for which the ring is the
    /// memory.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn write(&mut self, memory: &Memory) -> anyhow::Result<()> {
        if self.written.as_ref() == Some(memory) {
            return Ok(());
        }
        let new = self.path.with_extension("json.new");
        work_folder::write_new(&new, &serde_json::to_string(memory)?, work_folder::PRIVATE_FILE)
            .and_then(|_| Ok(fs::rename(&new, &self.path)?))
            .with_context(|| format!("cannot write {}", text::path(&self.path)))?;
        self.written = Some(memory.clone());
        Ok(())
    }
}

fn of_ring(ring: Option<Config>) -> Memory {
    ring.map(|ring| Memory::of_ring(&ring)).unwrap_or_default()
}
