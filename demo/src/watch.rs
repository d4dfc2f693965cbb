//! Watches a file that people edit: also editors that write it in pieces, or replace it by another.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A text that is good is taken when it was there for so long: the second half may still come.
const SETTLED: Duration = Duration::from_millis(150);
/// One that is not good, for longer: it is probably half a file.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the file holds; none while it is away.
pub(crate) type Text = Option<String>;

/// The watcher of one file.
#[derive(Debug)]
pub(crate) struct Watch {
    path: PathBuf,
    handled: Text,
    new: Option<(Text, Instant)>,
}

impl Watch {
    /// Begins with what the file holds now.
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), handled: read(path), new: None }
    }

    /// What the file holds, once after each change. `good` tells whether a text makes sense.
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

    /// What is found at which millisecond, and whether that is a change to act on.
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
    fn half_a_file_and_a_gap_are_waited_out() {
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
    fn what_stays_bad_or_away_is_told_once() {
        run(&[(0, Some("{n"), false), (1000, Some("{n"), true), (3000, Some("{n"), false)]);
        run(&[(0, None, false), (1000, None, true), (9000, None, false)]);
    }
}
