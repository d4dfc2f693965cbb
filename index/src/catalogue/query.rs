//! The queries, each on a connection of its own.

use anyhow::Result;
use pushring_index::Metadata;

use super::{Cardinality, Catalogue, Conflict, Day, Filter, NameCount, Of, Origin, Owner, Page, PairCount};
use super::{count, daily, find, intern, owners};

/// Facts about the series of a page, in their order.
pub(crate) struct Details {
    pub(crate) metadata: Vec<Metadata>,
    pub(crate) origins: Vec<Vec<Origin>>,
}

/// Numbers of a selection.
pub(crate) struct Summary {
    pub(crate) total: i64,
    pub(crate) metrics: Vec<PairCount>,
}

impl Catalogue {
    /// Returns series in a stable order, those after the cursor.
    pub(crate) async fn series(&self, filter: Filter, after: i64, limit: usize) -> Result<Page> {
        self.read(move |sql| find::page(sql, &filter, after, limit)).await
    }

    /// Returns facts about the series of a page of the tenant.
    pub(crate) async fn details(&self, tenant: String, page: &Page) -> Result<Details> {
        let ids: Vec<_> = page.series.iter().map(|series| series.id).collect();
        let metrics: Vec<_> = page.series.iter().map(|series| series.metric).collect();
        let read = self.read(move |sql| {
            let known = intern::metadata(sql, &metrics)?;
            let metadata =
                metrics.iter().map(|metric| known.get(metric).cloned().unwrap_or_default()).collect();
            let mut origins = vec![Vec::new(); ids.len()];
            for (series, origin) in owners::origins(sql, &tenant, &ids)? {
                // Pages are sorted by id.
                if let Some(of) = ids.binary_search(&series).ok().and_then(|at| origins.get_mut(at)) {
                    of.push(origin);
                }
            }
            Ok(Details { metadata, origins })
        });
        read.await
    }

    /// Returns the names of tenants, sorted, at most `limit` of them.
    pub(crate) async fn tenants(&self, limit: usize) -> Result<Vec<String>> {
        self.read(move |sql| count::tenants(sql, limit)).await
    }

    /// Counts a selection, by metric for the `limit` metrics with the most series.
    pub(crate) async fn summary(&self, filter: Filter, limit: usize) -> Result<Summary> {
        self.read(move |sql| count::summary(sql, &filter, limit)).await
    }

    /// Returns the names of labels, sorted.
    pub(crate) async fn label_names(&self, filter: Filter) -> Result<Vec<String>> {
        self.read(move |sql| count::names(sql, &filter)).await
    }

    /// Returns the values of a label, sorted.
    pub(crate) async fn label_values(
        &self,
        filter: Filter,
        name: String,
        limit: usize,
    ) -> Result<Vec<String>> {
        self.read(move |sql| count::sorted_values(sql, &filter, &name, limit)).await
    }

    /// Counts a selection by metric, name and pair.
    pub(crate) async fn cardinality(&self, filter: Filter, limit: usize) -> Result<Cardinality> {
        self.read(move |sql| count::cardinality(sql, &filter, limit)).await
    }

    /// Counts the series of a selection, and of the named labels the values: of each the most frequent ones, from `skip` on.
    pub(crate) async fn value_counts(
        &self,
        filter: Filter,
        names: Vec<String>,
        skip: usize,
        limit: usize,
    ) -> Result<(i64, Vec<(NameCount, Vec<PairCount>)>)> {
        let read = self.read(move |sql| {
            let (series, counts) = count::of_names(sql, &filter, &names)?;
            let values = counts.into_iter().map(|name| {
                let values = count::values(sql, &filter, &name.name, skip, limit)?;
                Ok((name, values))
            });
            Ok((series, values.collect::<Result<_>>()?))
        });
        read.await
    }

    /// Returns the origins of a selection.
    pub(crate) async fn owners(&self, filter: Filter) -> Result<Vec<Owner>> {
        self.read(move |sql| owners::owners(sql, &filter)).await
    }

    /// Returns the groups that several pushgateways have, see [`owners::conflicts`].
    pub(crate) async fn conflicts(&self, tenant: String, since: i64) -> Result<Vec<Conflict>> {
        self.read(move |sql| owners::conflicts(sql, &tenant, since)).await
    }

    /// Returns the churn of days.
    pub(crate) async fn days(&self, tenant: String, of: Of, from: i64, until: i64) -> Result<Vec<Day>> {
        self.read(move |sql| daily::days(sql, &tenant, &of, from, until)).await
    }
}
