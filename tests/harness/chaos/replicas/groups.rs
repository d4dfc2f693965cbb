//! The groups that the clients push, and their series.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use fastrand::Rng;

/// The job of all groups.
pub(super) const JOB: &str = "replicas";
/// The parts of a group that our own clients push. A piecemeal push has some of them.
pub(super) const PARTS: usize = 4;
/// Series of each part: a gauge, a counter, an untyped metric, a summary.
const SERIES_OF_PART: [&[usize]; PARTS] = [&[0], &[1], &[2], &[3, 4]];
/// All series, and those of client_golang from [`GO_SERIES`] on.
pub(super) const SERIES: [&str; 9] = [
    "replicas_a",
    "replicas_b_total",
    "replicas_c",
    "replicas_d_sum",
    "replicas_d_count",
    "replicas_go_0",
    "replicas_go_1",
    "replicas_go_2",
    "replicas_go_3",
];
pub(super) const GO_SERIES: usize = 5;

/// Groups that are pushed once, before the first kill, as those of a nightly job are.
const ONCE: usize = 40;
/// Groups of client_golang.
const GO: usize = 6;
/// Concurrent clients, each with groups of its own, so that the pushes to one group have an order.
pub(super) const CLIENTS: usize = 10;
const GROUPS_EACH: usize = 8;
/// Number of groups. Group `g` has the label `instance="g<g>"`.
pub(super) const GROUPS: usize = ONCE + GO + CLIENTS * GROUPS_EACH;

/// How a group is pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// By PUT, with all or some parts.
    Put,
    /// By POST, with one or two parts.
    Post,
    /// By PUT, POST and DELETE.
    Mixed,
}

/// Returns how one of the groups of our own clients is pushed.
pub(super) fn kind(group: usize) -> Kind {
    match group % 4 {
        0 => Kind::Put,
        1 => Kind::Post,
        _ => Kind::Mixed,
    }
}

pub(super) fn once() -> std::ops::Range<usize> {
    0..ONCE
}

pub(super) fn of_client_golang() -> std::ops::Range<usize> {
    ONCE..ONCE + GO
}

pub(super) fn of_client(client: usize) -> std::ops::Range<usize> {
    let first = ONCE + GO + client * GROUPS_EACH;
    first..first + GROUPS_EACH
}

/// Returns the labels of a group besides its job.
pub(super) fn labels(group: usize) -> Vec<(&'static str, String)> {
    let mut labels = vec![("instance", format!("g{group}"))];
    if group.is_multiple_of(3) {
        labels.push(("zone", format!("z/{}", group % 7)));
    }
    labels
}

/// Returns a push path of a group: the order of its labels and their spelling vary.
pub(super) fn path(group: usize, random: &mut Rng) -> String {
    let mut labels = labels(group);
    random.shuffle(&mut labels);
    let mut path = "/metrics".to_owned();
    for (name, value) in std::iter::once(("job", JOB.to_owned())).chain(labels) {
        if value.contains('/') || random.u8(..4) == 0 {
            path.push_str(&format!("/{name}@base64/{}", BASE64_URL_SAFE_NO_PAD.encode(value)));
        } else {
            path.push_str(&format!("/{name}/{value}"));
        }
    }
    path
}

/// Returns the text of a push of these parts, each with this value.
pub(super) fn body(parts: &[usize], value: u64) -> String {
    let text = |part: &usize| match part {
        0 => format!("# TYPE replicas_a gauge\nreplicas_a {value}\n"),
        1 => format!("# TYPE replicas_b_total counter\nreplicas_b_total {value}\n"),
        2 => format!("replicas_c {value}\n"),
        _ => format!("# TYPE replicas_d summary\nreplicas_d_sum {value}\nreplicas_d_count {value}\n"),
    };
    parts.iter().map(text).collect()
}

/// Returns the series of these parts with their value.
pub(super) fn values(parts: &[usize], value: u64) -> Vec<(usize, u64)> {
    parts.iter().flat_map(|part| SERIES_OF_PART[*part]).map(|series| (*series, value)).collect()
}
