//! Requests on disk for the time that the target is away: one file each, so that a request that was replayed frees its space,
//! and a crash can tear nothing that was answered. A spool belongs to one process.

mod record;

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, anyhow, bail};
use metrics::{counter, gauge};
use tokio::sync::Notify;
use tracing::error;

use super::Outbound;
use crate::config;

/// A file takes whole blocks of this many bytes.
const BLOCK: u64 = 4096;
/// Ends of names: a whole record, one that is being written, one that is damaged.
const WHOLE: &str = "write";
const PART: &str = "part";
const DAMAGED: &str = "damaged";

/// The requests that wait, in order.
#[derive(Debug)]
pub(super) struct Spool {
    path: PathBuf,
    /// For its sync: a new name is durable only then. It also has the lock.
    dir: File,
    max_bytes: AtomicU64,
    state: Mutex<State>,
    /// A record was added.
    pub(super) added: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// The number of the next record.
    next: u64,
    /// On disk, and of records that are being written.
    bytes: u64,
    /// Bytes of each whole record by its number.
    whole: BTreeMap<u64, u64>,
}

/// A record that is not in the spool.
#[derive(Debug)]
pub(super) enum Refusal {
    Full,
    Failed(anyhow::Error),
}

impl Spool {
    /// Opens a spool with the records of the last process.
    ///
    /// # Errors
    /// If its directory cannot be written, or another process has it.
    pub(super) fn open(config: &config::Spool) -> anyhow::Result<Self> {
        let path = &config.path;
        let name = || format!("remote.write.spool.path: {}", path.display());
        // Requests may have the passwords of senders.
        DirBuilder::new().recursive(true).mode(0o700).create(path).with_context(name)?;
        let dir = File::open(path).with_context(name)?;
        dir.try_lock().map_err(|_| anyhow!("{}: another process uses it", name()))?;
        let state = read_dir(path).with_context(name)?;
        let max_bytes = config.max_bytes.into();
        let spool = Self { path: path.clone(), dir, max_bytes, state: state.into(), added: Notify::new() };
        spool.show(&spool.state());
        Ok(spool)
    }

    pub(super) fn set_max_bytes(&self, max_bytes: u64) {
        self.max_bytes.store(max_bytes, Ordering::Relaxed);
    }

    /// Returns whether nothing waits, and nothing is being written: only then may a request pass it.
    pub(super) fn is_empty(&self) -> bool {
        self.state().bytes == 0
    }

    /// Adds a request; it is durable then. This blocks.
    pub(super) fn add(&self, outbound: &Outbound) -> Result<(), Refusal> {
        let record = record::write(outbound).map_err(Refusal::Failed)?;
        let bytes = (record.len() as u64).next_multiple_of(BLOCK);
        let number = {
            let mut state = self.state();
            if state.bytes + bytes > self.max_bytes.load(Ordering::Relaxed) {
                return Err(Refusal::Full);
            }
            state.bytes += bytes;
            state.next += 1;
            state.next - 1
        };
        let written = self.write(number, &record);
        let mut state = self.state();
        match &written {
            Ok(()) => drop(state.whole.insert(number, bytes)),
            Err(_) => state.bytes -= bytes,
        }
        self.show(&state);
        drop(state);
        if written.is_ok() {
            counter!("metric_index_spooled_total").increment(1);
            self.added.notify_one();
        }
        written.map_err(Refusal::Failed)
    }

    fn write(&self, number: u64, record: &[u8]) -> anyhow::Result<()> {
        let part = self.file(number, PART);
        let write = || {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
            file.write_all(record)?;
            file.sync_all()?;
            fs::rename(&part, self.file(number, WHOLE))?;
            self.dir.sync_all()
        };
        write().inspect_err(|_| {
            // It was not answered with a success, so its sender has it. A record without a durable name must not come back.
            let _ = fs::remove_file(&part).or_else(|_| fs::remove_file(self.file(number, WHOLE)));
        })?;
        Ok(())
    }

    /// Returns the number of the first record.
    pub(super) fn first(&self) -> Option<u64> {
        self.state().whole.keys().next().copied()
    }

