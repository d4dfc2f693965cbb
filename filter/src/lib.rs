//! The proxy-wasm filter. `pushring-router` makes the decision; this crate applies it in Envoy.
//!
//! Two rules keep a worker alive and a push on its way to the owner:
//!
//! * Header values are bytes. The String getters of the SDK panic on bytes that are not UTF-8, so only the byte
//!   getters are used.
//! * The SDK panics when a host call fails, for example because the call is missing from
//!   `allowed_capabilities`. The panic ends the VM, Envoy answers that request with 503 and starts a new VM
//!   (`FAIL_RELOAD`). A request is never forwarded with a destination that the filter did not write.

#![deny(clippy::indexing_slicing)] // a panic ends the VM of an Envoy worker
#![allow(missing_docs)] // the SDK's macro makes the entry point; nothing else is public

mod metrics;

use std::rc::Rc;

use git_version::git_version;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};
use pushring_router::{Decision, ReplyKind, Request, Router, passed_pushring};

/// The commit that the module was built from, as in the command's `main.rs`.
const COMMIT: &str = match option_env!("PUSHRING_COMMIT") {
    Some(commit) => commit,
    None => git_version!(args = ["--always", "--dirty", "--exclude=*", "--abbrev=12"], fallback = "unknown"),
};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(Plugin { settings: None }));
}}

/// One configuration of the filter. Envoy creates a new plugin for every new configuration.
struct Plugin {
    /// `None` until a configuration was accepted.
    settings: Option<Rc<Settings>>,
}

/// The parts of a configuration that its requests share. A request that began under a configuration keeps it.
struct Settings {
    router: Router,
    /// `<header>-mirror`
    mirror_header: String,
}

impl Context for Plugin {}

impl RootContext for Plugin {
    /// Accepts or rejects a configuration. Envoy keeps the configuration in force if the new one is rejected.
    fn on_configure(&mut self, _size: usize) -> bool {
        let json = self.get_plugin_configuration().unwrap_or_default();
        match Router::parse(&json) {
            Ok(router) => {
                let router = router.with_commit(COMMIT);
                let (members, points) = (router.config().members.len(), router.points());
                metrics::accepted(members, points);
                let (version, digest) = (env!("CARGO_PKG_VERSION"), router.digest());
                log::info!(
                    "pushring {version} ({COMMIT}): {members} members, {points} points, digest {digest}"
                );
                let mirror_header = format!("{}-mirror", router.config().header);
                self.settings = Some(Rc::new(Settings { router, mirror_header }));
                true
            }
            Err(reason) => {
                metrics::rejected();
                log::error!("pushring: configuration rejected, the current one stays in force: {reason}");
                false
            }
        }
    }

    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream { settings: self.settings.clone() }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

/// One request.
struct Stream {
    settings: Option<Rc<Settings>>,
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        // Envoy sends no request to a plugin whose configuration was rejected; without one there is no owner.
        let Some(settings) = &self.settings else {
            let body = b"pushring: no configuration in force; see the Envoy log\n";
            return self.reply("pushring_no_configuration", 503, &[], body);
        };
        let method = self.get_http_request_header_bytes(":method").unwrap_or_default();
        let path = self.get_http_request_header_bytes(":path").unwrap_or_default();
        // Each header costs a call into Envoy, so `accept` is read only where it matters.
        let reads = matches!(&*method, b"GET" | b"HEAD");
        let accept = if reads { self.get_http_request_header_bytes("accept") } else { None };
        match settings.router.decide(Request { method: &method, path: &path, accept: accept.as_deref() }) {
            Decision::Route(route) => {
                if route.malformed {
                    metrics::unparsable();
                }
                self.forward(settings, Some(route.destination.as_bytes()), route.mirror)
            }
            Decision::Bypass => self.forward(settings, None, None),
            Decision::Reply(reply) if reply.kind == ReplyKind::Health && self.wants_a_gateway() => {
                self.forward(settings, None, None)
            }
            Decision::Reply(reply) => {
                metrics::replied(reply.kind);
                self.reply(reply.kind.reason(), reply.status, &reply.headers, &reply.body)
            }
        }
    }
}

impl Stream {
    /// Writes or removes both destination headers, so that a client's own values never count.
    fn forward(&self, settings: &Settings, destination: Option<&[u8]>, mirror: Option<&[u8]>) -> Action {
        self.set_http_request_header_bytes(&settings.router.config().header, destination);
        self.set_http_request_header_bytes(&settings.mirror_header, mirror);
        Action::Continue
    }

    /// Returns whether the request carries the mark of a routed push, as the health check of a registered Pushgateway does
    /// (`pushring register`): an Envoy that is registered by mistake must not pass it.
    fn wants_a_gateway(&self) -> bool {
        self.get_http_request_header_bytes("cdn-loop").is_some_and(|value| passed_pushring(&value))
    }

    /// Answers the request. It stays paused, because it must not be forwarded as well.
    ///
    /// The SDK passes no response code details to Envoy: the access log reads them from a header.
    fn reply(&self, reason: &str, status: u16, headers: &[(&str, String)], body: &[u8]) -> Action {
        let headers = headers.iter().map(|(name, value)| (*name, value.as_str()));
        let headers = headers.chain([("x-pushring-reason", reason)]).collect();
        self.send_http_response(status.into(), headers, Some(body));
        Action::Pause
    }
}
