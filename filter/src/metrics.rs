//! The filter's metrics, in Envoy's stats as `wasmcustom.<name>`.
//!
//! Defined once per VM: Envoy gives a new id to each definition, even of a known name. Envoy configures
//! every worker, the main thread and a trial VM, so one new configuration counts workers + 2 times.
//! Nothing here is touched by a push that is routed plainly, and a metric that fails never fails a request.

use std::cell::OnceCell;

use pushring_router::ReplyKind;

use crate::abi::{self, MetricKind};

const MEMBERS: &str = "pushring_members";
const POINTS: &str = "pushring_points";
const CONFIG_ACCEPTED: &str = "pushring_config_accepted";
const CONFIG_REJECTED: &str = "pushring_config_rejected";
const POISON_REFUSED: &str = "pushring_poison_refused";
const UNPARSABLE_PATHS: &str = "pushring_unparsable_paths";
const REPLIES: &str = "pushring_replies_";

/// Ids given by Envoy; `None` where it refused.
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
        let define = |kind, name: &str| abi::define_metric(kind, name).ok();
        let counter = |name: &str| define(MetricKind::Counter, name);
        Self {
            members: define(MetricKind::Gauge, MEMBERS),
            points: define(MetricKind::Gauge, POINTS),
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

/// A configuration was taken in: the gauges now show it.
pub(crate) fn accepted(members: usize, points: usize) {
    with(|ids| {
        increment(ids.config_accepted);
        record(ids.members, members);
        record(ids.points, points);
    });
}

/// A configuration was refused: the gauges go on showing the one in force.
pub(crate) fn rejected() {
    with(|ids| increment(ids.config_rejected));
}

/// A push path that its Pushgateway will refuse.
pub(crate) fn unparsable() {
    with(|ids| increment(ids.unparsable_paths));
}

/// A request was answered here.
pub(crate) fn replied(kind: ReplyKind) {
    with(|ids| {
        if kind == ReplyKind::Poison {
            increment(ids.poison_refused);
        }
        increment(ids.replies.get(kind as usize).copied().flatten());
    });
}

fn with(act: impl FnOnce(&Ids)) {
    IDS.with(|ids| act(ids.get_or_init(Ids::define)));
}

// The results are dropped on purpose: the only failure is an id that Envoy does not know.
fn increment(id: Option<u32>) {
    let _ = id.map(|id| abi::increment_metric(id, 1));
}

fn record(id: Option<u32>, value: usize) {
    let _ = id.map(|id| abi::record_metric(id, value as u64));
}
