//! The decision on one request.

use smallvec::SmallVec;

use crate::config::{Lookup, Member, Mirror, Mode};
use crate::push::{self, Decoded, Labels, PushPath, Target};
use crate::reply::{Reply, ReplyKind};
use crate::router::Router;

/// The parts of a request that decide its fate, as bytes, because header values need not be UTF-8.
#[derive(Clone, Copy, Debug)]
pub struct Request<'r> {
    /// `:method`
    pub method: &'r [u8],
    /// `:path`, including the query.
    pub path: &'r [u8],
    /// `accept`; only GET and HEAD need it.
    pub accept: Option<&'r [u8]>,
}

/// The action for a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision<'r> {
    /// Set the destination headers and forward the request.
    Route(Route<'r>),
    /// Remove the destination headers and forward the request to Envoy's next route: it is not a push.
    Bypass,
    /// Send this reply to the client.
    Reply(Reply),
}

/// The route of a push.
#[derive(Clone, Debug, PartialEq)]
pub struct Route<'r> {
    /// The member that owns the group.
    pub owner: &'r Member,
    /// Value of the destination header.
    pub destination: Destination<'r>,
    /// Value of the mirror header. Present for the pushes of [`crate::Config::mirror`] if there is a successor.
    pub mirror: Option<&'r [u8]>,
    /// The Pushgateway answers this path with 400. The decoded path determined the owner.
    pub malformed: bool,
}

/// Value of the destination header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination<'r> {
    /// The name of a cluster.
    Cluster(&'r [u8]),
    /// Addresses separated by commas, owner first. Three IPv6 addresses fit without an allocation.
    Endpoints(SmallVec<[u8; 144]>),
}

impl Destination<'_> {
    /// Returns the header value.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Cluster(name) => name,
            Self::Endpoints(list) => list,
        }
    }
}

