//! Finds series by label matchers and times.
//!
//! The labels of a series decide, with all matchers, in Rust. Indices only make the candidates few: the list of the rarest
//! condition, intersected with the next ones.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use pushring_index::matcher::{Matcher, Op, Selector};
use pushring_index::{Labels, METRIC_NAME};

use super::connection::{Connection, Param, Row, lists, marks};

/// Rows that are read at once.
const PAGE: usize = 512;
/// Candidates whose rows are read, rather than intersected with one more list.
const FEW: usize = 2 * PAGE;
/// To read a row costs as much as this many entries of a list.
const ROW_COST: i64 = 40;
/// A list with more than this part of all series saves nothing.
const PART: i64 = 4;

const COLUMNS: &str = "id, labels, first_seen, last_seen, metric_id";

/// Conditions for series of one tenant.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    pub(crate) tenant: String,
    /// A series matches one of them; without any, every series does.
    pub(crate) selectors: Vec<Selector>,
    /// First seen at this time or later.
    pub(crate) first_from: Option<i64>,
    /// First seen at this time or before.
    pub(crate) first_until: Option<i64>,
    /// Last seen at this time or later.
    pub(crate) last_from: Option<i64>,
    /// Last seen before this time.
    pub(crate) last_before: Option<i64>,
}

/// A series in the catalogue; times in milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Series {
    pub(crate) id: i64,
    pub(crate) labels: Labels,
    pub(crate) first_seen: i64,
    pub(crate) last_seen: i64,
    pub(crate) metric: i64,
}

/// A part of a long answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) series: Vec<Series>,
    /// The next part begins after this id, if there is one.
    pub(crate) cursor: Option<i64>,
}

impl Filter {
    /// Returns whether every series of the tenant matches.
    pub(super) fn is_all(&self) -> bool {
        let times = [self.first_from, self.first_until, self.last_from, self.last_before];
        self.selectors.is_empty() && times.iter().all(Option::is_none)
    }

    fn accepts(&self, series: &Series) -> bool {
        self.first_from.is_none_or(|from| series.first_seen >= from)
            && self.first_until.is_none_or(|until| series.first_seen <= until)
            && self.last_from.is_none_or(|from| series.last_seen >= from)
            && self.last_before.is_none_or(|before| series.last_seen < before)
            && (self.selectors.is_empty()
                || self.selectors.iter().any(|selector| selector.matches(&series.labels)))
    }
}

/// Returns series in the order of their ids, those after the cursor. The order is stable: new series come at the end.
pub(super) fn page(sql: &mut Connection, filter: &Filter, after: i64, limit: usize) -> Result<Page> {
    let mut series = Vec::new();
    each(sql, filter, after, |one| {
        series.push(one);
        // One more shows that there is a next part.
        series.len() <= limit
    })?;
    let more = series.len() > limit;
    series.truncate(limit);
    let cursor = series.last().filter(|_| more).map(|last| last.id);
    Ok(Page { series, cursor })
}

