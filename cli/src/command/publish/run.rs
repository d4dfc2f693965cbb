//! Publishes the members of a ring to Envoy without losing a push.
//!
//! Envoy reads a file again when another is renamed onto it, each kind of file on its own and, with a watched folder, at
//! *any* rename into it. Envoy therefore does not preserve the order of two renames, and a ring that names a cluster
//! before Envoy has it, or after Envoy dropped it, answers 503. Every publication keeps one rule at every moment, however
//! it is interrupted: **a live ring names live clusters only.**
//!
//! 1. The filter's own parser checks the new ring. A ring that it rejects never goes live.
//! 2. The cluster file becomes the new clusters *and* the live ones. Then Envoy's admin interface is polled until it
//!    lists every cluster that the new ring names (without an admin address: a fixed delay).
//! 3. The ring file follows.
//!
//! Clusters that left stay in the file until the first publication that comes a grace time after the ring without them
//! went live, because requests under way still need them. The same goes for the endpoints in endpoint mode: Envoy skips
//! an address that it does not have in favor of the next listed one, so no push would fail, but if one member left as
//! another joined, a push would land on a gateway that owned its group neither before nor after. In redirect mode there
//! is only the ring.
//!
//! A file that did not change is not moved. One publication runs at a time; a second one waits for it.
//!
//! ```no_run
//! use std::path::Path;
//! use std::time::Duration;
//!
//! use pushring::command::publish::{Options, publish_file};
//!
//! let options = Options {
//!     live: "/etc/pushring/live".into(),
//!     module: "/etc/pushring/pushring_filter.wasm".into(),
//!     admin: vec!["http://127.0.0.1:9901".parse()?],
//!     grace: Duration::from_secs(2),
//!     delay: Duration::from_millis(500),
//!     timeout: Duration::from_secs(30),
//! };
//! let report = publish_file(Path::new("registrations.json"), Path::new("settings.yaml"), &options)?;
//! println!("{report}");
//! # anyhow::Ok(())
//! ```

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::Value;

use super::live::Live;
use super::options::{Options, Report};
use super::steps;
use super::upstream_kind::UpstreamKind;
use crate::fleet::access::Access;
use crate::fleet::members::{Members, Settings};
use crate::fleet::registration::Registrations;
use crate::fleet::render;
use crate::fleet::ring_file::{RING_FILE, RingFile};
use crate::fleet::source::read;
use crate::output::{self, millis};
use crate::parse;
use crate::text;

/// Number of skipped registrations that a report lists, because it is logged after each change.
const MAX_SKIPPED: usize = 50;

/// Publishes the members of a registrations file. A publication that has to wait reads both files after its wait; the first
/// one also reads them before it makes the live folder.
///
/// # Errors
/// As [`publish`], and [`crate::error::BadInput`] if one of the files cannot be read.
pub fn publish_file(registrations: &Path, settings: &Path, options: &Options) -> anyhow::Result<Report> {
    let started = Instant::now();
    if !Live::exists(&options.live) {
        checked_ring(&decide(registrations, settings)?, options, &mut Vec::new())?;
    }
    let live = Live::lock(&options.live, lock_limit(options))?;
    publish_locked(started, &live, &decide(registrations, settings)?, options)
}

fn decide(registrations: &Path, settings: &Path) -> anyhow::Result<Members> {
    let settings =
        read(settings).and_then(|text| Settings::checked(&text).with_context(|| text::path(settings)));
    let found = read(registrations)
        .and_then(|text| Registrations::parse(&text).with_context(|| text::path(registrations)));
    let (settings, found) = (settings.context("--settings")?, found.context("--registrations")?);
    Ok(Members::decide(&settings, &found))
}

/// Returns how long to wait for other publications: two that wait for Envoy as long as they may.
fn lock_limit(options: &Options) -> Duration {
    options.timeout.saturating_mul(2).saturating_add(Duration::from_secs(1))
}

