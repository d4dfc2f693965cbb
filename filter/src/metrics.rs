//! The filter's metrics, in Envoy's stats as `wasmcustom.<name>`.
//!
//! Each is defined once per VM, because Envoy returns a new id for every definition, even of a known name. Envoy
//! configures every worker, the main thread and a validation VM, so one new configuration counts workers + 2 times.
//! A push that is routed without a problem touches no metric. A metric that fails never fails a request: the first
//! configuration already uses every call, so a missing capability rejects the configuration.

use std::cell::OnceCell;

use proxy_wasm::hostcalls;
use proxy_wasm::types::MetricType;
use pushring_router::{Counter, MEMBERS_GAUGE, POINTS_GAUGE};

/// Ids that Envoy returned; `None` for a metric that it rejected.
struct Ids {
    members: Option<u32>,
    points: Option<u32>,
    /// By [`Counter::index`].
    counters: [Option<u32>; Counter::COUNT],
}

impl Ids {
    fn define() -> Self {
        let define = |kind, name: &str| hostcalls::define_metric(kind, name).ok();
        Self {
            members: define(MetricType::Gauge, MEMBERS_GAUGE),
            points: define(MetricType::Gauge, POINTS_GAUGE),
            counters: Counter::all().map(|counter| define(MetricType::Counter, &counter.name())),
        }
    }
}

thread_local! {
    static IDS: OnceCell<Ids> = const { OnceCell::new() };
}

/// Counts an accepted configuration and shows it in the gauges, which still show it after a rejected one.
pub(crate) fn accepted(members: usize, points: usize) {
    count(Counter::ConfigAccepted);
    IDS.with(|ids| {
        let ids = ids.get_or_init(Ids::define);
        record(ids.members, members);
        record(ids.points, points);
    });
}

/// Increments a counter. The only error that the SDK returns here is an id that Envoy does not know; no request depends on a
/// metric.
pub(crate) fn count(counter: Counter) {
    IDS.with(|ids| {
        let id = ids.get_or_init(Ids::define).counters.get(counter.index()).copied().flatten();
        let _ = id.map(|id| hostcalls::increment_metric(id, 1));
    });
}

// As in `count`.
fn record(id: Option<u32>, value: usize) {
    let _ = id.map(|id| hostcalls::record_metric(id, value as u64));
}
