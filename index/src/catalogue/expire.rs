//! Deletes series that were not seen for long, with all that nothing else uses.
//!
//! The counts of days stay: the last day of a series is its end, whether the catalogue still has it or not. Only the days of a
//! metric or a job without any series are deleted, with its label.
//!
//! Several processes may do it at the same time: each row is locked and looked at once more before it is deleted. An indexer
//! that sees such a series in this moment finds its row locked and then gone, and writes it again (see [`super::record`]).

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use metrics::counter;

use super::connection::{Connection, Param, lists, marks};
use super::{Catalogue, find, intern};

/// Series of one transaction: its locks last for milliseconds.
const BATCH: usize = 200;

impl Catalogue {
    /// Deletes the series that were last seen before a time, and of the others the sources that did not send them since. Returns
    /// the number of series.
    ///
    /// # Errors
    /// If the database refuses; the batches before are deleted.
    pub(crate) async fn expire(&self, before: i64) -> Result<u64> {
        let mut deleted = 0;
        let mut tenant = None;
        while let Some(name) = self.next_tenant(tenant).await? {
            let mut batch = BATCH as u64;
            while batch == BATCH as u64 {
                let name = name.clone();
                // Other writes come between two batches.
                batch = self.write(move |sql| sql.transaction(|sql| self::batch(sql, &name, before))).await?;
                counter!("metric_index_expired_series_total").increment(batch);
                deleted += batch;
            }
            tenant = Some(name);
        }
        self.expire_sources(before).await?;
        Ok(deleted)
    }

    /// A series that lives keeps the source of its last time. Rows are found by the primary key, without an index of their times
    /// that each sighting would change.
    async fn expire_sources(&self, before: i64) -> Result<()> {
        let mut source = 0;
        loop {
            let next = "SELECT id FROM source WHERE id > ? ORDER BY id LIMIT 1";
            let Some(id) = self.read(move |sql| Ok(sql.ids(next, &[source.into()])?.pop())).await? else {
                return Ok(());
            };
            source = id;
            let mut last = 0;
            loop {
                let old = self.read(move |sql| old_series(sql, source, last, before)).await?;
                let Some(end) = old.last() else { break };
                last = *end;
                self.write(move |sql| sql.transaction(|sql| forget(sql, source, before, &old))).await?;
            }
        }
    }

    async fn next_tenant(&self, last: Option<String>) -> Result<Option<String>> {
        self.read(move |sql| {
            // One step in an index for each tenant; a DISTINCT would read all series.
            let rows = match &last {
                None => sql.rows("SELECT tenant FROM series ORDER BY tenant LIMIT 1", &[])?,
                Some(last) => sql.rows(
                    "SELECT tenant FROM series WHERE tenant > ? ORDER BY tenant LIMIT 1",
                    &[last.as_str().into()],
                )?,
            };
            rows.into_iter().next().map(|mut row| row.text(0)).transpose()
        })
        .await
    }
}

/// Deletes some series of a tenant. Returns fewer than [`BATCH`] after the last ones.
fn batch(sql: &mut Connection, tenant: &str, before: i64) -> Result<u64> {
    let text = format!("SELECT id FROM series WHERE tenant = ? AND last_seen < ? LIMIT {BATCH}");
    let mut ids = sql.ids(&text, &[tenant.into(), before.into()])?;
    ids.sort_unstable();
    let mut labels: BTreeMap<(String, String), Vec<i64>> = BTreeMap::new();
    let mut series = Vec::new();
    for list in lists(ids.into_iter().map(Param::Int)) {
        let text = format!(
            "SELECT id, labels FROM series WHERE last_seen < ? AND id IN ({}){}",
            marks(list.len()),
            sql.for_update()
        );
        for mut row in sql.rows(&text, &[&[Param::Int(before)], list.as_slice()].concat())? {
            let id = row.int(0)?;
            series.push(id);
            for (name, value) in find::labels(&row.bytes(1)?)?.iter() {
                labels.entry((name.to_owned(), value.to_owned())).or_default().push(id);
            }
        }
    }
    let sources = each(sql, "SELECT DISTINCT source_id FROM series_source WHERE series_id IN", &[], &series)?;
    delete(sql, "DELETE FROM series_source WHERE series_id IN", &[], &series)?;
    delete(sql, "DELETE FROM series WHERE id IN", &[], &series)?;
    unlink(sql, tenant, labels)?;
    delete_sources(sql, &sources)?;
    Ok(series.len() as u64)
}

