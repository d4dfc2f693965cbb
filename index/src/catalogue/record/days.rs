//! The counts of new and gone series by day.

use std::collections::BTreeMap;

use anyhow::Result;

use super::super::connection::{Connection, Param};

/// Changes of the counts of a day: (dimension, value, day) to new and gone.
pub(super) type Days = BTreeMap<(&'static str, i64, i64), (i64, i64)>;

pub(super) const DAY: i64 = 86_400_000;

/// Returns the day of a time in milliseconds.
pub(super) fn day(at: i64) -> i64 {
    at.div_euclid(DAY)
}

/// Adds the changes to the counts.
pub(super) fn write_days(sql: &mut Connection, tenant: &str, days: &Days) -> Result<()> {
    let mut values = Vec::with_capacity(days.len() * 6);
    for ((dim, value, day), (new, gone)) in days.iter().filter(|(_, counts)| **counts != (0, 0)) {
        let counts = [*value, *day, *new, *gone].map(Param::Int);
        values.extend([Param::Text(tenant), Param::Text(dim)].into_iter().chain(counts));
    }
    sql.insert(
        "INSERT INTO daily (tenant, dim, value_id, day, new, gone)",
        6,
        &values,
        "ON CONFLICT (tenant, dim, value_id, day) DO UPDATE SET new = new + excluded.new, gone = gone + excluded.gone",
    )
}
