//! The origin of series: pushgateways, groups, senders; and groups that two pushgateways have.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use pushring_index::Labels;
use serde::Serialize;

use super::batch::Times;
use super::connection::{Connection, Param, lists, marks};
use super::find::{self, Filter};

/// Series of a group that a conflict shows.
const EXAMPLES: usize = 5;

/// The series of one origin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Owner {
    /// The protocol: `push`, `write` or `put`.
    pub(crate) kind: String,
    /// The pushgateway of pushes; else empty.
    pub(crate) owner: String,
    /// Different groups of pushes, or jobs.
    pub(crate) groups: i64,
    pub(crate) senders: i64,
    pub(crate) series: i64,
    pub(crate) first_seen: i64,
    pub(crate) last_seen: i64,
}

/// An origin of one series.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Origin {
    pub(crate) kind: String,
    pub(crate) owner: String,
    pub(crate) job: String,
    pub(crate) sender: String,
    pub(crate) first_seen: i64,
    pub(crate) last_seen: i64,
}

/// A group that several pushgateways have at the same time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Conflict {
    pub(crate) group: String,
    /// Series that several have.
    pub(crate) series: i64,
    pub(crate) owners: Vec<Holder>,
    pub(crate) examples: Vec<Labels>,
}

/// A pushgateway with series of a group in conflict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Holder {
    pub(crate) owner: String,
    pub(crate) series: i64,
    pub(crate) first_seen: i64,
    pub(crate) last_seen: i64,
}

#[derive(Default)]
struct Sum {
    groups: BTreeSet<String>,
    senders: BTreeSet<String>,
    series: BTreeSet<i64>,
    times: Option<Times>,
}

/// Returns the origins of a selection by protocol and pushgateway.
pub(super) fn owners(sql: &mut Connection, filter: &Filter) -> Result<Vec<Owner>> {
    let mut owners = if filter.is_all() {
        let text = "SELECT o.kind, o.owner, count(DISTINCT o.job), count(DISTINCT o.sender), count(DISTINCT x.series_id), \
             min(x.first_seen), max(x.last_seen) \
             FROM source o JOIN series_source x ON x.source_id = o.id WHERE o.tenant = ? GROUP BY o.kind, o.owner";
        let rows = sql.rows(text, &[Param::Text(&filter.tenant)])?.into_iter();
        let owner = rows.map(|mut row| {
            let [groups, senders, series] = [row.int(2)?, row.int(3)?, row.int(4)?];
            let (kind, owner) = (row.text(0)?, row.text(1)?);
            Ok(Owner {
                kind,
                owner,
                groups,
                senders,
                series,
                first_seen: row.int(5)?,
                last_seen: row.int(6)?,
            })
        });
        owner.collect::<Result<Vec<_>>>()?
    } else {
        selected(sql, filter)?
    };
    owners
        .sort_by(|a, b| b.series.cmp(&a.series).then_with(|| (&a.kind, &a.owner).cmp(&(&b.kind, &b.owner))));
    Ok(owners)
}

fn selected(sql: &mut Connection, filter: &Filter) -> Result<Vec<Owner>> {
    let mut ids = Vec::new();
    find::each(sql, filter, 0, |series| {
        ids.push(series.id);
        true
    })?;
    let mut sums: BTreeMap<(String, String), Sum> = BTreeMap::new();
    for (series, origin) in origins(sql, &filter.tenant, &ids)? {
        let sum = sums.entry((origin.kind, origin.owner)).or_default();
        let times = Times { first: origin.first_seen, last: origin.last_seen };
        sum.groups.insert(origin.job);
        sum.senders.insert(origin.sender);
        sum.series.insert(series);
        sum.times.get_or_insert(times).extend(times);
    }
    let owner = |((kind, owner), sum): ((String, String), Sum)| {
        let [groups, senders] = [&sum.groups, &sum.senders].map(|set| set.len() as i64);
        let times = sum.times.unwrap_or(Times { first: 0, last: 0 });
        Owner {
            kind,
            owner,
            groups,
            senders,
            series: sum.series.len() as i64,
            first_seen: times.first,
            last_seen: times.last,
        }
    };
    Ok(sums.into_iter().map(owner).collect())
}

