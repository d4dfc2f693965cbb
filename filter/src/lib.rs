//! The proxy-wasm filter: Envoy's side of pushring. The only crate that makes host calls.
//!
//! What to do is decided in `pushring-router`; here Envoy is told. Header values are bytes: any of them may be no UTF-8.

// A host's calls exist in a VM alone. For other targets, where the workspace is built and tested, the crate is empty.
#![cfg(target_arch = "wasm32")]

#[allow(unsafe_code)] // see Cargo.toml
mod abi;
mod contexts;
mod metrics;

use abi::{Action, Level};
use pushring_router::{Decision, Reply, Request, Router};

/// What the requests of one configuration share.
struct Shared {
    router: Router,
    /// `<header>-mirror`
    mirror_header: String,
}

/// Takes in the configuration that the host holds out; `None` makes Envoy keep the one it has.
fn configure() -> Option<Shared> {
    let json = abi::configuration().ok().flatten().unwrap_or_default();
    match Router::parse(&json) {
        Ok(router) => {
            let (members, points) = (router.config().members.len(), router.points());
            metrics::accepted(members, points);
            let version = env!("CARGO_PKG_VERSION");
            let digest = router.digest();
            abi::log(
                Level::Info,
                &format!("pushring {version}: {members} members, {points} points, digest {digest}"),
            );
            if let Some(previous) = contexts::latest() {
                router.follow(&previous.router);
            }
            let mirror_header = format!("{}-mirror", router.config().header);
            Some(Shared { router, mirror_header })
        }
        Err(reason) => {
            metrics::rejected();
            error(&format!("pushring configuration rejected, the one in force stays: {reason}"));
            None
        }
    }
}

/// Decides on the request whose headers the host holds out.
fn decide(shared: &Shared) -> Action {
    let method = header(":method").unwrap_or_default();
    let path = header(":path").unwrap_or_default();
    // Asked for only where it matters: each header costs a call into Envoy.
    let accept = if matches!(&*method, b"GET" | b"HEAD") { header("accept") } else { None };
    match shared.router.decide(Request { method: &method, path: &path, accept: accept.as_deref() }) {
        Decision::Route(route) => {
            let action = send_on(shared, Some(route.destination.as_bytes()), route.mirror);
            if route.malformed {
                metrics::unparsable();
            }
            action
        }
        Decision::Bypass => send_on(shared, None, None),
        Decision::Reply(reply) => answer(&reply),
    }
}

/// Sets the destination. Both headers are written or removed for every request, so that a client's own never count;
/// a request for which that fails would go where its client says, and so is not sent on.
fn send_on(shared: &Shared, destination: Option<&[u8]>, mirror: Option<&[u8]>) -> Action {
    let set = set_header(&shared.router.config().header, destination);
    if set && set_header(&shared.mirror_header, mirror) {
        return Action::Continue;
    }
    respond(500, &[], b"pushring: Envoy refused to set the destination, its log says why\n")
}

fn answer(reply: &Reply) -> Action {
    metrics::replied(reply.kind);
    respond(reply.status, &reply.headers, &reply.body)
}

/// Answers the request here. If Envoy refuses, it waits for a time limit: sent on it must not be.
fn respond(status: u16, headers: &[(&'static str, String)], body: &[u8]) -> Action {
    if let Err(refused) = abi::respond(status, headers, body) {
        error(&format!("pushring: Envoy refused a local reply of status {status}: {refused}"));
    }
    Action::Pause
}

/// First value of a request header.
fn header(name: &str) -> Option<Vec<u8>> {
    abi::header(name).unwrap_or_else(|refused| {
        error(&format!("pushring: Envoy refused to give header {name}: {refused}"));
        None
    })
}

/// Replaces all copies of a request header, or removes them. Answers whether that was done.
fn set_header(name: &str, value: Option<&[u8]>) -> bool {
    let done = value.map_or_else(|| abi::remove_header(name), |value| abi::replace_header(name, value));
    if let Err(refused) = done {
        error(&format!("pushring: Envoy refused to set header {name}: {refused}"));
    }
    done.is_ok()
}

fn error(text: &str) {
    abi::log(Level::Error, text);
}
