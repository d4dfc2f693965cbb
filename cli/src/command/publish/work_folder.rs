//! The work folder of publications: private to the user that publishes, with the lock inside.
//!
//! A user who can open a lock file can hold its lock, and a user who can put a link in place of a file can redirect a
//! write. So no other user may open or replace anything here, and no link is followed.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rustix::process::geteuid;

use super::live::WORK;
use crate::file;
use crate::text;

/// For everyone: Envoy and Prometheus run as other users.
pub(crate) const LIVE_FILE: u32 = 0o644;
/// For the user that publishes.
pub(crate) const PRIVATE_FILE: u32 = 0o600;
const PRIVATE_FOLDER: u32 = 0o700;
/// Any user may write.
const BY_OTHERS: u32 = 0o002;

/// Interval between two attempts to get the lock.
const POLL: Duration = Duration::from_millis(10);

/// Makes the live folder and its work folder if they are not there, and locks a file in the latter. Waits at most `limit` while
/// another process has the lock; `other` says what that is.
///
/// # Errors
/// A folder cannot be written or is not safe, or the other process still has the lock.
pub(crate) fn lock_live(live: &Path, name: &str, limit: Duration, other: &str) -> anyhow::Result<File> {
    let (work, path) = (live.join(WORK), live.join(WORK).join(name));
    make_live(live).with_context(|| format!("cannot write to {}", text::path(live)))?;
    make_private(&work).with_context(|| format!("cannot write to {}", text::path(&work)))?;
    lock(&path, limit, other).with_context(|| format!("cannot lock {}", text::path(&path)))
}

/// Makes the live folder if there is none, and refuses one in which root would write what others prepared.
fn make_live(folder: &Path) -> anyhow::Result<()> {
    if !folder.exists() {
        fs::create_dir_all(folder)?;
        // Whatever the umask: Envoy runs as another user.
        fs::set_permissions(folder, Permissions::from_mode(0o755))?;
    }
    if !geteuid().is_root() {
        return Ok(());
    }
    let metadata = fs::metadata(folder)?;
    let (owner, mode) = (metadata.uid(), metadata.mode() & 0o7777);
    ensure!(
        owner == 0 && mode & BY_OTHERS == 0,
        "found owner {owner} and mode {mode:04o}, expected a folder in which only root and a group may write, because \
         the command runs as root; run it as user {owner}, or change the folder (chown root, chmod o-w)"
    );
    Ok(())
}

/// Makes the work folder, or checks the one that is there.
fn make_private(work: &Path) -> anyhow::Result<()> {
    match DirBuilder::new().mode(PRIVATE_FOLDER).create(work) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        made => return Ok(made?),
    }
    let metadata = fs::symlink_metadata(work)?;
    let (owner, user) = (metadata.uid(), geteuid().as_raw());
    ensure!(metadata.is_dir(), "found a link or a file, expected a folder; remove it");
    ensure!(
        owner == user,
        "found a folder of user {owner}, expected one of user {user}; run as that user, or remove it"
    );
    // Earlier versions made it readable for everyone.
    if metadata.mode() & 0o077 != 0 {
        fs::set_permissions(work, Permissions::from_mode(PRIVATE_FOLDER))?;
    }
    Ok(())
}

/// Locks a file, which names the process that has it.
fn lock(path: &Path, limit: Duration, other: &str) -> anyhow::Result<File> {
    let options = &mut OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(PRIVATE_FILE);
    let mut file = file::open_to_write(options, path)?;
    file.set_permissions(Permissions::from_mode(PRIVATE_FILE))?;
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if began.elapsed() < limit => thread::sleep(POLL),
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                file.take(20).read_to_string(&mut holder)?;
                bail!(
                    "{other} (process {}) has held the lock for {limit:?}; wait for it or end it, then run this again",
                    text::line(holder.trim())
                );
            }
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
    }
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())?;
    Ok(file)
}

/// Replaces a file that others read at any time: the new one has another name until it is whole.
///
/// # Errors
/// The path names no file, or cannot be written.
pub(crate) fn replace(path: &Path, contents: impl AsRef<[u8]>) -> anyhow::Result<()> {
    let name = path.file_name().context("the path names no file")?.to_string_lossy().into_owned();
    let new = path.with_file_name(format!(".{name}.new"));
    write_new(&new, contents, LIVE_FILE)?.sync_all()?;
    Ok(fs::rename(&new, path)?)
}

/// Writes a new file with exactly this mode and returns it, not yet synced. An old file of a killed publication is removed
/// first.
pub(crate) fn write_new(path: &Path, contents: impl AsRef<[u8]>, mode: u32) -> anyhow::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).context("an old temporary file");
        }
        _ => {}
    }
    let options = &mut OpenOptions::new();
    let mut file = file::open_to_write(options.write(true).create_new(true).mode(mode), path)?;
    // Whatever the umask.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(contents.as_ref())?;
    Ok(file)
}
