//! Watches a file that people edit, also with editors that write it in pieces or replace it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A valid text must be unchanged for this time, because the rest of it may still come.
const SETTLED: Duration = Duration::from_millis(150);
/// An invalid text must be unchanged for longer, because it is probably incomplete.
const PATIENCE: Duration = Duration::from_secs(1);

/// The content of the file; `None` while it is missing.
pub(crate) type Text = Option<String>;

/// The watcher of one file.
#[derive(Debug)]
pub(crate) struct Watch {
    path: PathBuf,
    handled: Text,
    new: Option<(Text, Instant)>,
}

impl Watch {
    /// Starts with the current content.
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), handled: read(path), new: None }
    }

    /// Returns the content once after each change. `good` returns whether a text is valid.
    pub(crate) fn changed(&mut self, good: impl Fn(&str) -> bool) -> Option<Text> {
        let found = read(&self.path);
        self.settled(found, Instant::now(), good)
    }

    fn settled(&mut self, found: Text, now: Instant, good: impl Fn(&str) -> bool) -> Option<Text> {
        if found == self.handled {
            self.new = None;
            return None;
        }
        let since = match &self.new {
            Some((text, since)) if *text == found => *since,
            _ => {
                self.new = Some((found, now));
                return None;
            }
        };
        let wait = if found.as_deref().is_some_and(good) { SETTLED } else { PATIENCE };
        if now.duration_since(since) < wait {
            return None;
        }
        self.new = None;
        self.handled.clone_from(&found);
        Some(found)
    }
}

fn read(path: &Path) -> Text {
    Some(String::from_utf8_lossy(&fs::read(path).ok()?).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Content at a time in milliseconds, and whether it is a change.
    fn run(steps: &[(u64, Option<&str>, bool)]) {
        let mut watch = Watch { path: PathBuf::new(), handled: Some("{old}".to_owned()), new: None };
        let start = Instant::now();
        for (at, text, acts) in steps {
            let text = text.map(str::to_owned);
            let good = |text: &str| text.ends_with('}');
            let got = watch.settled(text.clone(), start + Duration::from_millis(*at), good);
            assert_eq!(got, acts.then_some(text), "at {at} ms");
        }
    }

    #[test]
    fn acts_once_when_settled() {
        run(&[
            (0, Some("{old}"), false),
            (1, Some("{new}"), false),
            (100, Some("{new}"), false),
            (151, Some("{new}"), true),
            (999, Some("{new}"), false),
            (1000, Some("{old}"), false),
            (1200, Some("{old}"), true),
        ]);
    }

    #[test]
    fn waits_out_half_a_file_and_a_gap() {
        run(&[
            (0, Some(""), false),
            (200, None, false),
            (400, Some("{n"), false),
            (1300, Some("{n"), false),
            (1301, Some("{new}"), false),
            (1500, Some("{new}"), true),
        ]);
        run(&[(0, Some("{n"), false), (999, Some("{old}"), false), (2000, Some("{n"), false)]);
    }

    #[test]
    fn reports_a_bad_or_missing_file_once() {
        run(&[(0, Some("{n"), false), (1000, Some("{n"), true), (3000, Some("{n"), false)]);
        run(&[(0, None, false), (1000, None, true), (9000, None, false)]);
    }
}
