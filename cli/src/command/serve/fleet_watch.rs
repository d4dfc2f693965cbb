//! The members of the fleet, read again when they change. An unreadable source keeps the last ones.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use tracing::{info, warn};

use crate::fleet::past::Past;
use crate::fleet::source::{Fleet, FleetArgs, Source};
use crate::log;

/// Interval at which the members are read, so that every ring is known.
pub(super) const INTERVAL: Duration = Duration::from_millis(500);

pub(super) struct FleetWatch {
    source: Source,
    config: PathBuf,
    last: Mutex<Last>,
    past: RwLock<Past>,
}

struct Last {
    fleet: Arc<Fleet>,
    error: Option<String>,
    /// Version of the file when it was last read without an error.
    version: Option<Version>,
}

/// Differs after every change of a file, also if another file moves to its place.
type Version = (u64, u64, (i64, i64), (i64, i64));

impl FleetWatch {
    /// Reads the members for the first time.
    ///
    /// # Errors
    /// As [`Source::read`].
    pub(super) fn new(source: Source, args: &FleetArgs) -> anyhow::Result<Self> {
        let config = args.config.clone();
        let version = version(&config);
        let fleet = source.read()?;
        let mut past = Past::default();
        past.observe(&fleet);
        let last = Last { fleet: Arc::new(fleet), error: None, version };
        Ok(Self { source, config, last: Mutex::new(last), past: RwLock::new(past) })
    }

    /// Reads the members, and returns the last ones that could be read, with the error if that is not now.
    pub(super) fn read(&self) -> (Arc<Fleet>, Option<String>) {
        let mut last = self.last();
        let version = version(&self.config);
        let is_same = self.source.consul().is_none() && version.is_some() && version == last.version;
        if !is_same {
            self.update(&mut last, version);
        }
        (last.fleet.clone(), last.error.clone())
    }

    fn update(&self, last: &mut Last, version: Option<Version>) {
        let (fleet, error) = match self.source.read() {
            Ok(fleet) => (Some(fleet), None),
            Err(error) => (None, Some(format!("{error:#}"))),
        };
        last.version = if error.is_none() { version } else { None };
        if log::is_news(&mut last.error, error) {
            match &last.error {
                Some(error) => warn!(error, "members cannot be read; the last ones stay"),
                None => info!("members can be read again"),
            }
        }
        if let Some(fleet) = fleet {
            self.past.write().unwrap_or_else(PoisonError::into_inner).observe(&fleet);
            last.fleet = Arc::new(fleet);
        }
    }

    /// Returns the knowledge of the time until now.
    pub(super) fn past(&self) -> RwLockReadGuard<'_, Past> {
        self.past.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn version(path: &PathBuf) -> Option<Version> {
    let file = std::fs::metadata(path).ok()?;
    let times = ((file.mtime(), file.mtime_nsec()), (file.ctime(), file.ctime_nsec()));
    Some((file.ino(), file.size(), times.0, times.1))
}
