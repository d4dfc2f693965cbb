//! The key of a group, and the way back from labels to a push path.

use base64::Engine;

use super::labels::{BASE64, Labels, is_legacy_name};
use super::{path, utf8_name};
use crate::config::RouteBy;

/// What separates names and values in a key: no UTF-8 text contains it.
const SEPARATOR: &[u8] = b"\xFF";

/// A push path taken apart, for the command and for tests; [`crate::Router::decide`] does not need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// What is hashed to find the owner.
    pub key: Vec<u8>,
    /// Name and value of each label, sorted by name, `job` among them; `None` when the path does not parse.
    pub labels: Option<Vec<(Vec<u8>, Vec<u8>)>>,
    /// Whether a push to this group would make its gateway refuse every later push.
    pub poison: bool,
}

/// Gives `out` the bytes that are hashed, piece by piece: the labels by `route_by`, or the decoded path where there are
/// none to use.
pub(crate) fn write_key(
    route_by: RouteBy,
    decoded: &[u8],
    labels: Option<&Labels<'_>>,
    mut out: impl FnMut(&[u8]),
) {
    match (route_by, labels) {
        (RouteBy::Path, _) | (_, None) => out(decoded),
        (RouteBy::Job, Some(labels)) => label(&mut out, b"job", labels.job()),
        (RouteBy::Group, Some(labels)) => {
            for (index, (name, value)) in labels.list.iter().enumerate() {
                if index > 0 {
                    out(SEPARATOR);
                }
                label(&mut out, name, value);
            }
        }
    }
}

fn label(out: &mut impl FnMut(&[u8]), name: &[u8], value: &[u8]) {
    out(name);
    out(SEPARATOR);
    out(value);
}

/// A push path of a group: always `<path_prefix>/metrics/job@base64/<v>/<name>@base64/<v>…`, names sorted,
/// `=` for an empty value. Where the Pushgateways run with `--push.enable-utf8-names`, a name that is not
/// `[a-zA-Z_][a-zA-Z0-9_]*` is written with Prometheus' `U__` escaping, and so is one that looks escaped;
/// others do not undo the escaping. `None` without a job.
#[must_use]
pub fn labels_to_path<'l>(
    path_prefix: &str,
    utf8_names: bool,
    labels: impl IntoIterator<Item = (&'l [u8], &'l [u8])>,
) -> Option<String> {
    let mut labels: Vec<_> = labels.into_iter().collect();
    labels.sort_unstable();
    let &(_, job) = labels.iter().find(|(name, _)| *name == b"job").filter(|(_, job)| !job.is_empty())?;
    let mut out = format!("{path_prefix}/metrics/job@base64/{}", BASE64.encode(job));
    for (name, value) in labels.into_iter().filter(|(name, _)| *name != b"job") {
        let same = is_legacy_name(name) && !name.starts_with(b"__") && utf8_name::unescape(name) == name;
        let plain = same || !utf8_names;
        let name = if plain { name.to_vec() } else { path::encode(&utf8_name::escape(name)) };
        let value = if value.is_empty() { "=".to_owned() } else { BASE64.encode(value) };
        // Encoding left ASCII only: nothing is lost here.
        out.push_str(&format!("/{}@base64/{value}", String::from_utf8_lossy(&name)));
    }
    Some(out)
}
