//! Texts that many series share: labels, sources and metrics, each one row.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::{Context, Result, ensure};
use pushring_index::Metadata;

use super::batch::{Label, Origin, hash, kind};
use super::connection::{Connection, Param, lists, marks};

/// Ids and texts by hash.
type Rows = HashMap<[u8; 16], (i64, Vec<String>)>;

/// A table of texts with a hash.
struct Table {
    select: &'static str,
    insert: &'static str,
    texts: usize,
}

const LABEL: Table = Table {
    select: "SELECT hash, id, name, value FROM label WHERE tenant = ? AND hash IN",
    insert: "INSERT INTO label (tenant, hash, name, value)",
    texts: 2,
};

const SOURCE: Table = Table {
    select: "SELECT hash, id, kind, owner, job, sender FROM source WHERE tenant = ? AND hash IN",
    insert: "INSERT INTO source (tenant, hash, kind, owner, job, sender)",
    texts: 4,
};

/// Finds or creates the labels that are needed. Returns an id for each, 0 for those that are not.
pub(super) fn labels(
    sql: &mut Connection,
    tenant: &str,
    labels: &[Label],
    needed: &BTreeSet<usize>,
) -> Result<Vec<i64>> {
    let texts = |label: &Label| (label.hash, vec![label.name.clone(), label.value.clone()]);
    let entries = labels.iter().enumerate().filter(|(index, _)| needed.contains(index));
    let entries = entries.map(|(index, label)| (index, texts(label))).collect();
    let found = LABEL.intern(sql, tenant, entries, true)?;
    Ok((0..labels.len()).map(|index| found.get(&index).copied().unwrap_or_default()).collect())
}

/// Finds labels. Returns an id for each, 0 for those that are not there.
pub(super) fn known<'l>(
    sql: &mut Connection,
    tenant: &str,
    labels: impl Iterator<Item = &'l (String, String)>,
) -> Result<Vec<i64>> {
    let entry =
        |(name, value): &(String, String)| (hash(&[name, value], 0), vec![name.clone(), value.clone()]);
    let entries: Vec<_> = labels.map(entry).enumerate().collect();
    let number = entries.len();
    let found = LABEL.intern(sql, tenant, entries, false)?;
    Ok((0..number).map(|index| found.get(&index).copied().unwrap_or_default()).collect())
}

/// Finds or creates sources. They stay until the end of the transaction.
pub(super) fn sources(sql: &mut Connection, tenant: &str, sources: &[Origin]) -> Result<Vec<i64>> {
    let texts = |Origin { hash, source }: &Origin| {
        (
            *hash,
            vec![
                kind(source.kind).to_owned(),
                source.owner.clone(),
                source.job.clone(),
                source.sender.clone(),
            ],
        )
    };
    let found = SOURCE.intern(sql, tenant, sources.iter().map(texts).enumerate().collect(), true)?;
    let ids: Vec<i64> = (0..sources.len())
        .map(|index| found.get(&index).copied().context("a source has no row"))
        .collect::<Result<_>>()?;
    if let Some(lock) = sql.for_share() {
        let mut held = 0;
        for list in lists(ids.iter().copied().map(Param::Int)) {
            let text = format!("SELECT id FROM source WHERE id IN ({}){lock}", marks(list.len()));
            held += sql.ids(&text, &list)?.len();
        }
        ensure!(held == ids.len(), "a source was deleted a moment ago; the batch must be written again");
    }
    Ok(ids)
}

type Hashed = ([u8; 16], Vec<String>);

impl Table {
    fn intern(
        &self,
        sql: &mut Connection,
        tenant: &str,
        mut entries: Vec<(usize, Hashed)>,
        create: bool,
    ) -> Result<HashMap<usize, i64>> {
        let mut found = HashMap::new();
        // Each attempt leaves only texts whose hash belongs to others.
        for attempt in 1.. {
            if entries.is_empty() {
                break;
            }
            entries.sort_unstable_by_key(|(_, (hash, _))| *hash);
            let mut rows = self.find(sql, tenant, &entries)?;
            let mut missing: Vec<&(usize, Hashed)> =
                entries.iter().filter(|(_, (hash, _))| !rows.contains_key(hash)).collect();
            missing.dedup_by_key(|(_, (hash, _))| *hash);
            if create && !missing.is_empty() {
                self.insert(sql, tenant, &missing)?;
                rows = self.find(sql, tenant, &entries)?;
            }
            let mut others = Vec::new();
            for (index, (key, texts)) in entries {
                match rows.get(&key) {
                    Some((id, row)) if *row == texts => drop(found.insert(index, *id)),
                    None if !create => {}
                    _ => {
                        let key = hash(&texts.iter().map(String::as_str).collect::<Vec<_>>(), attempt);
                        others.push((index, (key, texts)));
                    }
                }
            }
            entries = others;
        }
        Ok(found)
    }