/// Passes on each series that matches, in the order of ids, until `visit` returns false.
pub(super) fn each(
    sql: &mut Connection,
    filter: &Filter,
    after: i64,
    mut visit: impl FnMut(Series) -> bool,
) -> Result<()> {
    let Some(candidates) = candidates(sql, filter, after)? else {
        return scan(sql, filter, after, visit);
    };
    for ids in candidates.chunks(PAGE) {
        for series in read(sql, &filter.tenant, ids)? {
            if filter.accepts(&series) && !visit(series) {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Reads all series of the tenant.
fn scan(
    sql: &mut Connection,
    filter: &Filter,
    mut after: i64,
    mut visit: impl FnMut(Series) -> bool,
) -> Result<()> {
    let text = format!("SELECT {COLUMNS} FROM series WHERE tenant = ? AND id > ? ORDER BY id LIMIT {PAGE}");
    loop {
        let rows = sql.rows(&text, &[Param::Text(&filter.tenant), after.into()])?;
        let is_last = rows.len() < PAGE;
        for row in rows {
            let series = series(row)?;
            after = series.id;
            if filter.accepts(&series) && !visit(series) {
                return Ok(());
            }
        }
        if is_last {
            return Ok(());
        }
    }
}

/// Reads series of the tenant by their ids, in the order of ids.
pub(super) fn read(sql: &mut Connection, tenant: &str, ids: &[i64]) -> Result<Vec<Series>> {
    let mut found = Vec::with_capacity(ids.len());
    for list in lists(ids.iter().copied().map(Param::Int)) {
        let text = format!("SELECT {COLUMNS} FROM series WHERE tenant = ? AND id IN ({})", marks(list.len()));
        for row in sql.rows(&text, &[&[Param::Text(tenant)], list.as_slice()].concat())? {
            found.push(series(row)?);
        }
    }
    found.sort_unstable_by_key(|series: &Series| series.id);
    Ok(found)
}

fn series(mut row: Row) -> Result<Series> {
    let labels = labels(&row.bytes(1)?)?;
    Ok(Series {
        id: row.int(0)?,
        labels,
        first_seen: row.int(2)?,
        last_seen: row.int(3)?,
        metric: row.int(4)?,
    })
}

/// Reads the labels of a row.
pub(super) fn labels(json: &[u8]) -> Result<Labels> {
    let labels: BTreeMap<String, String> = serde_json::from_slice(json).context("labels in the catalogue")?;
    Ok(Labels::new(labels.into_iter().collect())?)
}

/// A list of ids that has every series that matches a condition.
struct List {
    /// Its length or more.
    length: i64,
    ids: Ids,
}

enum Ids {
    /// The series with one of these labels.
    Labels(Vec<i64>),
    FirstFrom(i64),
    LastBefore(i64),
}

/// Returns the ids that may match, sorted, or nothing if all of them may.
fn candidates(sql: &mut Connection, filter: &Filter, after: i64) -> Result<Option<Vec<i64>>> {
    let mut all = Vec::new();
    let everything = Selector::new(Vec::new());
    let selectors =
        if filter.selectors.is_empty() { std::slice::from_ref(&everything) } else { &filter.selectors };
    for selector in selectors {
        let mut conditions = Vec::new();
        for matcher in selector.matchers().iter().filter(|matcher| !matcher.matches("")) {
            conditions.push(with_label(sql, &filter.tenant, matcher)?);
        }
        conditions.extend(times(sql, filter)?);
        conditions.sort_by_key(|list| list.length);
        match intersect(sql, &filter.tenant, &conditions, after)? {
            Some(ids) => all.extend(ids),
            None => return Ok(None),
        }
    }
    all.sort_unstable();
    all.dedup();
    Ok(Some(all))
}

fn intersect(sql: &mut Connection, tenant: &str, lists: &[List], after: i64) -> Result<Option<Vec<i64>>> {
    let Some((shortest, others)) = lists.split_first() else { return Ok(None) };
    if shortest.length > FEW as i64 && shortest.length > total(sql, tenant)? / PART {
        return Ok(None);
    }
    let mut ids = shortest.read(sql, tenant, after)?;
    for list in others {
        if ids.len() <= FEW || list.length > ids.len() as i64 * ROW_COST {
            break;
        }
        let other = list.read(sql, tenant, after)?;
        let mut rest = other.as_slice();
        ids.retain(|id| {
            rest = &rest[rest.partition_point(|other| other < id)..];
            rest.first() == Some(id)
        });
    }
    Ok(Some(ids))
}

/// Returns the labels that fulfill a matcher which a series without the label does not.
fn with_label(sql: &mut Connection, tenant: &str, matcher: &Matcher) -> Result<List> {
    let select = "SELECT id, series, value FROM label WHERE tenant = ? AND name = ?";
    let (tenant, name) = (Param::Text(tenant), Param::Text(matcher.name()));
    let rows = match matcher.op() {
        Op::Equal => sql.rows(&format!("{select} AND value = ?"), &[tenant, name, matcher.value().into()])?,
        _ => sql.rows(select, &[tenant, name])?,
    };
    let (mut length, mut labels) = (0, Vec::new());
    for mut row in rows {
        if matcher.matches(&row.text(2)?) {
            length += row.int(1)?;
            labels.push(row.int(0)?);
        }
    }
    Ok(List { length, ids: Ids::Labels(labels) })
}

fn times(sql: &mut Connection, filter: &Filter) -> Result<Vec<List>> {
    let mut lists = Vec::new();
    let first = filter.first_from.map(|time| (time, "first_seen >= ?", Ids::FirstFrom(time)));
    let last = filter.last_before.map(|time| (time, "last_seen < ?", Ids::LastBefore(time)));
    for (time, condition, ids) in [first, last].into_iter().flatten() {
        let text = format!("SELECT count(*) FROM series WHERE tenant = ? AND {condition}");
        let length =
            sql.ids(&text, &[Param::Text(&filter.tenant), time.into()])?.first().copied().unwrap_or_default();
        lists.push(List { length, ids });
    }
    Ok(lists)
}

/// Returns the number of series of a tenant.
pub(super) fn total(sql: &mut Connection, tenant: &str) -> Result<i64> {
    let text = "SELECT sum(series) FROM label WHERE tenant = ? AND name = ?";
    sql.rows(text, &[tenant.into(), METRIC_NAME.into()])?.first().map_or(Ok(0), |row| row.int(0))
}

impl List {
    fn read(&self, sql: &mut Connection, tenant: &str, after: i64) -> Result<Vec<i64>> {
        let tenant = Param::Text(tenant);
        let mut ids = match &self.ids {
            Ids::Labels(labels) => {
                let mut ids = Vec::new();
                for list in lists(labels.iter().copied().map(Param::Int)) {
                    let marks = marks(list.len());
                    let text = format!(
                        "SELECT series_id FROM series_label WHERE label_id IN ({marks}) AND series_id > ?"
                    );
                    ids.extend(sql.ids(&text, &[list.as_slice(), &[after.into()]].concat())?);
                }
                ids
            }
            Ids::FirstFrom(time) => {
                let text = "SELECT id FROM series WHERE tenant = ? AND first_seen >= ? AND id > ?";
                sql.ids(text, &[tenant, (*time).into(), after.into()])?
            }
            Ids::LastBefore(time) => {
                let text = "SELECT id FROM series WHERE tenant = ? AND last_seen < ? AND id > ?";
                sql.ids(text, &[tenant, (*time).into(), after.into()])?
            }
        };
        ids.sort_unstable();
        Ok(ids)
    }
}
