//! The filter without its host: everything that happens to a request, in the few calls that both interfaces of Envoy for
//! extensions offer (proxy-wasm and dynamic modules).

use std::ops::Deref;

use crate::config::ConfigError;
use crate::counter::Counter;
use crate::decide::{Decision, Request};
use crate::reply::{Reply, ReplyKind};
use crate::{Router, passed_pushring};

/// A request in Envoy. Names of headers are lower-case.
pub trait Exchange {
    /// Value of a header. Bytes, because header values need not be UTF-8. It may borrow from Envoy, which keeps it until a
    /// header is set.
    type Value<'a>: Deref<Target = [u8]>
    where
        Self: 'a;

    /// Returns the first value of a request header.
    fn header(&self, name: &str) -> Option<Self::Value<'_>>;

    /// Replaces the values of a request header, or removes them. Returns whether Envoy did it.
    fn set_header(&mut self, name: &str, value: Option<&[u8]>) -> bool;

    /// Answers the request. `reason` is for the access log.
    fn reply(&mut self, reason: &str, status: u16, headers: &[(&str, String)], body: &[u8]);

    /// Increments a counter. If Envoy has no such counter, the request is handled nevertheless.
    fn count(&mut self, counter: Counter);
}

/// The consequence of [`Filter::handle`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Envoy chooses the route by the destination header and forwards the request.
    Forward,
    /// The request was answered and must not be forwarded as well.
    Answered,
}

/// One configuration of the filter, with all that its requests share. A request that began under a configuration keeps it.
#[derive(Clone, Debug)]
pub struct Filter {
    router: Router,
    /// `<header>-mirror`
    mirror_header: String,
}

impl Filter {
    /// The log line for a configuration that [`Filter::parse`] rejected.
    #[must_use]
    pub fn rejection(reason: &ConfigError) -> String {
        format!("pushring: configuration rejected, the current one stays in force: {reason}")
    }

    /// Parses a configuration with [`Router::parse`]. `commit` is that of the build of the host's module.
    ///
    /// # Errors
    /// [`ConfigError`] for the first problem in the configuration.
    pub fn parse(json: &[u8], commit: &'static str) -> Result<Self, ConfigError> {
        let router = Router::parse(json)?.with_commit(commit);
        let mirror_header = format!("{}-mirror", router.config().header);
        Ok(Self { router, mirror_header })
    }

    /// Returns its router.
    #[must_use]
    pub fn router(&self) -> &Router {
        &self.router
    }

    /// Returns the log line for a configuration that is in force from now on. `version` is that of the host's module.
    #[must_use]
    pub fn summary(&self, version: &str) -> String {
        let (commit, members) = (self.router.commit, self.router.config().members.len());
        let (points, digest) = (self.router.points(), self.router.digest());
        format!("pushring {version} ({commit}): {members} members, {points} points, digest {digest}")
    }

    /// Handles a request whose headers are complete: sets the destination headers, or answers it.
    pub fn handle<E: Exchange>(&self, exchange: &mut E) -> Verdict {
        match self.decide(exchange) {
            Decision::Route(route) => {
                if route.malformed {
                    exchange.count(Counter::UnparsablePaths);
                }
                self.forward(exchange, Some(route.destination.as_bytes()), route.mirror)
            }
            Decision::Bypass => self.forward(exchange, None, None),
            Decision::Reply(reply) if reply.kind == ReplyKind::Health && wants_a_gateway(exchange) => {
                self.forward(exchange, None, None)
            }
            Decision::Reply(reply) => answer(exchange, &reply),
        }
    }

    /// Each header costs a call into Envoy, so `accept` is read only where it matters.
    fn decide<E: Exchange>(&self, exchange: &E) -> Decision<'_> {
        let method = exchange.header(":method");
        let path = exchange.header(":path");
        let method = method.as_deref().unwrap_or_default();
        let accept = if matches!(method, b"GET" | b"HEAD") { exchange.header("accept") } else { None };
        let path = path.as_deref().unwrap_or_default();
        self.router.decide(Request { method, path, accept: accept.as_deref() })
    }

    /// Writes or removes both destination headers, so that a client's own values never count.
    fn forward<E: Exchange>(&self, exchange: &mut E, to: Option<&[u8]>, mirror: Option<&[u8]>) -> Verdict {
        if exchange.set_header(&self.router.config().header, to)
            && exchange.set_header(&self.mirror_header, mirror)
        {
            return Verdict::Forward;
        }
        let text = b"pushring: Envoy rejects the destination header\n";
        exchange.reply("pushring_rejected_header", 503, &[], text);
        Verdict::Answered
    }
}

fn answer<E: Exchange>(exchange: &mut E, reply: &Reply) -> Verdict {
    if reply.kind == ReplyKind::Poison {
        exchange.count(Counter::PoisonRefused);
    }
    exchange.count(Counter::Replies(reply.kind));
    exchange.reply(reply.kind.reason(), reply.status, &reply.headers, &reply.body);
    Verdict::Answered
}

/// Returns whether the request carries the mark of a routed push, as the health check of a registered Pushgateway does
/// (`pushring register`): an Envoy that is registered by mistake must not pass it.
fn wants_a_gateway<E: Exchange>(exchange: &E) -> bool {
    exchange.header("cdn-loop").is_some_and(|value| passed_pushring(&value))
}