    fn find(&self, sql: &mut Connection, tenant: &str, entries: &[(usize, Hashed)]) -> Result<Rows> {
        let mut found = HashMap::with_capacity(entries.len());
        for list in lists(entries.iter().map(|(_, (hash, _))| Param::from(hash))) {
            let text = format!("{} ({})", self.select, marks(list.len()));
            for mut row in sql.rows(&text, &[&[Param::Text(tenant)], list.as_slice()].concat())? {
                let texts = (0..self.texts).map(|column| row.text(column + 2)).collect::<Result<_>>()?;
                found.insert(row.hash(0)?, (row.int(1)?, texts));
            }
        }
        Ok(found)
    }

    fn insert(&self, sql: &mut Connection, tenant: &str, entries: &[&(usize, Hashed)]) -> Result<()> {
        let mut values = Vec::with_capacity(entries.len() * (self.texts + 2));
        for (_, (hash, texts)) in entries {
            values.extend([Param::Text(tenant), Param::from(hash)]);
            values.extend(texts.iter().map(|text| Param::Text(text)));
        }
        sql.insert(self.insert, self.texts + 2, &values, "")
    }
}

/// Adds to the counts of labels.
///
/// # Errors
/// If one of them is not there any more: another process has deleted it since it was read.
pub(super) fn count(sql: &mut Connection, counts: &BTreeMap<i64, i64>) -> Result<()> {
    let mut by_count: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for (label, count) in counts {
        by_count.entry(*count).or_default().push(*label);
    }
    let mut changed = 0;
    for (count, labels) in by_count {
        for list in lists(labels.iter().copied().map(Param::Int)) {
            let text = format!("UPDATE label SET series = series + ? WHERE id IN ({})", marks(list.len()));
            changed += sql.run(&text, &[&[Param::Int(count)], list.as_slice()].concat())?;
        }
    }
    ensure!(changed == counts.len(), "a label was deleted a moment ago; the batch must be written again");
    Ok(())
}

/// Creates metrics and writes new facts about them; what a request does not know stays.
pub(super) fn metrics<'b>(
    sql: &mut Connection,
    tenant: &str,
    facts: impl Iterator<Item = (i64, &'b str, &'b Metadata)>,
) -> Result<()> {
    let facts: Vec<_> = facts.collect();
    let rows = self::metadata(sql, &facts.iter().map(|(id, ..)| *id).collect::<Vec<_>>())?;
    let mut new = Vec::new();
    for (id, name, metadata) in facts {
        let Metadata { kind, unit, help } = metadata;
        let Some(row) = rows.get(&id) else {
            let texts = [tenant, name, kind, unit, help].map(Param::Text);
            new.extend([Param::Int(id)].into_iter().chain(texts));
            continue;
        };
        let known = |ours: &str, theirs: &str| ours.is_empty() || ours == theirs;
        if !(known(kind, &row.kind) && known(unit, &row.unit) && known(help, &row.help)) {
            let or = |ours: &'b str, theirs| if ours.is_empty() { theirs } else { ours };
            let texts = [or(kind, &row.kind), or(unit, &row.unit), or(help, &row.help)].map(Param::Text);
            let [kind, unit, help] = texts;
            sql.run(
                "UPDATE metric SET type = ?, unit = ?, help = ? WHERE id = ?",
                &[kind, unit, help, id.into()],
            )?;
        }
    }
    sql.insert("INSERT INTO metric (id, tenant, name, type, unit, help)", 6, &new, "")
}

/// Returns the facts about metrics by their ids.
pub(super) fn metadata(sql: &mut Connection, metrics: &[i64]) -> Result<HashMap<i64, Metadata>> {
    let mut found = HashMap::new();
    for list in lists(metrics.iter().copied().map(Param::Int)) {
        let text = format!("SELECT id, type, unit, help FROM metric WHERE id IN ({})", marks(list.len()));
        for mut row in sql.rows(&text, &list)? {
            found
                .insert(row.int(0)?, Metadata { kind: row.text(1)?, unit: row.text(2)?, help: row.text(3)? });
        }
    }
    Ok(found)
}
