//! The proxy-wasm filter: Envoy's side of pushring. The only crate that makes host calls.
//!
//! Envoy hands the configuration to [`Root`], each request to [`Push`]; what to do is decided in
//! `pushring-router`. Only byte getters are used for headers: the SDK's String getters panic on bytes that
//! are not UTF-8, and a panic stops a whole worker.

#![allow(missing_docs)] // the module's entry point is made by the SDK's macro; nothing else is public

mod metrics;

use std::rc::Rc;

use log::{error, info};
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel, MapType};
use pushring_router::{Decision, Reply, Request, Route, Router};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(Root { shared: None }));
}}

/// What the requests of one configuration share.
struct Shared {
    router: Router,
    /// `<header>-mirror`
    mirror_header: String,
}

/// One configuration. Envoy makes a new root for each; requests under way keep the old one.
struct Root {
    shared: Option<Rc<Shared>>,
}

impl Context for Root {}

impl RootContext for Root {
    /// Answering false makes Envoy keep the configuration it has.
    fn on_configure(&mut self, _size: usize) -> bool {
        let json = self.get_plugin_configuration().unwrap_or_default();
        match Router::parse(&json) {
            Ok(router) => {
                let (members, points) = (router.config().members.len(), router.ring().points());
                metrics::accepted(members, points);
                info!(
                    "pushring {}: {members} members, {points} points, digest {}",
                    env!("CARGO_PKG_VERSION"),
                    router.digest()
                );
                let mirror_header = format!("{}-mirror", router.config().header);
                self.shared = Some(Rc::new(Shared { router, mirror_header }));
                true
            }
            Err(reason) => {
                metrics::rejected();
                error!("pushring configuration rejected, the one in force stays: {reason}");
                false
            }
        }
    }

    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Push { shared: self.shared.clone() }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

/// One request.
struct Push {
    shared: Option<Rc<Shared>>,
}

impl Context for Push {}

impl HttpContext for Push {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        // Envoy creates no requests under a configuration that was rejected; without one there is no ring.
        let Some(shared) = &self.shared else { return Action::Continue };
        let method = header(":method").unwrap_or_default();
        let path = header(":path").unwrap_or_default();
        // Asked for only where it matters: each header costs a call into Envoy.
        let accept = if matches!(&*method, b"GET" | b"HEAD") { header("accept") } else { None };
        match shared.router.decide(Request { method: &method, path: &path, accept: accept.as_deref() }) {
            Decision::Route(route) => {
                send_on(shared, &route);
                Action::Continue
            }
            Decision::Bypass => {
                set_header(&shared.router.config().header, None);
                set_header(&shared.mirror_header, None);
                Action::Continue
            }
            Decision::Reply(reply) => {
                answer(&reply);
                Action::Pause
            }
        }
    }
}

/// Sets the destination. The mirror header is written on every push, so that a client's own never counts.
fn send_on(shared: &Shared, route: &Route<'_>) {
    set_header(&shared.router.config().header, Some(route.destination.as_bytes()));
    set_header(&shared.mirror_header, route.mirror);
    if route.malformed {
        metrics::unparsable();
    }
}

fn answer(reply: &Reply) {
    metrics::replied(reply.kind);
    let headers = reply.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let sent = hostcalls::send_http_response(u32::from(reply.status), headers, Some(&reply.body));
    if let Err(status) = sent {
        error!("pushring: Envoy refused a local reply of status {}: {status:?}", reply.status);
    }
}

/// First value of a request header, as bytes.
fn header(name: &str) -> Option<Vec<u8>> {
    hostcalls::get_map_value_bytes(MapType::HttpRequestHeaders, name).ok().flatten()
}

/// Replaces all copies of a request header, or removes them.
fn set_header(name: &str, value: Option<&[u8]>) {
    let done = hostcalls::set_map_value_bytes(MapType::HttpRequestHeaders, name, value);
    if let Err(status) = done {
        error!("pushring: Envoy refused to set header {name}: {status:?}");
    }
}
