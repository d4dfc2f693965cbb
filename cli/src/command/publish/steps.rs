//! Clusters or endpoints first, ring second, and never one less than the rings need.

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, bail};

use super::live::Live;
use super::upstreams::{Kind, Left, Upstreams};
use super::{Options, RING_FILE, Report, read};
use crate::error::BadInput;
use crate::output::millis;
use crate::ring_file::RingFile;

/// How often Envoy is asked. It takes a cluster in within a few milliseconds.
const POLL: Duration = Duration::from_millis(10);

pub(super) fn publish_upstreams(
    kind: Kind,
    options: &Options,
    live: &Live,
    ring: &RingFile,
    report: &mut Report,
) -> anyhow::Result<()> {
    let file = kind.file();
    let staged_text = read(options, file)?;
    let staged_path = options.staged.join(file);
    let staged = Upstreams::parse(kind, &staged_text)
        .map_err(|error| BadInput(format!("{}: {error:#}", staged_path.display())))?;
    let now_live = live_upstreams(kind, live)?;
    let on_ring: BTreeSet<String> = ring.upstreams().collect();
    let mut left = Left::read(live, SystemTime::now());

    let on_live_ring = live.ring_upstreams();
    let unused = |name: &String| {
        !on_ring.contains(name) && on_live_ring.as_ref().is_some_and(|names| !names.contains(name))
    };
    report.added = staged.names_not_in(&now_live);
    (report.dropped, report.kept) = now_live
        .names_not_in(&staged)
        .into_iter()
        .partition(|name| left.for_at_least(name, options.grace) && unused(name));
    let all = staged.with(&now_live, &report.kept);
    if let Some(missing) = on_ring.iter().find(|name| !all.contains(name)) {
        bail!(BadInput(format!(
            "{}: found no {} {missing:?}, which {RING_FILE} sends pushes to; render both from one query",
            staged_path.display(),
            kind.noun()
        )));
    }

    // What came back or is on the ring has not left. Before the moves, or a kill between them could leave an
    // old time for one that is in use again.
    left.retain(|name| report.kept.contains(name) && !on_ring.contains(name));
    left.write(live)?;
    if !live.path(file).exists() || !all.is_same_as(&now_live) {
        // The staged text where it will do, for the comments in it.
        let text = if report.kept.is_empty() { staged_text } else { all.to_text()? };
        report.moved.extend(live.put(file, &text)?);
    }
    if live.differs(RING_FILE, &ring.text)? {
        wait_for_upstreams(kind, options, live, ring, &mut report.warnings)?;
        report.moved.extend(live.put(RING_FILE, &ring.text)?);
    }
    left.add(report.kept.iter().filter(|name| !on_ring.contains(*name)), SystemTime::now());
    left.write(live)
}

fn live_upstreams(kind: Kind, live: &Live) -> anyhow::Result<Upstreams> {
    let file = kind.file();
    match live.read(file)? {
        None => Ok(Upstreams::empty(kind)),
        Some(text) => Upstreams::parse(kind, &text).with_context(|| {
            format!("{}: cannot be carried on; repair or remove it", live.path(file).display())
        }),
    }
}

/// Returns when Envoy has all that the new ring names, whichever publication brought it.
fn wait_for_upstreams(
    kind: Kind,
    options: &Options,
    live: &Live,
    ring: &RingFile,
    warnings: &mut Vec<String>,
) -> anyhow::Result<()> {
    // Nobody routes by a ring that was never there; Envoy does not even start without the file.
    if !live.path(RING_FILE).exists() {
        return Ok(());
    }
    let started = Instant::now();
    if let Some(admin) = &options.admin {
        while let Some(listed) = admin.listed(kind)? {
            let missing: Vec<String> = ring.upstreams().filter(|name| !listed.contains(name)).collect();
            if missing.is_empty() {
                return Ok(());
            }
            if started.elapsed() > options.timeout {
                bail!(
                    "Envoy does not list {} after {} ms, so the ring was not moved; look for {:?} in \
                     Envoy's log, then publish again",
                    missing.join(", "),
                    millis(options.timeout),
                    kind.file()
                );
            }
            std::thread::sleep(POLL);
        }
        warnings.push(format!(
            "no Envoy at the admin address; waited {} ms instead of asking it",
            millis(options.delay)
        ));
    }
    // Since the file was moved, not since now: after a kill the time has often passed already.
    std::thread::sleep(options.delay.saturating_sub(live.age(kind.file())));
    Ok(())
}
