//! The metrics of a family.

use maud::{Markup, html};

use super::labels;
use super::text::{short, shown};
use crate::command::serve::metric::{self, Histogram, Metric, Summary};
use crate::command::serve::number;
use crate::command::serve::view::FamilyView;

/// Most quantiles or buckets of one metric.
const MOST_PARTS: usize = 200;

/// Shows at most `budget` metrics of a family, and reduces it by their number. `more` is the address of a page with more.
pub(super) fn table(family: &FamilyView, budget: &mut usize, more: Option<&str>) -> Markup {
    let (all, some) = (family.metrics.len(), family.metrics.len().min(*budget));
    *budget -= some;
    html! {
        @if some > 0 {
            div.scroll tabindex="0" role="region" aria-label="Metrics" {
                table.metrics {
                    thead { tr { th scope="col" { "Labels" } th scope="col" { "Value" } } }
                    tbody {
                        @for raw in family.metrics.iter().take(some) {
                            @match metric::decode(raw) {
                                Ok(metric) => tr { td { (labels::chips(&pairs(&metric))) } td.value { (value(&metric)) } },
                                Err(error) => tr { td colspan="2" { "cannot be shown: " (short(&format!("{error:#}"))) } },
                            }
                        }
                    }
                }
            }
        }
        @if some < all {
            p.more {
                (all - some) @if some > 0 { " more" } " not shown"
                @if let Some(more) = more { ": " a href=(more) { "show this group alone" } }
            }
        }
    }
}

fn pairs(metric: &Metric) -> crate::gateway::api::Labels {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    metric.labels.iter().map(|label| (text(label.name()), text(label.value()))).collect()
}

fn value(metric: &Metric) -> Markup {
    let number = metric.gauge.or(metric.counter).or(metric.untyped);
    html! {
        @if let Some(number) = number { (shown(&number::go(number.value()))) }
        @if let Some(summary) = &metric.summary { (self::summary(summary)) }
        @if let Some(histogram) = &metric.histogram { (self::histogram(histogram)) }
    }
}

fn summary(summary: &Summary) -> Markup {
    let quantiles = summary.quantiles.iter();
    let rows =
        quantiles.map(|quantile| (format!("Quantile {}", number::go(quantile.quantile())), quantile.value()));
    parts(rows, metric::float_or(None, summary.count), summary.sum())
}

fn histogram(histogram: &Histogram) -> Markup {
    let buckets = histogram.buckets.iter();
    let rows =
        buckets.map(|bucket| (format!("≤ {}", number::go(bucket.upper_bound())), bucket.observations()));
    html! {
        (parts(rows, histogram.observations(), histogram.sum()))
        @if histogram.buckets.is_empty() { "Native buckets are only in /metrics." }
    }
}

fn parts(rows: impl ExactSizeIterator<Item = (String, f64)>, count: f64, sum: f64) -> Markup {
    let more = rows.len().saturating_sub(MOST_PARTS);
    let row = |name: &str, value: f64| html! { tr { th scope="row" { (name) } td { (number::go(value)) } } };
    html! {
        table.parts {
            tbody {
                @for (name, value) in rows.take(MOST_PARTS) { (row(&name, value)) }
                @if more > 0 { tr { td colspan="2" { (more) " more" } } }
                (row("Sample count", count))
                (row("Sample sum", sum))
            }
        }
    }
}