    /// Reads a record. A damaged one is put aside: `None`. This blocks.
    pub(super) fn read(&self, number: u64) -> anyhow::Result<Option<Outbound>> {
        let file = self.file(number, WHOLE);
        let bytes = fs::read(&file).with_context(|| file.display().to_string())?;
        if let Some(outbound) = record::read(&bytes) {
            return Ok(Some(outbound));
        }
        let aside = self.file(number, DAMAGED);
        fs::rename(&file, &aside).with_context(|| file.display().to_string())?;
        counter!("metric_index_spool_damaged_total").increment(1);
        error!(file = aside.display().to_string(), "a request in the spool is damaged and was put aside");
        self.forget(number);
        Ok(None)
    }

    /// Removes a record. This blocks.
    pub(super) fn remove(&self, number: u64) -> anyhow::Result<()> {
        let file = self.file(number, WHOLE);
        fs::remove_file(&file).with_context(|| file.display().to_string())?;
        self.forget(number);
        Ok(())
    }

    fn forget(&self, number: u64) {
        let mut state = self.state();
        state.bytes -= state.whole.remove(&number).unwrap_or_default();
        self.show(&state);
    }

    fn show(&self, state: &State) {
        gauge!("metric_index_spool_bytes").set(state.bytes as f64);
        gauge!("metric_index_spool_requests").set(state.whole.len() as f64);
    }

    fn file(&self, number: u64, end: &str) -> PathBuf {
        self.path.join(format!("{number:020}.{end}"))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Finds the records of the last process. Parts were never answered, so their senders have them.
fn read_dir(path: &Path) -> anyhow::Result<State> {
    let mut state = State::default();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let file = entry.path();
        let end = file.extension().and_then(|end| end.to_str()).unwrap_or_default();
        let number = file.file_stem().and_then(|name| name.to_str()?.parse::<u64>().ok());
        match (number, end) {
            (Some(_), PART) => fs::remove_file(&file)?,
            (Some(number), WHOLE) => {
                let bytes = entry.metadata()?.len().next_multiple_of(BLOCK);
                state.whole.insert(number, bytes);
                state.bytes += bytes;
            }
            (Some(_), DAMAGED) => {}
            _ => bail!("{} is no file of a spool: give the spool a directory for itself", file.display()),
        }
        // The names of damaged records stay taken, too.
        state.next = state.next.max(number.map_or(0, |number| number + 1));
    }
    Ok(state)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue};
    use tempfile::{TempDir, tempdir};

    use super::*;
    use crate::gateway::Version;

    fn open(dir: &TempDir, max_bytes: u64) -> anyhow::Result<Spool> {
        Spool::open(&config::Spool { path: dir.path().to_owned(), max_bytes })
    }

    fn outbound(text: &str) -> Outbound {
        let mut headers = HeaderMap::new();
        headers.insert("x-scope-orgid", HeaderValue::from_bytes(b"t\xe4").unwrap());
        let uri = format!("/insert/1/x?q={text}").parse().unwrap();
        Outbound::new(&uri, &headers, Version::V2, text.to_owned().into())
    }

    fn bodies(spool: &Spool) -> Vec<String> {
        let numbers: Vec<u64> = spool.state().whole.keys().copied().collect();
        let body = |number| Some(String::from_utf8(spool.read(number).unwrap()?.body.to_vec()).unwrap());
        numbers.into_iter().filter_map(body).collect()
    }

    #[test]
    fn records_survive_the_process_in_order() {
        let dir = tempdir().unwrap();
        let spool = open(&dir, 1 << 20).unwrap();
        assert!(open(&dir, 1).unwrap_err().to_string().contains("another process"));
        assert!(spool.is_empty());
        for text in ["a", "b", "c"] {
            spool.add(&outbound(text)).unwrap();
        }
        spool.remove(0).unwrap();
        drop(spool);

        let spool = open(&dir, 1 << 20).unwrap();
        spool.add(&outbound("d")).unwrap();
        assert_eq!((bodies(&spool), spool.first()), (vec!["b".into(), "c".into(), "d".into()], Some(1)));
        let read = spool.read(1).unwrap().unwrap();
        let expected = outbound("b");
        assert_eq!((read.tenant, read.query), (expected.tenant, expected.query));
        assert_eq!((read.headers, read.version), (expected.headers, expected.version));
    }

