//! The folder that Envoy watches: one writer at a time, whole files only.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;

use super::RING_FILE;
use crate::ring_file::RingFile;

/// Holds temporary files, the lock and notes. Inside the live folder, so a rename from it never crosses a
/// filesystem; a folder of its own, so nothing that happens in it wakes Envoy, which watches for renames into
/// the live folder itself.
const WORK: &str = ".publish";

/// The live folder, locked until dropped or until the process ends, however it ends.
pub(super) struct Live {
    folder: PathBuf,
    _lock: File,
}

impl Live {
    /// Waits for its turn.
    pub(super) fn lock(folder: &Path) -> anyhow::Result<Self> {
        let work = folder.join(WORK);
        fs::create_dir_all(&work).with_context(|| format!("cannot write to {}", work.display()))?;
        let path = work.join("lock");
        let lock = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        lock.lock().with_context(|| format!("cannot lock {}", path.display()))?;
        Ok(Self { folder: folder.to_owned(), _lock: lock })
    }

    pub(super) fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    /// `None`: there is no such file.
    pub(super) fn read(&self, file: &str) -> anyhow::Result<Option<String>> {
        match fs::read_to_string(self.path(file)) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| self.path(file).display().to_string()),
        }
    }

    pub(super) fn differs(&self, file: &str, text: &str) -> anyhow::Result<bool> {
        Ok(self.read(file)?.as_deref() != Some(text))
    }

    /// Makes `text` the live `file` by a rename, unless it is already; gives the name if it moved.
    pub(super) fn put(&self, file: &'static str, text: &str) -> anyhow::Result<Option<&'static str>> {
        if !self.differs(file, text)? {
            return Ok(None);
        }
        self.replace(file, &self.path(file), text)?;
        Ok(Some(file))
    }

    /// A note for the next publication, replaced as a whole too.
    pub(super) fn write_note(&self, name: &str, text: &str) -> anyhow::Result<()> {
        self.replace(name, &self.note(name), text)
    }

    pub(super) fn read_note(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.note(name)).ok()
    }

    /// Since the file was written; zero if that cannot be told.
    pub(super) fn age(&self, file: &str) -> Duration {
        let written = fs::metadata(self.path(file)).and_then(|meta| meta.modified());
        written.ok().and_then(|time| time.elapsed().ok()).unwrap_or_default()
    }

    /// What the live ring names. `None`: it cannot be read, for example because an older version wrote it; then
    /// nothing may be dropped, for Envoy may be using it.
    pub(super) fn ring_upstreams(&self) -> Option<Vec<String>> {
        let path = self.path(RING_FILE);
        if !path.exists() {
            return Some(Vec::new());
        }
        RingFile::read(&path).ok().map(|ring| ring.upstreams().collect())
    }

    fn note(&self, name: &str) -> PathBuf {
        self.folder.join(WORK).join(name)
    }

    fn replace(&self, name: &str, path: &Path, text: &str) -> anyhow::Result<()> {
        // A constant name: the lock is held, and what a killed publication left is overwritten.
        let temporary = self.folder.join(WORK).join(format!("{name}.new"));
        let write = || {
            let mut file = File::create(&temporary)?;
            file.write_all(text.as_bytes())?;
            // Or a power cut could leave an empty file under the new name.
            file.sync_all()?;
            fs::rename(&temporary, path)
        };
        write().with_context(|| format!("cannot write {}", path.display()))
    }
}