/// Publishes. May be killed at any point: the live files stay valid, and the next call finishes the work.
///
/// # Errors
/// [`crate::error::BadInput`] if the filter would reject the ring: then no live file has changed. Any other error: a file could not be
/// read or moved, or Envoy did not list the new clusters or endpoints in time: then the ring has not changed.
pub fn publish(members: &Members, options: &Options) -> anyhow::Result<Report> {
    let started = Instant::now();
    if !Live::exists(&options.live) {
        checked_ring(members, options, &mut Vec::new())?;
    }
    publish_locked(started, &Live::lock(&options.live, lock_limit(options))?, members, options)
}

fn publish_locked(
    started: Instant,
    live: &Live,
    members: &Members,
    options: &Options,
) -> anyhow::Result<Report> {
    let mut warnings = warnings(members);
    warnings.extend(members.access.iter().flat_map(Access::missing_files));
    let ring = match checked_ring(members, options, &mut warnings) {
        Ok(ring) => ring,
        // The skipped registrations are the cause of a ring with too few members.
        Err(error) => {
            warnings.iter().for_each(|line| output::warn(text::line(line)));
            return Err(error);
        }
    };
    let mut report = Report {
        mode: ring.config.mode,
        members: ring.config.members.len(),
        added: Vec::new(),
        kept: Vec::new(),
        dropped: Vec::new(),
        moved: Vec::new(),
        warnings,
        ms: 0,
    };
    match UpstreamKind::of(ring.config.mode) {
        Some(kind) => steps::publish_upstreams(kind, members, options, live, &ring, &mut report)?,
        None => report.moved.extend(live.put(RING_FILE, &ring.text)?),
    }
    report.ms = millis(started.elapsed());
    Ok(report)
}

/// Returns the notes of a report about registrations.
pub(super) fn warnings(members: &Members) -> Vec<String> {
    let mut warnings: Vec<String> =
        members.skipped.iter().take(MAX_SKIPPED).map(|line| format!("skipped: {line}")).collect();
    if let Some(more) = members.skipped.len().checked_sub(MAX_SKIPPED).filter(|more| *more > 0) {
        warnings.push(format!("skipped: {more} more registrations"));
    }
    warnings.extend(members.notes.iter().cloned());
    warnings
}

/// Renders and checks the ring.
fn checked_ring(
    members: &Members,
    options: &Options,
    warnings: &mut Vec<String>,
) -> anyhow::Result<RingFile> {
    let build = |config: &str| RingFile::build(render::ring(config, &options.module));
    let is_live = options.live.join(RING_FILE).exists();
    checked(&members.config, build, is_live, warnings)
        .map_err(|error| if is_live { error.context("the live files are unchanged") } else { error })
}

/// Builds a ring that the filter accepts. If it has too few members and none was ever live, returns it without any member:
/// Envoy does not start without the file, and its answer to a push then names the reason.
pub(super) fn checked<R>(
    config: &str,
    build: impl Fn(&str) -> anyhow::Result<R>,
    is_live: bool,
    warnings: &mut Vec<String>,
) -> anyhow::Result<R> {
    let error = match build(config) {
        Ok(ring) => return Ok(ring),
        Err(error) => error,
    };
    if is_live {
        return Err(error);
    }
    let Some(empty) = without_members(config).and_then(|config| build(&config).ok()) else {
        return Err(error);
    };
    warnings.push(format!("{error:#}; until then the ring is empty and pushes are answered with 503"));
    Ok(empty)
}

/// Returns the configuration without members if too few members are its only fault.
fn without_members(config: &str) -> Option<String> {
    let mut fields: Value = parse::json(config).ok()?;
    fields.as_object_mut()?.insert("min_members".to_owned(), 0.into());
    pushring_router::Config::parse(fields.to_string().as_bytes()).ok()?;
    fields.as_object_mut()?.insert("members".to_owned(), Value::Array(Vec::new()));
    Some(fields.to_string())
}
