//! The filter's metrics, in Envoy's stats as `wasmcustom.<name>`.
//!
//! Each is defined once per VM, because Envoy returns a new id for every definition, even of a known name. Envoy
//! configures every worker, the main thread and a validation VM, so one new configuration counts workers + 2 times.
//! A push that is routed without a problem touches no metric. A metric that fails never fails a request: the first
//! configuration already uses every call, so a missing capability rejects the configuration.

use std::cell::OnceCell;

use proxy_wasm::hostcalls;
use proxy_wasm::types::MetricType;
use pushring_router::ReplyKind;

const MEMBERS: &str = "pushring_members";
const POINTS: &str = "pushring_points";
const CONFIG_ACCEPTED: &str = "pushring_config_accepted";
const CONFIG_REJECTED: &str = "pushring_config_rejected";
const POISON_REFUSED: &str = "pushring_poison_refused";
const UNPARSABLE_PATHS: &str = "pushring_unparsable_paths";
const REPLIES: &str = "pushring_replies_";

/// Ids that Envoy returned; `None` for a metric that it rejected.
struct Ids {
    members: Option<u32>,
    points: Option<u32>,
    config_accepted: Option<u32>,
    config_rejected: Option<u32>,
    poison_refused: Option<u32>,
    unparsable_paths: Option<u32>,
    replies: [Option<u32>; ReplyKind::ALL.len()],
}

impl Ids {
    fn define() -> Self {
        let define = |kind, name: &str| hostcalls::define_metric(kind, name).ok();
        let counter = |name: &str| define(MetricType::Counter, name);
        Self {
            members: define(MetricType::Gauge, MEMBERS),
            points: define(MetricType::Gauge, POINTS),
            config_accepted: counter(CONFIG_ACCEPTED),
            config_rejected: counter(CONFIG_REJECTED),
            poison_refused: counter(POISON_REFUSED),
            unparsable_paths: counter(UNPARSABLE_PATHS),
            replies: ReplyKind::ALL.map(|kind| counter(&format!("{REPLIES}{}", kind.name()))),
        }
    }
}

thread_local! {
    static IDS: OnceCell<Ids> = const { OnceCell::new() };
}

/// Counts an accepted configuration and shows it in the gauges.
pub(crate) fn accepted(members: usize, points: usize) {
    IDS.with(|ids| {
        let ids = ids.get_or_init(Ids::define);
        increment(ids.config_accepted);
        record(ids.members, members);
        record(ids.points, points);
    });
}

/// Counts a rejected configuration. The gauges still show the configuration in force.
pub(crate) fn rejected() {
    IDS.with(|ids| increment(ids.get_or_init(Ids::define).config_rejected));
}

/// Counts a push path that its Pushgateway will reject.
pub(crate) fn unparsable() {
    IDS.with(|ids| increment(ids.get_or_init(Ids::define).unparsable_paths));
}

/// Counts a request that the filter answered.
pub(crate) fn replied(kind: ReplyKind) {
    IDS.with(|ids| {
        let ids = ids.get_or_init(Ids::define);
        if kind == ReplyKind::Poison {
            increment(ids.poison_refused);
        }
        increment(ids.replies.get(kind as usize).copied().flatten());
    });
}

// The only error that the SDK returns here is an id that Envoy does not know; no request depends on a metric.
fn increment(id: Option<u32>) {
    let _ = id.map(|id| hostcalls::increment_metric(id, 1));
}

fn record(id: Option<u32>, value: usize) {
    let _ = id.map(|id| hostcalls::record_metric(id, value as u64));
}
