//! An upstream that records each request byte for byte. A Pushgateway would show only what it understood of it.

use std::net::SocketAddr;
use std::sync::mpsc::{self, Receiver};

use pushring_harness::http::Response;
use pushring_harness::poll_until;
use pushring_harness::server::{Request, serve};

/// Answers 200 to every request until the program ends.
pub(crate) struct Recorder {
    pub(crate) address: SocketAddr,
    /// Another address of the same upstream.
    pub(crate) second: SocketAddr,
    requests: Receiver<Request>,
}

impl Recorder {
    pub(crate) fn start() -> Self {
        let (sender, requests) = mpsc::channel();
        let record = move |request: &Request| {
            let _ = sender.send(request.clone());
            Ok(Response::ok(""))
        };
        Self { address: serve(record.clone()).unwrap(), second: serve(record).unwrap(), requests }
    }

    /// Waits for the next request.
    pub(crate) fn next(&self) -> Request {
        poll_until("a request at the upstream", || self.requests.try_recv().ok()).unwrap()
    }
}
