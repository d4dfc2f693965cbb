//! Parameters and result of a publication.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use pushring_router::Mode;
use serde::Serialize;

use super::envoy_admin::Admin;
use super::upstream_kind::UpstreamKind;

/// How to publish.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder that Envoy watches. Its subfolder `.publish` holds temporary files, the lock and notes: on the same
    /// filesystem, and not watched.
    pub live: PathBuf,
    /// The Wasm filter, or the native module (`….so`), as Envoy finds it.
    pub module: PathBuf,
    /// The admin interfaces of the Envoys that watch this folder, to learn which clusters or endpoints they have.
    pub admin: Vec<Admin>,
    /// How long a cluster or endpoint stays after the ring no longer names it.
    pub grace: Duration,
    /// Wait between the clusters or endpoints and the ring if Envoy cannot be asked.
    pub delay: Duration,
    /// How long to wait for Envoy to list the clusters or endpoints.
    pub timeout: Duration,
}

/// The result of a publication.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Mode of the ring.
    pub mode: Mode,
    /// Number of members on the ring.
    pub members: usize,
    /// Clusters, or endpoints, that are new in the live file.
    pub added: Vec<String>,
    /// Clusters, or endpoints, that left the ring and stay for now.
    pub kept: Vec<String>,
    /// Clusters, or endpoints, that left the ring earlier and are now removed.
    pub dropped: Vec<String>,
    /// Files, or objects in Kubernetes, that changed, in the order in which they were written.
    pub moved: Vec<&'static str>,
    /// Notes for the operator, such as registrations that were skipped.
    pub warnings: Vec<String>,
    /// Duration in milliseconds, including the wait for another publication.
    pub ms: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moved = if self.moved.is_empty() { "nothing".to_owned() } else { self.moved.join(", ") };
        let plural = if self.members == 1 { "" } else { "s" };
        write!(f, "published {moved}: {} member{plural}", self.members)?;
        if let Some(kind) = UpstreamKind::of(self.mode) {
            let [added, kept, dropped] = [&self.added, &self.kept, &self.dropped].map(Vec::len);
            write!(f, "; {}s: {added} added, {kept} kept, {dropped} dropped", kind.noun())?;
        }
        write!(f, "; {} ms", self.ms)
    }
}
