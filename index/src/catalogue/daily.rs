//! Churn by day, without reading series.

use anyhow::Result;
use serde::Serialize;

use super::connection::{Connection, Param};

/// A day of a tenant, a metric or a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Day {
    /// Days since 1970 UTC.
    #[serde(skip)]
    pub(crate) day: i64,
    /// Series that were seen that day or before, and that day or after.
    pub(crate) series: i64,
    /// Series that were first seen that day.
    pub(crate) new: i64,
    /// Series that were last seen that day; those of today may come again.
    pub(crate) gone: i64,
}

/// The series that days are counted of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    /// All of the tenant.
    All,
    Metric(String),
    Job(String),
}

/// Returns the days from the first to the last, both included.
pub(super) fn days(sql: &mut Connection, tenant: &str, of: &Of, from: i64, until: i64) -> Result<Vec<Day>> {
    let (dim, label) = match of {
        Of::All => ("all", None),
        Of::Metric(name) => ("metric", Some(("__name__", name))),
        Of::Job(job) => ("job", Some(("job", job))),
    };
    let id = match label {
        None => Some(0),
        Some((name, value)) => {
            let text = "SELECT id FROM label WHERE tenant = ? AND name = ? AND value = ?";
            sql.ids(text, &[tenant.into(), name.into(), value.as_str().into()])?.first().copied()
        }
    };
    let text = "SELECT day, new, gone FROM daily WHERE tenant = ? AND dim = ? AND value_id = ? AND day <= ? ORDER BY day";
    let rows = match id {
        Some(id) => sql.rows(text, &[Param::Text(tenant), dim.into(), id.into(), until.into()])?,
        None => Vec::new(),
    };
    let mut days: Vec<_> = (from..=until).map(|day| Day { day, ..Day::default() }).collect();
    let mut changes = rows
        .into_iter()
        .map(|row| Ok([row.int(0)?, row.int(1)?, row.int(2)?]))
        .collect::<Result<Vec<_>>>()?
        .into_iter()
        .peekable();
    let mut alive = 0;
    while let Some([_, new, gone]) = changes.next_if(|[day, ..]| *day < from) {
        alive += new - gone;
    }
    for day in &mut days {
        if let Some([_, new, gone]) = changes.next_if(|[of, ..]| *of == day.day) {
            (day.new, day.gone) = (new, gone);
        }
        day.series = alive + day.new;
        alive += day.new - day.gone;
    }
    Ok(days)
}
