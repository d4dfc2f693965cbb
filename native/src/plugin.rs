//! One configuration of the filter, and the requests under it.

use git_version::git_version;
use pushring_router::{Counter, Exchange, Filter, MEMBERS_GAUGE, POINTS_GAUGE, Verdict};

use crate::envoy::{self, Config, Metric, Request};
use crate::panics::caught;

/// The commit that the module was built from, as in the Wasm filter.
const COMMIT: &str = match option_env!("PUSHRING_COMMIT") {
    Some(commit) => commit,
    None => git_version!(args = ["--always", "--dirty", "--exclude=*", "--abbrev=12"], fallback = "unknown"),
};

/// A configuration that was accepted. All workers share it, and Envoy keeps it as long as a request needs it.
pub(crate) struct Plugin {
    filter: Filter,
    metrics: Metrics,
}

/// `None` for a metric that Envoy rejected.
struct Metrics {
    /// By [`Counter::index`].
    counters: [Option<Metric>; Counter::COUNT],
    members: Option<Metric>,
    points: Option<Metric>,
    panics: Option<Metric>,
}

impl Metrics {
    /// Each configuration defines all metrics: Envoy keeps a value as long as any configuration knows its name.
    fn define(config: &Config<'_>) -> Self {
        Self {
            counters: Counter::all().map(|counter| config.counter(&counter.name())),
            members: config.gauge(MEMBERS_GAUGE),
            points: config.gauge(POINTS_GAUGE),
            panics: config.counter("pushring_panics"),
        }
    }

    fn counter(&self, counter: Counter) -> Option<Metric> {
        self.counters.get(counter.index()).copied().flatten()
    }
}

impl Plugin {
    /// Accepts or rejects a configuration. Envoy keeps the configuration in force if the new one is rejected.
    pub(crate) fn new(config: &Config<'_>, json: &[u8]) -> Option<Self> {
        let metrics = Metrics::define(config);
        let parsed = caught(|| {
            let filter = Filter::parse(json, COMMIT);
            if let Ok(filter) = &filter {
                // Envoy's main thread is here, once. Built by the first request, the ring would delay the pushes of every worker.
                let _ = filter.router().ring();
            }
            filter
        });
        match parsed {
            Ok(Ok(filter)) => {
                config.increment(metrics.counter(Counter::ConfigAccepted));
                config.set(metrics.members, filter.router().config().members.len());
                config.set(metrics.points, filter.router().points());
                envoy::info(&filter.summary(env!("CARGO_PKG_VERSION")));
                Some(Self { filter, metrics })
            }
            Ok(Err(reason)) => {
                config.increment(metrics.counter(Counter::ConfigRejected));
                envoy::error(&Filter::rejection(&reason));
                None
            }
            Err(_) => {
                config.increment(metrics.counter(Counter::ConfigRejected));
                config.increment(metrics.panics);
                None
            }
        }
    }

    /// Handles a request whose headers are complete. A panic is answered with 500, and the request is not forwarded.
    pub(crate) fn request(&self, request: Request<'_>) -> Verdict {
        let mut call = Call { request, metrics: &self.metrics };
        let verdict = caught(|| {
            panic_on_demand(&call);
            let verdict = self.filter.handle(&mut call);
            if verdict == Verdict::Forward {
                call.request.clear_route();
            }
            verdict
        });
        verdict.unwrap_or_else(|_| {
            call.request.increment(self.metrics.panics);
            let body = b"pushring: a fault in the module; see the Envoy log\n";
            call.request.reply(500, &[], body, "pushring_panic");
            Verdict::Answered
        })
    }
}

/// A request and the ids of its configuration's metrics.
struct Call<'p, 'h> {
    request: Request<'h>,
    metrics: &'p Metrics,
}

impl Exchange for Call<'_, '_> {
    type Value<'a>
        = &'a [u8]
    where
        Self: 'a;

    fn header(&self, name: &str) -> Option<&[u8]> {
        self.request.header(name)
    }

    fn set_header(&mut self, name: &str, value: Option<&[u8]>) -> bool {
        self.request.set_header(name, value)
    }

    /// The client gets the reason as a header too, as from the Wasm filter, which can give Envoy no details.
    fn reply(&mut self, reason: &str, status: u16, headers: &[(&str, String)], body: &[u8]) {
        let headers = headers.iter().map(|(name, value)| (*name, value.as_str()));
        let headers: Vec<_> = headers.chain([("x-pushring-reason", reason)]).collect();
        self.request.reply(status, &headers, body, reason);
    }

    fn count(&mut self, counter: Counter) {
        self.request.increment(self.metrics.counter(counter));
    }
}

#[cfg(feature = "panics")]
#[allow(clippy::panic)]
fn panic_on_demand(call: &Call<'_, '_>) {
    if call.header(":path") == Some(b"/panic") {
        panic!("the test asks for it");
    }
}

#[cfg(not(feature = "panics"))]
fn panic_on_demand(_: &Call<'_, '_>) {}