/// Returns some series behind `last` that a source did not send since a time, in ascending order.
fn old_series(sql: &mut Connection, source: i64, last: i64, before: i64) -> Result<Vec<i64>> {
    let text = format!(
        "SELECT series_id FROM series_source WHERE source_id = ? AND series_id > ? AND last_seen < ? ORDER BY series_id LIMIT {BATCH}"
    );
    sql.ids(&text, &[source.into(), last.into(), before.into()])
}

/// Removes a source from series, unless it sends them again at this moment.
fn forget(sql: &mut Connection, source: i64, before: i64, series: &[i64]) -> Result<()> {
    let text = "DELETE FROM series_source WHERE source_id = ? AND last_seen < ? AND series_id IN";
    delete(sql, text, &[source.into(), before.into()], series)?;
    delete_sources(sql, &[source])
}

/// Removes series from the index of the matchers, and the labels that no series has any more.
fn unlink(sql: &mut Connection, tenant: &str, labels: BTreeMap<(String, String), Vec<i64>>) -> Result<()> {
    let ids = intern::known(sql, tenant, labels.keys())?;
    let mut counts = BTreeMap::new();
    for (label, series) in ids.iter().zip(labels.values()).filter(|(label, _)| **label != 0) {
        delete(
            sql,
            "DELETE FROM series_label WHERE label_id = ? AND series_id IN",
            &[(*label).into()],
            series,
        )?;
        counts.insert(*label, -(series.len() as i64));
    }
    intern::count(sql, &counts)?;
    let unused = each(sql, "SELECT id FROM label WHERE series <= 0 AND id IN", &[], &ids)?;
    delete(sql, "DELETE FROM label WHERE id IN", &[], &unused)?;
    delete(sql, "DELETE FROM metric WHERE id IN", &[], &unused)?;
    // The next label may get the same id.
    let days = "DELETE FROM daily WHERE tenant = ? AND dim IN ('metric', 'job') AND value_id IN";
    delete(sql, days, &[tenant.into()], &unused)
}

fn delete_sources(sql: &mut Connection, sources: &[i64]) -> Result<()> {
    let lock = sql.for_update();
    if !lock.is_empty() {
        // An indexer that is about to use a source has locked it.
        for list in lists(sources.iter().copied().map(Param::Int)) {
            sql.ids(&format!("SELECT id FROM source WHERE id IN ({}){lock}", marks(list.len())), &list)?;
        }
    }
    let unused = "DELETE FROM source WHERE NOT EXISTS (SELECT 1 FROM series_source x WHERE x.source_id = source.id) AND id IN";
    delete(sql, unused, &[], sources)
}

/// Returns the first column of a statement for lists of ids; each once, sorted.
fn each(sql: &mut Connection, select: &str, params: &[Param<'_>], ids: &[i64]) -> Result<Vec<i64>> {
    let mut all = BTreeSet::new();
    for list in lists(ids.iter().copied().map(Param::Int)) {
        let text = format!("{select} ({})", marks(list.len()));
        all.extend(sql.ids(&text, &[params, list.as_slice()].concat())?);
    }
    Ok(all.into_iter().collect())
}

fn delete(sql: &mut Connection, delete: &str, params: &[Param<'_>], ids: &[i64]) -> Result<()> {
    for list in lists(ids.iter().copied().map(Param::Int)) {
        let text = format!("{delete} ({})", marks(list.len()));
        sql.run(&text, &[params, list.as_slice()].concat())?;
    }
    Ok(())
}
