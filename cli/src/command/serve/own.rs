//! The server's own metrics, which `/metrics` has next to those of the groups. The gateways' own metrics (`go_…`,
//! `process_…`, `pushgateway_…`) are not merged: each describes one process.

use prost::bytes::Bytes;

use super::from_json::encode;
use super::metric::{Label, Metric, Value};
use super::view::{FleetView, GatewayState, Source};

const BUILD: &str = "pushring_serve_build_info";
const CONFLICTS: &str = "pushring_serve_conflicts";
const POISONED: &str = "pushring_serve_gateway_poisoned";
const UP: &str = "pushring_serve_gateway_up";
const GROUPS: &str = "pushring_serve_groups";
const MEMBERS: &str = "pushring_serve_members_up";
const DURATION: &str = "pushring_serve_reading_duration_seconds";

/// Names and types; a client's family of another type is left out.
pub(super) const KINDS: [(&str, &str); 7] = [
    (BUILD, GAUGE),
    (CONFLICTS, GAUGE),
    (POISONED, GAUGE),
    (UP, GAUGE),
    (GROUPS, GAUGE),
    (MEMBERS, GAUGE),
    (DURATION, GAUGE),
];
const GAUGE: &str = "GAUGE";

/// A family of the server itself; a gauge.
pub(super) struct OwnFamily {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) metrics: Vec<Bytes>,
}

/// Returns the metrics about a reading.
#[allow(clippy::cast_precision_loss)]
pub(super) fn families(view: &FleetView) -> Vec<OwnFamily> {
    let by_gateway = |value: fn(&GatewayState) -> bool| {
        let gauges = view
            .gateways
            .iter()
            .map(|gateway| gauge(&[("gateway", &gateway.name)], f64::from(u8::from(value(&gateway.state)))));
        gauges.collect()
    };
    let sources = Source::ALL.into_iter().map(|source| {
        let count = view.groups.iter().filter(|group| group.source() == Some(source)).count();
        gauge(&[("source", source.name())], count as f64)
    });
    let family = |name, help, metrics| OwnFamily { name, help, metrics };
    vec![
        family(
            BUILD,
            "Always 1; the label is the version of pushring.",
            vec![gauge(&[("version", env!("CARGO_PKG_VERSION"))], 1.0)],
        ),
        family(
            CONFLICTS,
            "Families that do not fit together, of which a part is left out of this answer.",
            vec![gauge(&[], view.conflicts.len() as f64)],
        ),
        family(
            POISONED,
            "1 if /metrics of the gateway fails because of one of its groups; its groups come from its API.",
            by_gateway(|state| matches!(state, GatewayState::Poisoned(_))),
        ),
        family(
            UP,
            "1 if the groups of the gateway could be read for this answer, else 0.",
            by_gateway(|state| !matches!(state, GatewayState::Down(_))),
        ),
        family(
            GROUPS,
            "Groups in this answer by the gateway that they come from: owner if the owner holds the same; else the last of \
             replica, former and unknown that one of their families comes from.",
            sources.collect(),
        ),
        family(
            MEMBERS,
            "1 if the members could be read for this answer, 0 if they are the last ones that could be.",
            vec![gauge(&[], f64::from(u8::from(view.fleet_error.is_none())))],
        ),
        family(
            DURATION,
            "Time that it took to read all gateways for this answer.",
            vec![gauge(&[], view.took.as_secs_f64())],
        ),
    ]
}

fn gauge(labels: &[(&'static str, &str)], value: f64) -> Bytes {
    let label = |(name, value): &(&'static str, &str)| Label::new(*name, value.to_string());
    encode(&Metric {
        labels: labels.iter().map(label).collect(),
        gauge: Some(Value { value: Some(value) }),
        ..Metric::default()
    })
}
