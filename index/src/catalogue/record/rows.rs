//! The rows of series that the catalogue has.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Result, ensure};

use super::super::batch::Times;
use super::super::connection::{Connection, Param, lists, marks};
use super::days::DAY;

/// A series in the table.
pub(in crate::catalogue) struct Row {
    pub(super) id: i64,
    pub(super) n: i64,
    pub(in crate::catalogue) labels: String,
    pub(super) times: Times,
}

/// Returns the series that have one of the keys.
pub(in crate::catalogue) fn rows<'k>(
    sql: &mut Connection,
    tenant: &str,
    keys: impl Iterator<Item = &'k [u8; 16]>,
) -> Result<HashMap<[u8; 16], Vec<Row>>> {
    let mut found: HashMap<_, Vec<_>> = HashMap::new();
    for list in lists(keys.map(Param::from)) {
        let text = format!(
            "SELECT `key`, id, n, labels, first_seen, last_seen FROM series WHERE tenant = ? AND `key` IN ({})",
            marks(list.len())
        );
        for mut row in sql.rows(&text, &[&[Param::Text(tenant)], list.as_slice()].concat())? {
            let times = Times { first: row.int(4)?, last: row.int(5)? };
            let series = Row { id: row.int(1)?, n: row.int(2)?, labels: row.text(3)?, times };
            found.entry(row.hash(0)?).or_default().push(series);
        }
    }
    Ok(found)
}

/// Locks known series that another process may delete at this moment, since they were not seen for long.
pub(super) fn hold<'r>(sql: &mut Connection, known: impl Iterator<Item = &'r Row>) -> Result<()> {
    // The caller writes them, so that a lock for reading would only make two processes wait for each other.
    let lock = sql.for_update();
    if lock.is_empty() {
        return Ok(());
    }
    let young = jiff::Timestamp::now().as_millisecond() - DAY / 2;
    let old: Vec<i64> = known.filter(|row| row.times.last < young).map(|row| row.id).collect();
    let mut held = 0;
    for list in lists(old.iter().copied().map(Param::Int)) {
        let text = format!("SELECT id FROM series WHERE id IN ({}){lock}", marks(list.len()));
        held += sql.ids(&text, &list)?.len();
    }
    ensure!(held == old.len(), "a series was deleted a moment ago; the batch must be written again");
    Ok(())
}

/// Returns the ids of the series that have one of the keys.
pub(super) fn ids<'k>(
    sql: &mut Connection,
    tenant: &str,
    keys: impl Iterator<Item = &'k [u8; 16]>,
) -> Result<HashMap<([u8; 16], i64), i64>> {
    let mut found = HashMap::new();
    for list in lists(keys.map(Param::from)) {
        let text =
            format!("SELECT `key`, n, id FROM series WHERE tenant = ? AND `key` IN ({})", marks(list.len()));
        for mut row in sql.rows(&text, &[&[Param::Text(tenant)], list.as_slice()].concat())? {
            found.insert((row.hash(0)?, row.int(1)?), row.int(2)?);
        }
    }
    Ok(found)
}

/// Sets a time of the series with these ids; `update` is the statement up to the list.
pub(super) fn update_times(
    sql: &mut Connection,
    update: &str,
    times: &BTreeMap<i64, Vec<i64>>,
) -> Result<()> {
    for (time, ids) in times {
        for list in lists(ids.iter().copied().map(Param::Int)) {
            let text = format!("{update} ({})", marks(list.len()));
            sql.run(&text, &[&[Param::Int(*time)], list.as_slice()].concat())?;
        }
    }
    Ok(())
}
