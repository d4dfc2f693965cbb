//! Replies that need no Pushgateway.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::config::{Config, Lookup, Member, Mirror, Mode, Placement, RouteBy};
use crate::push::{Labels, Poison};
use crate::router::Router;

/// The reason for a reply. The filter has a counter for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyKind {
    /// 307 to the owner, in redirect mode.
    Redirect,
    /// 307 to the same path without `//`, `/./` and `/../`.
    CleanPath,
    /// 200: the owner of a group. 400: the request for an owner names no push path.
    Lookup,
    /// 405: GET or HEAD on a push path, without asking for the owner.
    NotAllowed,
    /// 400: the push would make its gateway reject every later push.
    Poison,
    /// 503: the ring has no members.
    NoMembers,
    /// 200 or 503: `/-/healthy` or `/-/ready`.
    Health,
    /// 200: the ring as JSON.
    Status,
}

impl ReplyKind {
    /// All kinds, in the order of their declaration.
    pub const ALL: [Self; 8] = [
        Self::Redirect,
        Self::CleanPath,
        Self::Lookup,
        Self::NotAllowed,
        Self::Poison,
        Self::NoMembers,
        Self::Health,
        Self::Status,
    ];

    /// Returns the name in the metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.reason().split_at("pushring_".len()).1
    }

    /// Returns the response code details for Envoy's access log.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Redirect => "pushring_redirect",
            Self::CleanPath => "pushring_clean_path",
            Self::Lookup => "pushring_lookup",
            Self::NotAllowed => "pushring_not_allowed",
            Self::Poison => "pushring_poison",
            Self::NoMembers => "pushring_no_members",
            Self::Health => "pushring_health",
            Self::Status => "pushring_status",
        }
    }
}

/// A complete reply to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The reason for the reply.
    pub kind: ReplyKind,
    /// HTTP status.
    pub status: u16,
    /// Header names are lower-case.
    pub headers: Vec<(&'static str, String)>,
    /// May be empty.
    pub body: Vec<u8>,
}

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

impl Reply {
    fn new(kind: ReplyKind, status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("content-type", content_type.to_owned())];
        Self { kind, status, headers, body: body.into() }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Answers 307, so that the client repeats method and body. The location is sent byte for byte. If it is not UTF-8,
    /// which no proxy-wasm header can hold, its bytes beyond ASCII are percent-encoded; the path stays the same.
    pub(crate) fn redirect(kind: ReplyKind, location: Vec<u8>) -> Self {
        let location = String::from_utf8(location).unwrap_or_else(|error| {
            let encode = |&b: &u8| if b.is_ascii() { char::from(b).to_string() } else { format!("%{b:02X}") };
            error.as_bytes().iter().map(encode).collect()
        });
        Self::new(kind, 307, TEXT, "").with("location", location)
    }

    pub(crate) fn poison(poison: Poison<'_>) -> Self {
        let text = match poison {
            Poison::NotUtf8(name) => format!(
                "label {:?}: the value is not UTF-8. The pushgateway would store it and then reject every later push.\n",
                String::from_utf8_lossy(name)
            ),
            Poison::ReservedName(name) => format!(
                "label {:?}: names that begin with __ are reserved. The pushgateway would store it and then reject \
                 every later push.\n",
                String::from_utf8_lossy(name)
            ),
            Poison::EmptyInstance => {
                "label \"instance\": the value is empty. Next to the same group without this label, the \
                                      pushgateway would reject every later push. Leave the label out.\n"
                    .to_owned()
            }
        };
        Self::new(ReplyKind::Poison, 400, TEXT, text)
    }

    pub(crate) fn no_members() -> Self {
        let text = "no pushgateway is known: the ring has no members. Try again.\n";
        Self::new(ReplyKind::NoMembers, 503, TEXT, text).with("retry-after", "5")
    }

