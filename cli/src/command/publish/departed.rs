//! The note about clusters and endpoints that left the ring.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::live::Live;
use crate::output::millis;
use crate::parse;

const NOTE: &str = "departed.json";

/// When each cluster or endpoint left the ring, in milliseconds since 1970. Kept on disk, because each publication is a
/// process of its own.
pub(super) struct Departed {
    since: BTreeMap<String, u64>,
    on_disk: BTreeMap<String, u64>,
    now: u64,
}

impl Departed {
    /// Reads the note. A missing or unreadable one counts as empty: then what departed stays longer, never shorter.
    pub(super) fn read(live: &Live, now: SystemTime) -> Self {
        let on_disk: BTreeMap<String, u64> =
            live.read_note(NOTE).and_then(|text| parse::json(&text).ok()).unwrap_or_default();
        let now = since_1970(now);
        // A time in the future means that the clock was set back; the grace time starts again.
        let since = on_disk.iter().map(|(name, since)| (name.clone(), now.min(*since))).collect();
        Self { since, on_disk, now }
    }

    pub(super) fn for_at_least(&self, name: &str, grace: Duration) -> bool {
        let since = self.since.get(name);
        since.is_some_and(|since| u128::from(self.now - since) >= grace.as_millis())
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&String) -> bool) {
        self.since.retain(|name, _| keep(name));
    }

    pub(super) fn add<'n>(&mut self, names: impl Iterator<Item = &'n String>, now: SystemTime) {
        for name in names {
            self.since.entry(name.clone()).or_insert(since_1970(now));
        }
    }

    /// Writes the note if it changed.
    pub(super) fn write(&mut self, live: &Live) -> anyhow::Result<()> {
        if self.since != self.on_disk {
            live.write_note(NOTE, &serde_json::to_string(&self.since)?)?;
            self.on_disk.clone_from(&self.since);
        }
        Ok(())
    }
}

fn since_1970(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map(millis).unwrap_or_default()
}
