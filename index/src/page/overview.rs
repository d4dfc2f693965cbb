//! The first page: how many series there are, of what, and since when.

use anyhow::Result;
use maud::{Markup, html};
use pushring_index::METRIC_NAME;

use super::bars::{self, Bar};
use super::layout::{Frame, Tab, count};
use super::query::PageQuery;
use super::{growth, search};
use crate::api::now;
use crate::catalogue::{Cardinality, Catalogue, Filter, NameCount, Of, PairCount};

const DAY: i64 = 86_400_000;
/// Days of the growth.
const DAYS: i64 = 30;
/// Bars of each chart.
const BARS: usize = 10;
/// Counts that are read for them: some have a chart of their own.
pub(super) const COUNTS: usize = 4 * BARS;

/// Returns the content.
pub(super) async fn page(catalogue: &Catalogue, frame: &Frame) -> Result<Markup> {
    let query = &frame.query;
    let filter = Filter { tenant: query.tenant.clone(), ..Filter::default() };
    let today = now().div_euclid(DAY);
    let days = catalogue.days(query.tenant.clone(), Of::All, today - DAYS + 1, today).await?;
    let counts = catalogue.cardinality(filter.clone(), COUNTS).await?;
    let (_, jobs) = catalogue.value_counts(filter, vec!["job".to_owned()], 0, BARS).await?;
    let jobs = jobs.into_iter().next().map(|(_, values)| values).unwrap_or_default();
    Ok(html! {
        h1 { (count(counts.series, "series")) }
        (search::form(&query.of(Tab::Search)))
        (growth::section(&days))
        (cardinality(query, &counts))
        (bars::section("jobs", "Jobs with the most series", "Series", counts.series, &values(query, &jobs)))
    })
}

/// Draws the metrics and the labels of a selection.
pub(super) fn cardinality(query: &PageQuery, counts: &Cardinality) -> Markup {
    let others = counts.names.iter().filter(|name| name.name != METRIC_NAME);
    let most = others.clone().map(|name| name.values).max().unwrap_or_default();
    let bar = |name: &NameCount| Bar { text: name.name.clone(), count: name.values, href: None };
    let names: Vec<_> = others.take(BARS).map(bar).collect();
    let metrics = counts.metrics.get(..BARS).unwrap_or(&counts.metrics);
    let labels = counts.top_pairs.iter().filter(|pair| pair.name != METRIC_NAME).take(BARS);
    let labels: Vec<_> = labels.map(|pair| labeled(query, pair)).collect();
    html! {
        div.charts {
            (bars::section("by-metric", "Metrics with the most series", "Series", counts.series, &values(query, metrics)))
            (bars::section("by-label", "Labels with the most values", "Values", most, &names))
            (bars::section("by-pair", "Labels with the most series", "Series", counts.series, &labels))
        }
    }
}

/// Returns a bar for each value, which leads to its series.
fn values(query: &PageQuery, pairs: &[PairCount]) -> Vec<Bar> {
    pairs.iter().map(|pair| Bar { text: pair.value.clone(), ..labeled(query, pair) }).collect()
}

/// As [`values`], with the name of the label.
fn labeled(query: &PageQuery, pair: &PairCount) -> Bar {
    let href = query.of_label(&pair.name, &pair.value).href();
    Bar { text: format!("{}={:?}", pair.name, pair.value), count: pair.series, href: Some(href) }
}