    /// Answers 405, as a Pushgateway does, so that a push that a redirect turned into a GET fails.
    pub(crate) fn not_allowed(config: &Config) -> Self {
        let mut text = "GET is no push; PUT, POST and DELETE are. If this was a push, a redirect (301 or 302) turned it into \
                        a GET: send it to the URL that the redirect leads to.\n"
            .to_owned();
        if config.lookup == Lookup::Asked {
            text += "To ask which pushgateway has the group, send the header `Accept: application/json`.\n";
        }
        if !config.status_path.is_empty() {
            let status = &config.status_path;
            text += &format!("GET {status}/owner?path=<push path> shows which pushgateway has a group.\n");
        }
        Self::new(ReplyKind::NotAllowed, 405, TEXT, text).with("allow", "PUT, POST, DELETE")
    }

    pub(crate) fn no_push_path(path: &[u8], prefix: &str) -> Self {
        let path = String::from_utf8_lossy(path);
        let text = format!(
            "path: found {path:?}, expected a push path such as {prefix}/metrics/job/backup/instance/db1\n"
        );
        Self::new(ReplyKind::Lookup, 400, TEXT, text)
    }

    pub(crate) fn healthy() -> Self {
        Self::new(ReplyKind::Health, 200, TEXT, "OK")
    }

    pub(crate) fn not_ready() -> Self {
        Self { kind: ReplyKind::Health, ..Self::no_members() }
    }

    /// Answers with `nextUrl:<url>`, as dynamic-sharding does, or with JSON.
    pub(crate) fn lookup(
        url: &[u8],
        owner: &Member,
        successors: &[&str],
        labels: Option<&Labels<'_>>,
        json: bool,
    ) -> Self {
        if !json {
            // `text/plain` without a charset and no newline, because scripts for dynamic-sharding expect that.
            return Self::new(ReplyKind::Lookup, 200, "text/plain", [b"nextUrl:", url].concat());
        }
        let url = String::from_utf8_lossy(url);
        let labels = labels.map(LabelMap);
        let owner = Owner { name: &owner.name, address: &owner.address };
        Self::json(ReplyKind::Lookup, &LookupBody { labels, owner, successors, url: &url })
    }

    pub(crate) fn status(router: &Router) -> Self {
        let config = router.config();
        let round = |share: f64| (share * 10_000.0).round() / 10_000.0;
        let shares = router.ring().shares().into_iter().chain(std::iter::repeat(0.0));
        let members = config.members.iter().zip(shares);
        let body = StatusBody {
            version: env!("CARGO_PKG_VERSION"),
            commit: router.commit,
            digest: &router.digest(),
            route_by: config.route_by,
            placement: config.placement,
            mode: config.mode,
            mirror: config.mirror,
            path_prefix: &config.path_prefix,
            members: members.map(|(member, share)| MemberShare { member, share: round(share) }).collect(),
        };
        Self::json(ReplyKind::Status, &body)
    }

    fn json(kind: ReplyKind, body: &impl Serialize) -> Self {
        // These bodies are maps of strings and numbers, which always serialize.
        Self::new(kind, 200, JSON, serde_json::to_vec(body).unwrap_or_default())
    }
}

#[derive(Serialize)]
struct LookupBody<'a, 'd> {
    labels: Option<LabelMap<'a, 'd>>,
    owner: Owner<'a>,
    successors: &'a [&'a str],
    url: &'a str,
}

#[derive(Serialize)]
struct Owner<'a> {
    name: &'a str,
    address: &'a str,
}

/// Serializes `job` first, as people read a group, and the rest sorted. Bytes that are not UTF-8 become U+FFFD.
struct LabelMap<'a, 'd>(&'a Labels<'d>);

impl Serialize for LabelMap<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.list.len()))?;
        map.serialize_entry("job", &String::from_utf8_lossy(self.0.job()))?;
        for (name, value) in self.0.list.iter().filter(|(name, _)| **name != *b"job") {
            map.serialize_entry(&String::from_utf8_lossy(name), &String::from_utf8_lossy(value))?;
        }
        map.end()
    }
}

#[derive(Serialize)]
struct StatusBody<'a> {
    version: &'static str,
    commit: &'static str,
    digest: &'a str,
    route_by: RouteBy,
    placement: Placement,
    mode: Mode,
    mirror: Mirror,
    path_prefix: &'a str,
    members: Vec<MemberShare<'a>>,
}

#[derive(Serialize)]
struct MemberShare<'a> {
    #[serde(flatten)]
    member: &'a Member,
    share: f64,
}