impl Router {
    /// Decides on a request. Every request gets an answer, whatever its bytes.
    ///
    /// Allocates nothing for a push whose path has no percent sign, no base64 and at most 8 labels, `job` included.
    ///
    /// # Examples
    /// ```
    /// use pushring_router::{Decision, Request, Router};
    ///
    /// let router = Router::parse(br#"{"members": ["10.0.0.1:9091"]}"#)?;
    /// let push = Request { method: b"PUT", path: b"/metrics/job/backup", accept: None };
    /// let Decision::Route(route) = router.decide(push) else { panic!("a push is routed") };
    /// assert_eq!(route.destination.as_bytes(), b"pushgateway-10.0.0.1:9091");
    ///
    /// let page = Request { method: b"GET", path: b"/metrics", accept: None };
    /// assert_eq!(router.decide(page), Decision::Bypass);
    /// # Ok::<(), pushring_router::ConfigError>(())
    /// ```
    #[must_use]
    pub fn decide(&self, request: Request<'_>) -> Decision<'_> {
        let target = Target::split(request.path);
        let decoded = push::decode(target.raw);
        // Go rejects a broken escape before it cleans a path, so such a path must not be redirected.
        if let Some(clean) = push::cleaned(target.raw).filter(|_| !decoded.broken) {
            if !self.is_push(&clean) {
                return self.decide_non_push(request, target);
            }
            return Decision::Reply(Reply::redirect(ReplyKind::CleanPath, [&clean, target.query].concat()));
        }
        match self.push_path(target.raw, &decoded) {
            Some(push) => self.decide_push(request, &decoded, push),
            None => self.decide_non_push(request, target),
        }
    }

    fn decide_push<'d>(
        &self,
        request: Request<'_>,
        decoded: &'d Decoded<'d>,
        push: PushPath<'d>,
    ) -> Decision<'_> {
        let labels = self.labels(decoded, push);
        let position = self.key_position(decoded, labels.as_ref());
        // Only PUT and POST store anything. A DELETE heals a poisoned gateway, so it must pass.
        if let (b"PUT" | b"POST", Some(poison)) = (request.method, labels.as_ref().and_then(Labels::poison)) {
            return Decision::Reply(Reply::poison(poison));
        }
        let Some(index) = self.ring().owner_at(position) else { return Decision::Reply(Reply::no_members()) };
        let Some(owner) = self.config.members.get(index) else { return Decision::Reply(Reply::no_members()) };
        if matches!(request.method, b"GET" | b"HEAD") {
            let accept = request.accept.unwrap_or_default();
            let (answers, json) = match self.config.lookup {
                Lookup::Asked => (accepts_only_json(accept), true),
                Lookup::Always => (true, accepts_json(accept)),
                Lookup::Off => (false, false),
            };
            return Decision::Reply(if answers {
                self.lookup(request.path, owner, position, labels.as_ref(), json)
            } else {
                Reply::not_allowed(&self.config)
            });
        }
        let destination = match self.config.mode {
            Mode::Cluster => Destination::Cluster(self.clusters.get(index).map_or(&[], |name| name)),
            Mode::Endpoint => Destination::Endpoints(self.endpoints(position)),
            Mode::Redirect => {
                return Decision::Reply(Reply::redirect(ReplyKind::Redirect, self.url(owner, request.path)));
            }
        };
        let mirrors = match self.config.mirror {
            Mirror::None => false,
            Mirror::Deletes => request.method == b"DELETE",
            Mirror::All => matches!(request.method, b"PUT" | b"POST" | b"DELETE"),
        };
        let mirror = if mirrors { self.mirror(position) } else { None };
        Decision::Route(Route { owner, destination, mirror, malformed: labels.is_none() })
    }

    fn decide_non_push(&self, request: Request<'_>, target: Target<'_>) -> Decision<'_> {
        let path = target.raw;
        if !matches!(request.method, b"GET" | b"HEAD") {
            return Decision::Bypass;
        }
        match path.strip_prefix(self.config.status_path.as_bytes()) {
            Some(b"") if !path.is_empty() => return Decision::Reply(self.status().clone()),
            Some(b"/owner") if !self.config.status_path.is_empty() => {
                let json = request.accept.is_some_and(accepts_json);
                return Decision::Reply(self.owner_reply(target.query, json));
            }
            _ => {}
        }
        if self.config.health {
            match path.strip_prefix(self.config.path_prefix.as_bytes()) {
                Some(b"/-/healthy") => return Decision::Reply(Reply::healthy()),
                Some(b"/-/ready") if self.config.members.is_empty() => {
                    return Decision::Reply(Reply::not_ready());
                }
                Some(b"/-/ready") => return Decision::Reply(Reply::healthy()),
                _ => {}
            }
        }
        Decision::Bypass
    }

    fn is_push(&self, raw: &[u8]) -> bool {
        PushPath::is(raw, &self.config.path_prefix)
    }

    /// Answers the query `?path=<push path>`, percent-encoded as every value of a query: `%` as `%25`. A path that no gateway
    /// would store gets the 400 of its push.
    fn owner_reply(&self, query: &[u8], json: bool) -> Reply {
        let mut fields = query.get(1..).unwrap_or_default().split(|&b| b == b'&');
        let Some(path) = fields.find_map(|field| field.strip_prefix(b"path=")) else {
            return Reply::no_push_path(b"", &self.config.path_prefix);
        };
        let path = push::decode(path).bytes;
        let path = push::clean_path(&path);
        let target = Target::split(&path);
        let decoded = push::decode(target.raw);
        let push = self.push_path(target.raw, &decoded);
        let Some(labels) = push.and_then(|push| self.labels(&decoded, push)) else {
            return Reply::no_push_path(&path, &self.config.path_prefix);
        };
        if let Some(poison) = labels.poison() {
            return Reply { kind: ReplyKind::Lookup, ..Reply::poison(poison) };
        }
        let position = self.key_position(&decoded, Some(&labels));
        let owner = self.ring().owner_at(position).and_then(|index| self.config.members.get(index));
        owner.map_or_else(Reply::no_members, |owner| {
            self.lookup(&encoded(&path), owner, position, Some(&labels), json)
        })
    }

    fn lookup(
        &self,
        path: &[u8],
        owner: &Member,
        position: u64,
        labels: Option<&Labels<'_>>,
        json: bool,
    ) -> Reply {
        let successors: Vec<&str> = self.members_from(position).skip(1).map(|m| m.name.as_str()).collect();
        Reply::lookup(&self.url(owner, path), owner, &successors, labels, json)
    }

    /// Iterates over the owner and its `successors`, clockwise.
    fn members_from(&self, position: u64) -> impl Iterator<Item = &Member> {
        let wanted = self.config.successors.saturating_add(1);
        self.ring().clockwise_at(position).filter_map(|index| self.config.members.get(index)).take(wanted)
    }

    fn endpoints(&self, position: u64) -> SmallVec<[u8; 144]> {
        let mut list = SmallVec::new();
        for member in self.members_from(position) {
            if !list.is_empty() {
                list.push(b',');
            }
            list.extend_from_slice(member.address.as_bytes());
        }
        list
    }

    /// Returns the destination of the first successor, in the form of the mode.
    fn mirror(&self, position: u64) -> Option<&[u8]> {
        let index = self.ring().clockwise_at(position).nth(1)?;
        match self.config.mode {
            Mode::Endpoint => self.config.members.get(index).map(|m| m.address.as_bytes()),
            Mode::Cluster | Mode::Redirect => self.clusters.get(index).map(|name| &**name),
        }
    }

    /// Returns `<scheme>://<address><path and query as received>`.
    fn url(&self, owner: &Member, path: &[u8]) -> Vec<u8> {
        [self.config.redirect_scheme.as_bytes(), b"://", owner.address.as_bytes(), path].concat()
    }
}

