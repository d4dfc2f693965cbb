//! Serves the metrics of long-running commands.

use std::net::SocketAddr;
use std::thread;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tiny_http::{Header, Request, Response, Server};

use crate::error::BadInput;

/// A listener that does not answer yet.
pub(crate) struct MetricsServer {
    server: Server,
    address: SocketAddr,
}

impl MetricsServer {
    /// Opens the listener, so that a port in use is an error before any work begins.
    ///
    /// # Errors
    /// [`BadInput`]: the address cannot be used.
    pub(crate) fn bind(address: SocketAddr) -> Result<Self, BadInput> {
        let server =
            Server::http(address).map_err(|error| BadInput(format!("--listen {address}: {error}")))?;
        let address = server.server_addr().to_ip().unwrap_or(address);
        Ok(Self { server, address })
    }

    /// Port 0 selects a free port, which is known here.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers `/metrics`, `/-/healthy` and, by `ready`, `/-/ready` in a thread of its own. `buckets` are those of all
    /// histograms. `/metrics` ends with the text of `more`: series that come and go, which the recorder would keep.
    pub(crate) fn start(
        self,
        buckets: &[f64],
        ready: impl Fn() -> bool + Send + 'static,
        more: impl Fn() -> String + Send + 'static,
    ) -> anyhow::Result<PrometheusHandle> {
        let handle = PrometheusBuilder::new().set_buckets(buckets)?.install_recorder()?;
        let metrics = handle.clone();
        thread::Builder::new().name("metrics".to_owned()).spawn(move || {
            for request in self.server.incoming_requests() {
                answer(request, || metrics.render() + &more(), &ready);
            }
        })?;
        Ok(handle)
    }
}

fn answer(request: Request, metrics: impl Fn() -> String, ready: &impl Fn() -> bool) {
    let answer = match request.url().split('?').next() {
        Some("/metrics") => {
            let form = "Content-Type: text/plain; version=0.0.4; charset=utf-8".parse::<Header>().ok();
            form.into_iter().fold(Response::from_string(metrics()), Response::with_header)
        }
        Some("/-/healthy") => Response::from_string("healthy\n"),
        Some("/-/ready") if ready() => Response::from_string("ready\n"),
        Some("/-/ready") => Response::from_string("not ready\n").with_status_code(503),
        _ => Response::from_string("see /metrics, /-/healthy or /-/ready\n").with_status_code(404),
    };
    // The client may have closed the connection.
    let _ = request.respond(answer);
}
