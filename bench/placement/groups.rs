//! The fixed set of groups.

/// Number of groups, as in a large installation.
pub(crate) const GROUPS: usize = 20_000;

/// Returns the push path of each group. All paths have the same spelling, because the other placements hash the path.
pub(crate) fn paths() -> Vec<String> {
    let path = |i| match i % 3 {
        0 => format!("/metrics/job/nightly-{i}"),
        1 => format!("/metrics/job/backup/instance/db{i}.example.org"),
        _ => format!("/metrics/job/etl/shard/{i}/zone/eu-{}", i % 7),
    };
    (0..GROUPS).map(path).collect()
}