/// Returns whether a client asks for JSON and nothing else. Many HTTP libraries list JSON among others in every request, also
/// in a push that a redirect turned into a GET.
fn accepts_only_json(accept: &[u8]) -> bool {
    let mut outside = outside_quotes();
    if accept.iter().any(|&byte| outside(byte) && byte == b',') {
        return false;
    }
    let mut outside = outside_quotes();
    let mut parts = accept.split(|&byte| outside(byte) && byte == b';').map(<[u8]>::trim_ascii);
    let json = parts.next().is_some_and(|media_type| media_type.eq_ignore_ascii_case(b"application/json"));
    json && parts.all(is_acceptable)
}

/// Returns a function that takes the bytes of a header in their order and returns whether one is outside quotes.
fn outside_quotes() -> impl FnMut(u8) -> bool {
    let (mut quoted, mut escaped) = (false, false);
    move |byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => return !quoted,
        }
        false
    }
}

/// Whether this parameter of a media type is no weight, or one above zero (RFC 9110, section 12.4.2). A weight with an error is
/// no consent.
fn is_acceptable(parameter: &[u8]) -> bool {
    let mut sides = parameter.splitn(2, |&byte| byte == b'=');
    let name = sides.next().unwrap_or_default().trim_ascii();
    let value = sides.next().unwrap_or_default();
    let digits = value.iter().all(|&byte| byte == b'.' || byte.is_ascii_digit());
    !name.eq_ignore_ascii_case(b"q") || digits && value.iter().any(|byte| (b'1'..=b'9').contains(byte))
}

/// Percent-encodes the bytes of a path that no URL may contain.
fn encoded(path: &[u8]) -> Vec<u8> {
    let mut url = Vec::with_capacity(path.len());
    for &byte in path {
        if byte.is_ascii_graphic() && byte != b'#' {
            url.push(byte);
        } else {
            url.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
    url
}

fn accepts_json(accept: &[u8]) -> bool {
    const JSON: &[u8] = b"application/json";
    accept.windows(JSON.len()).any(|window| window.eq_ignore_ascii_case(JSON))
}
