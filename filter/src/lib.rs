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
use pushring_router::{Counter, Exchange, Filter, Verdict};

/// The commit that the module was built from, as in the command's `main.rs`.
const COMMIT: &str = match option_env!("PUSHRING_COMMIT") {
    Some(commit) => commit,
    None => git_version!(args = ["--always", "--dirty", "--exclude=*", "--abbrev=12"], fallback = "unknown"),
};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(Plugin { filter: None }));
}}

/// One configuration of the filter. Envoy creates a new plugin for every new configuration.
struct Plugin {
    /// `None` until a configuration was accepted.
    filter: Option<Rc<Filter>>,
}

impl Context for Plugin {}

impl RootContext for Plugin {
    /// Accepts or rejects a configuration. Envoy keeps the configuration in force if the new one is rejected.
    fn on_configure(&mut self, _size: usize) -> bool {
        let json = self.get_plugin_configuration().unwrap_or_default();
        match Filter::parse(&json, COMMIT) {
            Ok(filter) => {
                let router = filter.router();
                metrics::accepted(router.config().members.len(), router.points());
                log::info!("{}", filter.summary(env!("CARGO_PKG_VERSION")));
                self.filter = Some(Rc::new(filter));
                true
            }
            Err(reason) => {
                metrics::count(Counter::ConfigRejected);
                log::error!("{}", Filter::rejection(&reason));
                false
            }
        }
    }

    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream { filter: self.filter.clone() }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

/// One request.
struct Stream {
    filter: Option<Rc<Filter>>,
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        // Envoy sends no request to a plugin whose configuration was rejected; without one there is no owner.
        let verdict = self.filter.as_ref().map(|filter| filter.handle(&mut Call));
        match verdict {
            Some(Verdict::Forward) => Action::Continue,
            // An answered request stays paused, because it must not be forwarded as well.
            Some(Verdict::Answered) => Action::Pause,
            None => {
                let body = b"pushring: no configuration in force; see the Envoy log\n";
                Call.reply("pushring_no_configuration", 503, &[], body);
                Action::Pause
            }
        }
    }
}

/// Calls into Envoy for the request that it is handling.
struct Call;

impl Context for Call {}

impl HttpContext for Call {}

impl Exchange for Call {
    type Value<'a> = Vec<u8>;

    fn header(&self, name: &str) -> Option<Vec<u8>> {
        self.get_http_request_header_bytes(name)
    }

    fn set_header(&mut self, name: &str, value: Option<&[u8]>) -> bool {
        self.set_http_request_header_bytes(name, value);
        true
    }

    /// The SDK passes no response code details to Envoy: the access log reads them from a header.
    fn reply(&mut self, reason: &str, status: u16, headers: &[(&str, String)], body: &[u8]) {
        let headers = headers.iter().map(|(name, value)| (*name, value.as_str()));
        let headers = headers.chain([("x-pushring-reason", reason)]).collect();
        self.send_http_response(status.into(), headers, Some(body));
    }

    fn count(&mut self, counter: Counter) {
        metrics::count(counter);
    }
}
