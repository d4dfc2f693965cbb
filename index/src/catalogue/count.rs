//! Cardinality: counts of series and of values, of the whole tenant from the counts of the labels, of a selection by reading it.

use std::collections::HashMap;

use anyhow::Result;
use pushring_index::METRIC_NAME;
use serde::Serialize;

use super::connection::{Connection, Param};
use super::find::{self, Filter};
use super::query::Summary;

/// Counts of a selection; each list is sorted by its count, then by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cardinality {
    pub(crate) series: i64,
    /// Different pairs of name and value.
    pub(crate) pairs: i64,
    pub(crate) names: Vec<NameCount>,
    /// Only the first ones.
    pub(crate) metrics: Vec<PairCount>,
    /// Only the first ones.
    pub(crate) top_pairs: Vec<PairCount>,
}

/// A name of labels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct NameCount {
    pub(crate) name: String,
    /// Different values.
    pub(crate) values: i64,
    pub(crate) series: i64,
}

/// A label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct PairCount {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) series: i64,
}

/// Returns the counts of a selection, and of its metrics and pairs the `limit` most frequent ones.
pub(super) fn cardinality(sql: &mut Connection, filter: &Filter, limit: usize) -> Result<Cardinality> {
    if !filter.is_all() {
        return Ok(from_pairs(pairs(sql, filter)?, limit));
    }
    let tenant = Param::Text(&filter.tenant);
    let names = "SELECT name, count(*), sum(series) FROM label WHERE tenant = ? AND series > 0 GROUP BY name";
    let mut names = sql
        .rows(names, &[tenant])?
        .into_iter()
        .map(|mut row| Ok(NameCount { name: row.text(0)?, values: row.int(1)?, series: row.int(2)? }))
        .collect::<Result<Vec<_>>>()?;
    sort_names(&mut names);
    let top_pairs = top(
        sql,
        "SELECT name, value, series FROM label WHERE tenant = ? AND series > 0 \
         ORDER BY series DESC, name, value LIMIT ?",
        &[tenant, (limit as i64).into()],
    )?;
    let metrics = values(sql, filter, METRIC_NAME, 0, limit)?;
    Ok(Cardinality {
        series: series_of(&names),
        pairs: names.iter().map(|name| name.values).sum(),
        names,
        metrics,
        top_pairs,
    })
}

/// Counts a selection, and of its metrics the `limit` most frequent ones.
pub(super) fn summary(sql: &mut Connection, filter: &Filter, limit: usize) -> Result<Summary> {
    if filter.is_all() {
        return Ok(Summary {
            total: find::total(sql, &filter.tenant)?,
            metrics: values(sql, filter, METRIC_NAME, 0, limit)?,
        });
    }
    let mut metrics = values(sql, filter, METRIC_NAME, 0, usize::MAX)?;
    let total = metrics.iter().map(|metric| metric.series).sum();
    metrics.truncate(limit);
    Ok(Summary { total, metrics })
}

/// Returns the names of tenants, sorted: each by one step in the index, however many labels there are.
pub(super) fn tenants(sql: &mut Connection, limit: usize) -> Result<Vec<String>> {
    let mut tenants: Vec<String> = Vec::new();
    while tenants.len() < limit {
        let next = match tenants.last() {
            None => sql.rows("SELECT tenant FROM label ORDER BY tenant LIMIT 1", &[])?,
            Some(last) => sql.rows(
                "SELECT tenant FROM label WHERE tenant > ? ORDER BY tenant LIMIT 1",
                &[Param::Text(last)],
            )?,
        };
        let Some(mut row) = next.into_iter().next() else { break };
        tenants.push(row.text(0)?);
    }
    Ok(tenants)
}

/// Returns the names of labels, sorted.
pub(super) fn names(sql: &mut Connection, filter: &Filter) -> Result<Vec<String>> {
    let mut names: Vec<String> =
        cardinality(sql, filter, 0)?.names.into_iter().map(|name| name.name).collect();
    names.sort_unstable();
    Ok(names)
}

