//! The key of a group, and the way back from labels to a push path.

use base64::Engine;

use super::labels::{BASE64, Labels, is_legacy_name};
use super::{path, utf8_name};
use crate::config::RouteBy;

/// Separates names and values in a key. UTF-8 text never contains this byte.
const SEPARATOR: &[u8] = b"\xFF";

/// The parsed push path of a group, for commands and tests; [`crate::Router::decide`] does not need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedGroup {
    /// The bytes whose hash determines the owner.
    pub key: Vec<u8>,
    /// Name and value of each label, sorted by name, `job` among them. `None` if the Pushgateway rejects the path.
    pub labels: Option<Vec<(Vec<u8>, Vec<u8>)>>,
    /// Whether a push to this group makes its gateway reject every later push.
    pub poison: bool,
}

/// Passes the bytes of the key to `out`, piece by piece: the labels that `route_by` selects, or the decoded path if
/// there are none to use.
pub(crate) fn write_key(
    route_by: RouteBy,
    decoded: &[u8],
    labels: Option<&Labels<'_>>,
    mut out: impl FnMut(&[u8]),
) {
    match (route_by, labels) {
        (RouteBy::Path, _) | (_, None) => out(decoded),
        (RouteBy::Job, Some(labels)) => write_label(&mut out, b"job", labels.job()),
        (RouteBy::Group, Some(labels)) => {
            for (index, (name, value)) in labels.list.iter().enumerate() {
                if index > 0 {
                    out(SEPARATOR);
                }
                write_label(&mut out, name, value);
            }
        }
    }
}

fn write_label(out: &mut impl FnMut(&[u8]), name: &[u8], value: &[u8]) {
    out(name);
    out(SEPARATOR);
    out(value);
}

/// Returns a push path of the group with these labels, or `None` if there is no job.
///
/// The path always has the form `<path_prefix>/metrics/job@base64/<v>/<name>@base64/<v>…`, with names sorted and `=`
/// for an empty value. `path_prefix` is empty or starts with a slash. With `utf8_names`, a name that is not
/// `[a-zA-Z_][a-zA-Z0-9_]*`, or that looks escaped, is written with Prometheus' `U__` escaping. Pushgateways without
/// `--push.enable-utf8-names` do not undo the escaping.
///
/// # Examples
/// ```
/// let labels = [(b"job".as_slice(), b"backup".as_slice()), (b"instance", b"db1")];
/// let path = pushring_router::labels_to_path("", false, labels);
/// assert_eq!(path.as_deref(), Some("/metrics/job@base64/YmFja3Vw/instance@base64/ZGIx"));
/// ```
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
        // Encoding leaves ASCII only, and without `utf8_names` a gateway stores no other names.
        out.push_str(&format!("/{}@base64/{value}", String::from_utf8_lossy(&name)));
    }
    Some(out)
}
