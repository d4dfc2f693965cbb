//! The folder that holds all that a demo writes: one demo at a time, begun empty.

use std::fs::{self, File, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::screen;

/// Marks a folder as one of ours, and holds the process id of the demo that uses it.
const LOCK: &str = "demo.lock";

/// The folder, locked until dropped.
#[derive(Debug)]
pub(crate) struct State {
    /// Absolute.
    pub(crate) dir: PathBuf,
    _lock: File,
}

impl State {
    /// Takes `dir`, makes it if need be, and removes what an earlier demo left.
    ///
    /// # Errors
    /// When another demo uses it, or it holds something else than a demo's files.
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        let open = || -> Result<Self> {
            fs::create_dir_all(dir)?;
            let dir = dir.canonicalize()?;
            let empty = fs::read_dir(&dir)?.next().is_none();
            ensure!(
                empty || dir.join(LOCK).exists(),
                "it holds other files than a demo's; name a new or an empty folder"
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
                        "another demo runs there (process {process}); end it with Ctrl-C, or start this one \
                         elsewhere: make run DIR=target/run2 PORT=20091"
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
    fn one_demo_at_a_time_each_begun_empty() {
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
    fn a_folder_with_other_files_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("thesis.txt"), "mine").unwrap();
        let refused = format!("{:#}", State::open(dir.path()).unwrap_err());
        assert!(refused.contains("it holds other files"), "{refused}");
        assert_eq!(fs::read(dir.path().join("thesis.txt")).unwrap(), b"mine");
    }
}
