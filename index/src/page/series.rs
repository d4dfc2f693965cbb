//! One series: its labels, when it was seen, and where it comes from.

use maud::{Markup, html};
use pushring_index::{METRIC_NAME, Metadata};

use super::layout::moment;
use super::query::PageQuery;
use super::text::{long, short};
use crate::catalogue::{Origin, Series};

/// Most origins that are listed.
const ORIGINS: usize = 20;

/// Shows a series that can be unfolded.
pub(super) fn entry(query: &PageQuery, series: &Series, metadata: &Metadata, origins: &[Origin]) -> Markup {
    let labels = || series.labels.iter().filter(|(name, _)| *name != METRIC_NAME);
    html! {
        details {
            summary {
                h2 {
                    span.metric { (short(series.labels.metric())) }
                    @for (name, value) in labels() {
                        " " span.label { (short(name)) "=\"" (short(value)) "\"" }
                    }
                }
                span.facts { (moment(series.first_seen)) " to " (moment(series.last_seen)) }
            }
            div.body {
                (metric(metadata))
                div.scroll {
                    table.whole {
                        thead { tr { th { "Label" } th { "Value" } } }
                        tbody {
                            @for (name, value) in series.labels.iter() {
                                tr {
                                    th scope="row" { (short(name)) }
                                    td { a href=(query.of_label(name, value).href()) { (long(value)) } }
                                }
                            }
                        }
                    }
                }
                (origin_table(origins))
            }
        }
    }
}

fn metric(metadata: &Metadata) -> Markup {
    let facts = [("Type", &metadata.kind), ("Unit", &metadata.unit), ("Help", &metadata.help)];
    let facts: Vec<_> = facts.into_iter().filter(|(_, text)| !text.is_empty()).collect();
    html! {
        @if !facts.is_empty() {
            dl { @for (name, text) in facts { div { dt { (name) } dd { (long(text)) } } } }
        }
    }
}

fn origin_table(origins: &[Origin]) -> Markup {
    html! {
        div.scroll {
            table.origins {
                thead {
                    tr { th { "By" } th { "Pushgateway" } th { "Group or job" } th { "Sender" } th { "First seen" } th { "Last seen" } }
                }
                tbody {
                    @for origin in origins.iter().take(ORIGINS) {
                        tr {
                            td { (short(&origin.kind)) }
                            td { (short(&origin.owner)) }
                            td { (short(&origin.job)) }
                            td { (short(&origin.sender)) }
                            td { (moment(origin.first_seen)) }
                            td { (moment(origin.last_seen)) }
                        }
                    }
                }
            }
        }
        @if origins.len() > ORIGINS { p.more { "and " (origins.len() - ORIGINS) " more" } }
    }
}
