//! Staged files in, live files out, without losing a push: the step between consul-template and Envoy.
//!
//! Envoy reads a file again when another is renamed onto it, each kind of file on its own and, with a watched
//! folder, at *any* rename into it. So the order of two renames is no order for Envoy, and a ring that names
//! a cluster before Envoy has it, or after it is gone, answers 503. Publishing therefore keeps one rule at
//! every moment, however it is interrupted: **a live ring names live clusters only.**
//!
//! 1. The staged ring is checked with the filter's own parser; a bad one stops here.
//! 2. The cluster file becomes the staged clusters *and* those now live; then Envoy's admin interface is asked
//!    until it lists all that the new ring names (`--admin`; without it a fixed delay).
//! 3. The ring file follows.
//!
//! Clusters that left stay in the file until the first publication that comes a grace time after the ring
//! without them went live; a request that was routed by the old ring needs them that long. They harm nothing
//! while they stay. The same goes for the endpoints in endpoint mode: Envoy skips an address that it does not have
//! in favour of the next listed one, so no push would fail, but when one member left as another joined it would land
//! on a gateway that owned its group neither before nor after. In redirect mode there is only the ring.
//!
//! A file that did not change is not moved. One publication runs at a time; a second one waits for it.
//!
//! The shipped pushring.hcl publishes after every pass of consul-template, whether or not a file changed; so
//! leftovers go with the next news from Consul, of whatever kind.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! let report = pushring::publish::publish(&pushring::publish::Options {
//!     staged: "/etc/pushring/staged".into(),
//!     live: "/etc/pushring/live".into(),
//!     admin: Some("http://127.0.0.1:9901".parse()?),
//!     grace: Duration::from_secs(2),
//!     delay: Duration::from_millis(500),
//!     timeout: Duration::from_secs(30),
//! })?;
//! println!("{report}");
//! # anyhow::Ok(())
//! ```

mod live;
mod steps;
pub(crate) mod upstreams;

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use pushring_router::Mode;
use serde::Serialize;

use crate::envoy_admin::Admin;
use crate::output::millis;
use crate::ring_file::RingFile;
use live::Live;
use upstreams::Kind;

/// The ring (ECDS), in every mode.
pub const RING_FILE: &str = "ring.yaml";
/// The clusters (CDS), in cluster mode.
pub const CLUSTERS_FILE: &str = "clusters.yaml";
/// The endpoints (EDS), in endpoint mode.
pub const ENDPOINTS_FILE: &str = "endpoints.yaml";
/// Lines `skipped: …` about registrations that the templates left out; not for Envoy, and need not be there.
pub const RENDERED_FILE: &str = "rendered.txt";

/// What to publish and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder with the rendered files.
    pub staged: PathBuf,
    /// Folder that Envoy watches. Temporary files, the lock and the times of leaving are in `.publish/`
    /// inside it: on the same filesystem, and not watched.
    pub live: PathBuf,
    /// Where to ask which clusters or endpoints Envoy has.
    pub admin: Option<Admin>,
    /// How long a cluster or endpoint stays after the ring no longer names it.
    pub grace: Duration,
    /// Between them and the ring when Envoy cannot be asked.
    pub delay: Duration,
    /// How long to wait for Envoy to list them.
    pub timeout: Duration,
}

/// What a publication did.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Mode of the ring.
    pub mode: Mode,
    /// Members of the ring.
    pub members: usize,
    /// Clusters, or endpoints, that are new in the live file.
    pub added: Vec<String>,
    /// Those that left and stay for now.
    pub kept: Vec<String>,
    /// Those that left and are gone now.
    pub dropped: Vec<String>,
    /// Files that changed, in the order in which they were moved.
    pub moved: Vec<&'static str>,
    /// What the operator should know; among it the registrations that the templates skipped.
    pub warnings: Vec<String>,
    /// Time it took, in milliseconds.
    pub ms: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moved = if self.moved.is_empty() { "nothing changed".to_owned() } else { self.moved.join(", ") };
        write!(f, "published {moved}: ring of {} members", self.members)?;
        if let Some(kind) = Kind::of(self.mode) {
            let [added, kept, dropped] = [&self.added, &self.kept, &self.dropped].map(Vec::len);
            write!(f, "; {}s: {added} added, {kept} kept, {dropped} dropped", kind.noun())?;
        }
        write!(f, "; {} ms", self.ms)
    }
}

/// Publishes. May be killed at any point: what is live then serves, and the next call finishes the work.
///
/// # Errors
/// [`BadInput`] when a staged file cannot go live: then no live file has changed. Otherwise a file could not
/// be read or moved, or Envoy did not take the new clusters or endpoints in time: then the ring has not changed.
pub fn publish(options: &Options) -> anyhow::Result<Report> {
    let started = Instant::now();
    let live = Live::lock(&options.live)?;
    let mut warnings = skipped(options);
    let ring = staged_ring(options, &live, &mut warnings)?;
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
    match Kind::of(ring.config.mode) {
        Some(kind) => steps::publish_upstreams(kind, options, &live, &ring, &mut report)?,
        None => report.moved.extend(live.put(RING_FILE, &ring.text)?),
    }
    report.ms = millis(started.elapsed());
    Ok(report)
}

/// The staged ring. When it has too few members and none was ever live, the same without any, so that Envoy
/// can start and say why pushes get 503.
fn staged_ring(options: &Options, live: &Live, warnings: &mut Vec<String>) -> anyhow::Result<RingFile> {
    let path = options.staged.join(RING_FILE);
    let error = match RingFile::read_and_build(&path) {
        Ok(ring) => return Ok(ring),
        Err(error) => error,
    };
    if live.path(RING_FILE).exists() {
        return Err(error.context("the live files stay as they are"));
    }
    let Some(empty) = RingFile::read_as_empty(&path) else { return Err(error) };
    warnings.push(format!("{error:#}; until then the ring is empty and pushes are answered 503"));
    Ok(empty)
}

fn read(options: &Options, file: &str) -> anyhow::Result<String> {
    let path = options.staged.join(file);
    std::fs::read_to_string(&path).with_context(|| path.display().to_string())
}

fn skipped(options: &Options) -> Vec<String> {
    let text = std::fs::read_to_string(options.staged.join(RENDERED_FILE)).unwrap_or_default();
    text.lines().filter(|line| line.starts_with("skipped: ")).map(str::to_owned).collect()
}