/// Returns the values of a label, the most frequent one first.
pub(super) fn values(
    sql: &mut Connection,
    filter: &Filter,
    name: &str,
    skip: usize,
    limit: usize,
) -> Result<Vec<PairCount>> {
    if filter.is_all() {
        let (skip, limit) = (i64::try_from(skip)?, i64::try_from(limit)?);
        let text = "SELECT name, value, series FROM label WHERE tenant = ? AND name = ? AND series > 0 \
             ORDER BY series DESC, value LIMIT ? OFFSET ?";
        return top(sql, text, &[Param::Text(&filter.tenant), name.into(), limit.into(), skip.into()]);
    }
    let mut counts: HashMap<String, i64> = HashMap::new();
    find::each(sql, filter, 0, |series| {
        if let Some(value) = series.labels.get(name) {
            add(&mut counts, value);
        }
        true
    })?;
    let count = |(value, series)| PairCount { name: name.to_owned(), value, series };
    let mut values: Vec<_> = counts.into_iter().map(count).collect();
    sort_pairs(&mut values);
    Ok(values.into_iter().skip(skip).take(limit).collect())
}

/// Returns the values of a label in their order.
pub(super) fn sorted_values(
    sql: &mut Connection,
    filter: &Filter,
    name: &str,
    limit: usize,
) -> Result<Vec<String>> {
    if filter.is_all() {
        let text = "SELECT name, value, series FROM label WHERE tenant = ? AND name = ? AND series > 0 ORDER BY value LIMIT ?";
        let rows = top(sql, text, &[Param::Text(&filter.tenant), name.into(), i64::try_from(limit)?.into()])?;
        return Ok(rows.into_iter().map(|row| row.value).collect());
    }
    let mut values: Vec<_> =
        values(sql, filter, name, 0, usize::MAX)?.into_iter().map(|row| row.value).collect();
    values.sort_unstable();
    values.truncate(limit);
    Ok(values)
}

/// Returns the counts of given names: those that a selection has.
pub(super) fn of_names(
    sql: &mut Connection,
    filter: &Filter,
    wanted: &[String],
) -> Result<(i64, Vec<NameCount>)> {
    let all = cardinality(sql, filter, 0)?;
    Ok((all.series, all.names.into_iter().filter(|name| wanted.contains(&name.name)).collect()))
}

fn top(sql: &mut Connection, text: &str, params: &[Param<'_>]) -> Result<Vec<PairCount>> {
    let rows = sql.rows(text, params)?.into_iter();
    rows.map(|mut row| Ok(PairCount { name: row.text(0)?, value: row.text(1)?, series: row.int(2)? }))
        .collect()
}

/// The series of a tenant are those of its metrics' names: each series has one.
fn series_of(names: &[NameCount]) -> i64 {
    names.iter().find(|name| name.name == METRIC_NAME).map_or(0, |name| name.series)
}

type Pairs = HashMap<String, HashMap<String, i64>>;

/// Counts the pairs of a selection.
fn pairs(sql: &mut Connection, filter: &Filter) -> Result<Pairs> {
    let mut pairs = Pairs::new();
    find::each(sql, filter, 0, |series| {
        for (name, value) in series.labels.iter() {
            match pairs.get_mut(name) {
                Some(values) => add(values, value),
                None => drop(pairs.insert(name.to_owned(), HashMap::from([(value.to_owned(), 1)]))),
            }
        }
        true
    })?;
    Ok(pairs)
}

fn add(counts: &mut HashMap<String, i64>, value: &str) {
    match counts.get_mut(value) {
        Some(count) => *count += 1,
        None => drop(counts.insert(value.to_owned(), 1)),
    }
}

fn from_pairs(pairs: Pairs, limit: usize) -> Cardinality {
    let (mut names, mut all) = (Vec::new(), Vec::new());
    for (name, values) in pairs {
        names.push(NameCount {
            name: name.clone(),
            values: values.len() as i64,
            series: values.values().sum(),
        });
        all.extend(values.into_iter().map(|(value, series)| PairCount { name: name.clone(), value, series }));
    }
    sort_names(&mut names);
    sort_pairs(&mut all);
    let metrics = all.iter().filter(|pair| pair.name == METRIC_NAME).take(limit).cloned().collect();
    let (series, pairs) = (series_of(&names), all.len() as i64);
    all.truncate(limit);
    Cardinality { series, pairs, names, metrics, top_pairs: all }
}

fn sort_names(names: &mut [NameCount]) {
    names.sort_unstable_by(|a, b| b.values.cmp(&a.values).then_with(|| a.name.cmp(&b.name)));
}

fn sort_pairs(pairs: &mut [PairCount]) {
    pairs.sort_unstable_by(|a, b| {
        b.series.cmp(&a.series).then_with(|| (&a.name, &a.value).cmp(&(&b.name, &b.value)))
    });
}
