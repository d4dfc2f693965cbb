//! Writes sightings: what is new, whole; of what is known, the times.
//!
//! All rows are written in one order (labels by hash, series by key), so that two indexers wait for each other and do not
//! block each other.

mod days;
mod rows;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};

use super::batch::{Batch, Seen, Tenant, Times};
use super::connection::{Connection, Param};
use super::intern;
use days::{Days, day, write_days};
pub(super) use rows::rows;
use rows::{Row, hold, ids, update_times};

/// The result of a batch.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Recorded {
    /// Series that the catalogue did not have.
    pub(crate) new: u64,
    /// Series that it had.
    pub(crate) known: u64,
    /// New series whose key belonged to another series of the tenant already.
    pub(crate) collisions: u64,
}

/// Records a batch; the caller has begun a transaction.
pub(super) fn record(sql: &mut Connection, batch: &Batch) -> Result<Vec<(String, Recorded)>> {
    let of = |(tenant, seen): (&String, &Tenant)| {
        let mut recorded = Recorded::default();
        let recorder = Recorder { sql, tenant, batch: seen, labels: Vec::new(), days: Days::new() };
        recorder.record(&mut recorded)?;
        Ok((tenant.clone(), recorded))
    };
    batch.tenants.iter().map(of).collect()
}

impl std::iter::Sum for Recorded {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            new: sum.new + one.new,
            known: sum.known + one.known,
            collisions: sum.collisions + one.collisions,
        })
    }
}

struct Recorder<'b> {
    sql: &'b mut Connection,
    tenant: &'b str,
    batch: &'b Tenant,
    /// Ids of the labels that are needed; the others are 0.
    labels: Vec<i64>,
    days: Days,
}

impl<'b> Recorder<'b> {
    fn record(mut self, recorded: &mut Recorded) -> Result<()> {
        let keys = self.batch.series.iter().map(|seen| &seen.key);
        let rows = rows(self.sql, self.tenant, keys)?;
        let mut known = Vec::new();
        let mut new: Vec<(&Seen, i64)> = Vec::new();
        for seen in &self.batch.series {
            let same_key = rows.get(&seen.key).map(Vec::as_slice).unwrap_or_default();
            if let Some(row) = same_key.iter().find(|row| row.labels == seen.json) {
                known.push((seen, row));
                continue;
            }
            let in_batch = new.last().filter(|(last, _)| last.key == seen.key).map(|(_, n)| *n);
            let in_table = same_key.iter().map(|row| row.n).max();
            let n = in_batch.max(in_table).map_or(0, |n| n + 1);
            recorded.collisions += u64::from(n > 0);
            new.push((seen, n));
        }
        recorded.new += new.len() as u64;
        recorded.known += known.len() as u64;
        hold(self.sql, known.iter().map(|(_, row)| *row))?;
        self.intern_labels(&new, &known)?;
        let mut ids = self.insert(&new)?;
        ids.extend(known.iter().map(|(seen, row)| (row.id, *seen)));
        self.touch(&known)?;
        self.metadata()?;
        self.sources(&ids)?;
        write_days(self.sql, self.tenant, &self.days)
    }

    /// Finds or creates the labels of new series, and those that days are counted by.
    fn intern_labels(&mut self, new: &[(&Seen, i64)], known: &[(&Seen, &Row)]) -> Result<()> {
        let mut needed = BTreeSet::new();
        needed.extend(new.iter().flat_map(|(seen, _)| &seen.labels));
        for (seen, row) in known {
            if day(row.times.first) != day(seen.times.first) || day(row.times.last) != day(seen.times.last) {
                needed.extend(seen.job.iter().chain([&seen.metric]));
            }
        }
        needed.extend(
            self.batch
                .series
                .iter()
                .filter(|seen| seen.metadata != Default::default())
                .map(|seen| &seen.metric),
        );
        self.labels = intern::labels(self.sql, self.tenant, &self.batch.labels, &needed)?;
        Ok(())
    }

    fn label(&self, index: usize) -> i64 {
        self.labels.get(index).copied().unwrap_or_default()
    }