    #[test]
    fn only_its_owner_can_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempdir().unwrap();
        let path = dir.path().join("a/spool");
        let spool = Spool::open(&config::Spool { path: path.clone(), max_bytes: 1 << 20 }).unwrap();
        spool.add(&outbound("a")).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&spool.file(0, WHOLE))), (0o700, 0o600));
    }

    #[test]
    fn a_record_that_is_being_written_is_not_overtaken() {
        let dir = tempdir().unwrap();
        let spool = open(&dir, 1 << 20).unwrap();
        spool.state().bytes = BLOCK;
        assert!(!spool.is_empty() && spool.first().is_none());
    }

    #[test]
    fn a_record_that_cannot_be_written_leaves_no_trace() {
        let dir = tempdir().unwrap();
        let spool = open(&dir, 1 << 20).unwrap();
        // Its name is taken.
        fs::write(spool.file(0, PART), "").unwrap();
        assert!(matches!(spool.add(&outbound("a")), Err(Refusal::Failed(_))));
        assert!(spool.is_empty() && !spool.file(0, PART).exists());
        spool.add(&outbound("b")).unwrap();
        assert_eq!(bodies(&spool), ["b"]);
    }

    #[test]
    fn torn_and_damaged_records_hold_nothing_up() {
        let dir = tempdir().unwrap();
        let spool = open(&dir, 1 << 20).unwrap();
        ["a", "b", "c"].iter().for_each(|text| spool.add(&outbound(text)).unwrap());
        let whole = fs::read(spool.file(1, WHOLE)).unwrap();
        fs::write(spool.file(3, PART), &whole[..whole.len() / 2]).unwrap();
        fs::write(spool.file(1, WHOLE), &whole[..whole.len() - 1]).unwrap();
        drop(spool);

        let spool = open(&dir, 1 << 20).unwrap();
        assert!(!dir.path().join(format!("{:020}.{PART}", 3)).exists());
        assert_eq!(bodies(&spool), ["a", "c"]);
        assert!(spool.file(1, DAMAGED).exists() && spool.state().bytes == 2 * BLOCK);

        // The last number stays taken by a damaged record.
        fs::write(spool.file(2, WHOLE), "").unwrap();
        assert_eq!(bodies(&spool), ["a"]);
        drop(spool);
        let spool = open(&dir, 1 << 20).unwrap();
        spool.add(&outbound("d")).unwrap();
        assert!(spool.file(2, DAMAGED).exists() && spool.file(3, WHOLE).exists());
    }

    #[test]
    fn every_flipped_bit_is_seen() {
        let whole = record::write(&outbound("a")).unwrap();
        assert!(record::read(&whole).is_some());
        for bit in 0..whole.len() * 8 {
            let mut other = whole.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(record::read(&other).is_none(), "{bit}");
        }
    }

    #[test]
    fn a_full_spool_takes_nothing_until_there_is_room() {
        let dir = tempdir().unwrap();
        let spool = open(&dir, 2 * BLOCK).unwrap();
        spool.add(&outbound("a")).unwrap();
        spool.add(&outbound("b")).unwrap();
        assert!(matches!(spool.add(&outbound("c")), Err(Refusal::Full)));
        spool.remove(0).unwrap();
        spool.add(&outbound("d")).unwrap();
        assert_eq!(bodies(&spool), ["b", "d"]);
        spool.set_max_bytes(3 * BLOCK);
        spool.add(&outbound("e")).unwrap();
    }

    #[test]
    fn a_directory_of_others_is_left_alone() {
        let dir = tempdir().unwrap();
        fs::write(dir.path().join("notes.txt"), "").unwrap();
        assert!(format!("{:#}", open(&dir, 1).unwrap_err()).contains("notes.txt"));
    }
}
