//! The folder that Envoy watches: one writer at a time, whole files only.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;

use super::work_folder::{self, LIVE_FILE, PRIVATE_FILE};
use crate::file;
use crate::fleet::ring_file::{RING_FILE, RingFile};
use crate::text;

/// Holds temporary files, the lock and notes. It is inside the live folder, so a rename from it never crosses a
/// filesystem, and a folder of its own, because Envoy watches for renames into the live folder itself.
pub(crate) const WORK: &str = ".publish";

/// Names a point at which a publication stops until the file `.publish/paused`, which has its process ID, is removed. The
/// tests kill it there, so that they do not depend on how fast a machine is. Not for users.
const PAUSE_AT: &str = "PUSHRING_PAUSE_AT";

/// The live folder, locked until dropped or until the process ends, however it ends.
pub(super) struct Live {
    folder: PathBuf,
    _lock: File,
}

impl Live {
    /// Returns whether an earlier publication made the folder.
    pub(super) fn exists(folder: &Path) -> bool {
        folder.join(WORK).exists()
    }

    /// Makes the folder if there is none and locks it; waits at most `limit` while another publication has it.
    pub(super) fn lock(folder: &Path, limit: Duration) -> anyhow::Result<Self> {
        let lock = work_folder::lock_live(folder, "lock", limit, "another publication")?;
        let live = Self { folder: folder.to_owned(), _lock: lock };
        live.pause_at("locked");
        Ok(live)
    }

    pub(super) fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    /// Returns `None` if there is no such file.
    pub(super) fn read(&self, name: &str) -> anyhow::Result<Option<String>> {
        match file::read_text(&self.path(name)) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| text::path(self.path(name))),
        }
    }

    pub(super) fn differs(&self, file: &str, text: &str) -> anyhow::Result<bool> {
        Ok(self.read(file)?.as_deref() != Some(text))
    }

    /// Replaces the live `file` by a rename, unless it has this text; returns its name if it moved.
    pub(super) fn put(&self, file: &'static str, text: &str) -> anyhow::Result<Option<&'static str>> {
        if !self.differs(file, text)? {
            return Ok(None);
        }
        self.replace(file, &self.path(file), text, LIVE_FILE)?;
        Ok(Some(file))
    }

    /// Replaces a note for the next publication.
    pub(super) fn write_note(&self, name: &str, text: &str) -> anyhow::Result<()> {
        self.replace(name, &self.note(name), text, PRIVATE_FILE)
    }

    pub(super) fn read_note(&self, name: &str) -> Option<String> {
        file::read_text(&self.note(name)).ok()
    }

    /// Returns the time since the file was written; zero if it is unknown.
    pub(super) fn age(&self, file: &str) -> Duration {
        let written = fs::metadata(self.path(file)).and_then(|meta| meta.modified());
        written.ok().and_then(|time| time.elapsed().ok()).unwrap_or_default()
    }

    /// Returns what the live ring names. `None`: it cannot be read, for example because another version wrote it; then
    /// nothing may be dropped, because Envoy may be using it.
    pub(super) fn ring_upstreams(&self) -> Option<Vec<String>> {
        let path = self.path(RING_FILE);
        if !path.exists() {
            return Some(Vec::new());
        }
        RingFile::read(&path).ok().map(|ring| ring.upstreams().collect())
    }

    /// Does nothing unless a test asks for this point.
    pub(super) fn pause_at(&self, point: &str) {
        if std::env::var_os(PAUSE_AT).is_none_or(|wanted| wanted != point) {
            return;
        }
        let marker = self.note("paused");
        if fs::write(&marker, std::process::id().to_string()).is_ok() {
            while marker.exists() {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }

    fn note(&self, name: &str) -> PathBuf {
        self.folder.join(WORK).join(name)
    }

    fn replace(&self, name: &str, path: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
        // A constant name: this process has the lock, and it may overwrite what a killed publication left.
        let temporary = self.note(&format!("{name}.new"));
        let write = || {
            let new = work_folder::write_new(&temporary, text, mode)?;
            // A power cut could leave an empty file under the new name, without which Envoy does not start. An empty note
            // counts as missing, and a busy disk takes a tenth of a second to sync it.
            if mode == LIVE_FILE {
                new.sync_all()?;
            }
            self.pause_at(&format!("written-{name}"));
            anyhow::Ok(fs::rename(&temporary, path)?)
        };
        write().with_context(|| format!("cannot write {}", text::path(path)))?;
        self.pause_at(&format!("moved-{name}"));
        Ok(())
    }
}
