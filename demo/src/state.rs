//! The folder of a demo's files: one demo at a time, and each starts with an empty folder.

use std::fs::{self, File, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::screen;

/// Marks a folder of a demo and contains the process ID of its user.
const LOCK: &str = "demo.lock";

/// The folder, locked until dropped.
#[derive(Debug)]
pub(crate) struct State {
    /// The absolute path.
    pub(crate) dir: PathBuf,
    _lock: File,
}

impl State {
    /// Locks `dir`, creates it if necessary, and removes the files of an earlier demo.
    ///
    /// # Errors
    /// If another demo uses it, or it contains other files.
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        let open = || -> Result<Self> {
            fs::create_dir_all(dir)?;
            let dir = dir.canonicalize()?;
            let empty = fs::read_dir(&dir)?.next().is_none();
            ensure!(
                empty || dir.join(LOCK).exists(),
                "it contains files of other programs; choose a new or empty folder"
            );
            let mut lock =
                File::options().create(true).truncate(false).read(true).write(true).open(dir.join(LOCK))?;
            match lock.try_lock() {
                Ok(()) => {}
                Err(TryLockError::Error(error)) => return Err(error.into()),
                Err(TryLockError::WouldBlock) => {
                    let mut process = String::new();
                    lock.read_to_string(&mut process)?;
                    bail!(
                        "another demo uses it (process {process}); end it with Ctrl-C, or start this one \
                         elsewhere: DIR=target/run2 PORT=20091"
                    );
                }
            }
            lock.set_len(0)?;
            write!(lock, "{}", std::process::id())?;
            clear(&dir)?;
            Ok(Self { dir, _lock: lock })
        };
        open().with_context(|| format!("the demo's folder {}", screen::short(dir)))
    }
}

fn clear(dir: &Path) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name() == LOCK {
            continue;
        }
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allows_one_demo_at_a_time_and_starts_empty() {
        let dir = tempfile::tempdir().unwrap();
        let first = State::open(dir.path()).unwrap();
        fs::create_dir(first.dir.join("live")).unwrap();
        let refused = format!("{:#}", State::open(dir.path()).unwrap_err());
        assert!(refused.contains(&format!("(process {})", std::process::id())), "{refused}");
        assert!(first.dir.join("live").exists());
        drop(first);
        let second = State::open(dir.path()).unwrap();
        assert!(!second.dir.join("live").exists());
    }

    #[test]
    fn leaves_a_folder_with_other_files_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("thesis.txt"), "mine").unwrap();
        let refused = format!("{:#}", State::open(dir.path()).unwrap_err());
        assert!(refused.contains("it contains files of other programs"), "{refused}");
        assert_eq!(fs::read(dir.path().join("thesis.txt")).unwrap(), b"mine");
    }
}
