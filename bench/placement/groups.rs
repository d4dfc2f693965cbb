//! The fixed set of groups that is placed everywhere.

/// As many as a large installation has.
pub(crate) const GROUPS: usize = 20_000;

/// The push path of each group, in the spelling that `pushring owner` gives: other placements know a group by its path
/// alone, and are judged here by what they do with one spelling.
pub(crate) fn paths() -> Vec<String> {
    let path = |i| match i % 3 {
        0 => format!("/metrics/job/nightly-{i}"),
        1 => format!("/metrics/job/backup/instance/db{i}.example.org"),
        _ => format!("/metrics/job/etl/shard/{i}/zone/eu-{}", i % 7),
    };
    (0..GROUPS).map(path).collect()
}
