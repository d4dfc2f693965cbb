//! Waits for changes of a file, also where links lead to it: a ConfigMap, or a folder `current -> release-7`, changes by a
//! new link.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf, absolute};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use crate::text;

/// As many links as Linux follows.
const MAX_LINKS: usize = 40;

/// A program closed a file to which it wrote.
const WRITTEN: AccessKind = AccessKind::Close(AccessMode::Write);
/// How long changes are collected: programs write a file in several steps.
const DEBOUNCE: Duration = Duration::from_millis(10);

/// Watches every folder in which a name on the way to a file is.
pub(crate) struct PathWatch {
    path: PathBuf,
    watcher: RecommendedWatcher,
    events: Receiver<()>,
    watched: BTreeSet<PathBuf>,
}

impl PathWatch {
    /// Begins to watch; the file need not exist.
    ///
    /// # Errors
    /// The system has no more watches.
    pub(crate) fn new(path: &Path) -> anyhow::Result<Self> {
        let (sender, events) = channel();
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // Not what reading the file itself causes.
            let read = |event: &Event| matches!(event.kind, EventKind::Access(kind) if kind != WRITTEN);
            if !event.as_ref().is_ok_and(read) {
                // The receiver is gone only at the end.
                let _ = sender.send(());
            }
        })
        .context("cannot watch files (inotify)")?;
        let mut watch = Self { path: absolute(path)?, watcher, events, watched: BTreeSet::new() };
        watch.update()?;
        Ok(watch)
    }

    /// Waits until something in one of the folders changed: maybe the file.
    ///
    /// # Errors
    /// A folder cannot be watched.
    pub(crate) fn wait(&mut self) -> anyhow::Result<()> {
        self.events.recv().context("the watch ended")?;
        thread::sleep(DEBOUNCE);
        while self.events.try_recv().is_ok() {}
        self.update()
    }

    /// Watches the folders that are on the way now. A folder that was replaced is watched again.
    fn update(&mut self) -> anyhow::Result<()> {
        loop {
            let now = folders(&self.path);
            for gone in self.watched.difference(&now) {
                // Its watch has ended if it was removed.
                let _ = self.watcher.unwatch(gone);
            }
            for folder in &now {
                match self.watcher.watch(folder, RecursiveMode::NonRecursive) {
                    Err(error) if folder.exists() => {
                        return Err(error).with_context(|| format!("cannot watch {}", text::path(folder)));
                    }
                    _ => {}
                }
            }
            self.watched = now;
            // A link may have changed before its folder was watched.
            if folders(&self.path) == self.watched {
                return Ok(());
            }
        }
    }
}

/// Returns the folders with the names that lead to a file: of each part of the path, and of the links among them.
fn folders(path: &Path) -> BTreeSet<PathBuf> {
    let mut rest: Vec<OsString> = names(path);
    let (mut at, mut all, mut links) = (PathBuf::from("/"), BTreeSet::new(), 0);
    while let Some(name) = rest.pop() {
        if name == ".." {
            at.pop();
            continue;
        }
        let next = at.join(&name);
        // Envoy and others write to their own folders; only the folder of a link and that of the file can matter.
        let link = fs::read_link(&next).ok().filter(|_| links < MAX_LINKS);
        if link.is_some() || rest.is_empty() || !next.exists() {
            all.insert(at.clone());
        }
        match link {
            Some(target) => {
                links += 1;
                if target.is_absolute() {
                    at = PathBuf::from("/");
                }
                rest.extend(names(&target));
            }
            None if next.exists() => at = next,
            None => break,
        }
    }
    all
}

/// Returns the names in a path, the first one last.
fn names(path: &Path) -> Vec<OsString> {
    let name = |part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    };
    path.components().rev().filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn finds_the_folders_of_a_file_and_of_links_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("releases/1")).unwrap();
        fs::write(root.join("releases/1/gateways.json"), "").unwrap();
        symlink("releases/1", root.join("current")).unwrap();
        symlink("current/gateways.json", root.join("gateways.json")).unwrap();
        let found = folders(&root.join("x/../gateways.json"));
        assert_eq!(found, BTreeSet::from([root.clone()]), "x does not exist");
        let found = folders(&root.join("gateways.json"));
        assert_eq!(found, BTreeSet::from([root.clone(), root.join("releases/1")]));
        symlink("loop", root.join("loop")).unwrap();
        assert!(folders(&root.join("loop")).contains(&root));
    }
}