/// Returns the origins of series, with the id of the series.
pub(super) fn origins(sql: &mut Connection, tenant: &str, series: &[i64]) -> Result<Vec<(i64, Origin)>> {
    let mut origins = Vec::new();
    for list in lists(series.iter().copied().map(Param::Int)) {
        let text = format!(
            "SELECT x.series_id, o.kind, o.owner, o.job, o.sender, x.first_seen, x.last_seen \
             FROM series_source x JOIN source o ON o.id = x.source_id WHERE o.tenant = ? AND x.series_id IN ({})",
            marks(list.len())
        );
        for mut row in sql.rows(&text, &[&[Param::Text(tenant)], list.as_slice()].concat())? {
            let [kind, owner, job, sender] = [row.text(1)?, row.text(2)?, row.text(3)?, row.text(4)?];
            let origin = Origin { kind, owner, job, sender, first_seen: row.int(5)?, last_seen: row.int(6)? };
            origins.push((row.int(0)?, origin));
        }
    }
    origins.sort_unstable();
    Ok(origins)
}

/// Returns groups of which several pushgateways have the same series at the same time, sorted by group.
///
/// Two have a series at the same time if each was seen before the other one was seen last: a group that moved, and stays where
/// it is, is no conflict. `since` leaves out pushgateways that were last seen before.
pub(super) fn conflicts(sql: &mut Connection, tenant: &str, since: i64) -> Result<Vec<Conflict>> {
    let text = "SELECT job FROM source WHERE tenant = ? AND kind = 'push' AND owner <> '' \
         GROUP BY job HAVING count(DISTINCT owner) > 1";
    let mut groups = Vec::new();
    for mut row in sql.rows(text, &[Param::Text(tenant)])? {
        groups.push(row.text(0)?);
    }
    groups.sort_unstable();
    let mut conflicts = Vec::new();
    for group in groups {
        conflicts.extend(conflict(sql, tenant, group, since)?);
    }
    Ok(conflicts)
}

fn conflict(sql: &mut Connection, tenant: &str, group: String, since: i64) -> Result<Option<Conflict>> {
    let text = "SELECT x.series_id, o.owner, min(x.first_seen), max(x.last_seen) \
         FROM source o JOIN series_source x ON x.source_id = o.id \
         WHERE o.tenant = ? AND o.kind = 'push' AND o.owner <> '' AND o.job = ? \
         GROUP BY x.series_id, o.owner HAVING max(x.last_seen) >= ?";
    let mut series: BTreeMap<i64, Vec<(String, Times)>> = BTreeMap::new();
    for mut row in sql.rows(text, &[tenant.into(), group.as_str().into(), since.into()])? {
        let holder = (row.text(1)?, Times { first: row.int(2)?, last: row.int(3)? });
        series.entry(row.int(0)?).or_default().push(holder);
    }
    let mut owners: BTreeMap<String, Holder> = BTreeMap::new();
    let mut split = Vec::new();
    for (id, holders) in series {
        let at_once = |a: &Times, b: &Times| a.first <= b.last && b.first <= a.last;
        let both = holders.iter().filter(|(owner, times)| {
            holders.iter().any(|(other, others)| other != owner && at_once(times, others))
        });
        let mut is_split = false;
        for (owner, times) in both {
            is_split = true;
            let Times { first: first_seen, last: last_seen } = *times;
            let new = || Holder { owner: owner.clone(), series: 0, first_seen, last_seen };
            let holder = owners.entry(owner.clone()).or_insert_with(new);
            holder.series += 1;
            holder.first_seen = holder.first_seen.min(first_seen);
            holder.last_seen = holder.last_seen.max(last_seen);
        }
        if is_split {
            split.push(id);
        }
    }
    if split.is_empty() {
        return Ok(None);
    }
    let examples = find::read(sql, tenant, split.get(..EXAMPLES).unwrap_or(&split))?;
    let examples = examples.into_iter().map(|series| series.labels).collect();
    Ok(Some(Conflict { group, series: split.len() as i64, owners: owners.into_values().collect(), examples }))
}