    fn insert(&mut self, new: &[(&'b Seen, i64)]) -> Result<Vec<(i64, &'b Seen)>> {
        let mut values = Vec::with_capacity(new.len() * 7);
        for (seen, n) in new {
            let Times { first, last } = seen.times;
            let tenant = Param::Text(self.tenant);
            let (key, metric) = (Param::from(&seen.key), self.label(seen.metric));
            values.extend([
                tenant,
                key,
                (*n).into(),
                metric.into(),
                seen.json.as_str().into(),
                first.into(),
                last.into(),
            ]);
        }
        let into = "INSERT INTO series (tenant, `key`, n, metric_id, labels, first_seen, last_seen)";
        self.sql.insert(into, 7, &values, "")?;
        let ids = ids(self.sql, self.tenant, new.iter().map(|(seen, _)| &seen.key))?;
        let id = |(seen, n): &(&'b Seen, i64)| {
            let id = ids.get(&(seen.key, *n)).context("a series is missing that was just inserted")?;
            Ok((*id, *seen))
        };
        let ids: Vec<_> = new.iter().map(id).collect::<Result<_>>()?;

        let mut pairs: Vec<(i64, i64)> = Vec::with_capacity(ids.len() * 16);
        let mut counts: BTreeMap<i64, i64> = BTreeMap::new();
        for (id, seen) in &ids {
            for label in &seen.labels {
                let label = self.label(*label);
                pairs.push((label, *id));
                *counts.entry(label).or_default() += 1;
            }
            self.count_day(seen, day(seen.times.first), (1, 0));
            self.count_day(seen, day(seen.times.last), (0, 1));
        }
        pairs.sort_unstable();
        let values: Vec<_> =
            pairs.iter().flat_map(|(label, series)| [Param::Int(*label), Param::Int(*series)]).collect();
        self.sql.insert("INSERT INTO series_label (label_id, series_id)", 2, &values, "")?;
        intern::count(self.sql, &counts)?;
        Ok(ids)
    }

    fn count_day(&mut self, seen: &Seen, day: i64, (new, gone): (i64, i64)) {
        let values = [
            ("all", Some(0)),
            ("metric", Some(self.label(seen.metric))),
            ("job", seen.job.map(|job| self.label(job))),
        ];
        for (dim, value) in values {
            if let Some(value) = value {
                let counts = self.days.entry((dim, value, day)).or_default();
                counts.0 += new;
                counts.1 += gone;
            }
        }
    }

    /// Widens the times of known series. Most series of a batch were seen at few times, so few statements do it.
    fn touch(&mut self, known: &[(&Seen, &Row)]) -> Result<()> {
        let (mut earlier, mut later) = (BTreeMap::<i64, Vec<i64>>::new(), BTreeMap::<i64, Vec<i64>>::new());
        for (seen, row) in known {
            if seen.times.first < row.times.first {
                earlier.entry(seen.times.first).or_default().push(row.id);
                self.move_day(seen, row.times.first, seen.times.first, (1, 0));
            }
            if seen.times.last > row.times.last {
                later.entry(seen.times.last).or_default().push(row.id);
                self.move_day(seen, row.times.last, seen.times.last, (0, 1));
            }
        }
        update_times(self.sql, "UPDATE series SET first_seen = ? WHERE id IN", &earlier)?;
        update_times(self.sql, "UPDATE series SET last_seen = ? WHERE id IN", &later)
    }

    fn move_day(&mut self, seen: &Seen, from: i64, to: i64, (new, gone): (i64, i64)) {
        if day(from) != day(to) {
            self.count_day(seen, day(from), (-new, -gone));
            self.count_day(seen, day(to), (new, gone));
        }
    }

    /// Writes the facts about metrics that are not in the table yet. A metric has a row from its first series on.
    fn metadata(&mut self) -> Result<()> {
        let mut facts = BTreeMap::new();
        for seen in &self.batch.series {
            let id = self.label(seen.metric);
            // 0: nothing new and nothing known about it.
            if id != 0 && (seen.metadata != Default::default() || !facts.contains_key(&id)) {
                facts.insert(id, seen);
            }
        }
        intern::metrics(
            self.sql,
            self.tenant,
            facts.iter().map(|(id, seen)| {
                (
                    *id,
                    self.batch.labels.get(seen.metric).map(|label| label.value.as_str()).unwrap_or_default(),
                    &seen.metadata,
                )
            }),
        )
    }

    fn sources(&mut self, ids: &[(i64, &Seen)]) -> Result<()> {
        let sources = intern::sources(self.sql, self.tenant, &self.batch.sources)?;
        let mut rows = Vec::with_capacity(ids.len());
        for (id, seen) in ids {
            for (source, times) in &seen.sources {
                rows.push((sources.get(*source).copied().unwrap_or_default(), *id, *times));
            }
        }
        rows.sort_unstable_by_key(|(source, id, _)| (*source, *id));
        let row =
            |(source, id, times): &(i64, i64, Times)| [*source, *id, times.first, times.last].map(Param::Int);
        let values: Vec<_> = rows.iter().flat_map(row).collect();
        self.sql.insert(
            "INSERT INTO series_source (source_id, series_id, first_seen, last_seen)",
            4,
            &values,
            "ON CONFLICT (source_id, series_id) DO UPDATE SET first_seen = min(first_seen, excluded.first_seen), \
             last_seen = max(last_seen, excluded.last_seen)",
        )
    }
}
