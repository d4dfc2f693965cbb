//! Lists of series: found by a selector, new, gone.

use anyhow::Result;
use maud::{Markup, html};

use super::layout::{Frame, Tab, count, thousands};
use super::overview::{self, COUNTS};
use super::query::PageQuery;
use super::series;
use crate::api::Bad;
use crate::catalogue::Catalogue;

/// Series of one page.
const PAGE: usize = 50;

/// Returns the content.
pub(super) async fn page(catalogue: &Catalogue, frame: &Frame) -> Result<Markup> {
    let query = &frame.query;
    let title = match query.tab {
        Tab::New => "New series",
        Tab::Gone => "Series that are gone",
        _ => "Search",
    };
    let found = match found(catalogue, query).await {
        Ok(found) => found,
        Err(wrong) if wrong.is::<Bad>() => super::failure(&wrong),
        Err(wrong) => return Err(wrong),
    };
    Ok(html! {
        h1 { (title) }
        (form(query))
        (found)
    })
}

async fn found(catalogue: &Catalogue, query: &PageQuery) -> Result<Markup> {
    let filter = query.filter()?;
    let page = catalogue.series(filter.clone(), query.cursor, PAGE).await?;
    let details = catalogue.details(query.tenant.clone(), &page).await?;
    let counts = catalogue.cardinality(filter, COUNTS).await?;
    let facts = details.metadata.iter().zip(&details.origins);
    Ok(html! {
        p.found { (summary(query, counts.series)) }
        div.columns.wide {
            div {
                ul.groups.series {
                    @for (one, (metadata, origins)) in page.series.iter().zip(facts) {
                        li { (series::entry(query, one, metadata, origins)) }
                    }
                }
                (pages(query, page.series.len(), page.cursor))
            }
            aside aria-label="Cardinality" {
                @if counts.series > 0 { (overview::cardinality(query, &counts)) }
            }
        }
    })
}

/// The form of a selection.
pub(super) fn form(query: &PageQuery) -> Markup {
    let has_time = matches!(query.tab, Tab::New | Tab::Gone);
    html! {
        form.search role="search" action=(query.tab.path()) {
            @if !query.is_fixed && !query.tenant.is_empty() { input type="hidden" name="tenant" value=(query.tenant); }
            div.field.wide {
                label for="match" { "Series selector of PromQL" }
                input #match name="match" value=(query.selector) placeholder="up{job=~\"api|web\"}" spellcheck="false"
                    autocapitalize="off" autocomplete="off";
            }
            @if has_time {
                div.field {
                    label for="since" { @if query.tab == Tab::New { "First seen since" } @else { "Not seen since" } }
                    input #since name="since" value=(query.since()) size="14" spellcheck="false" autocomplete="off";
                }
            }
            button { "Search" }
            @if !query.selector.is_empty() || !query.since.is_empty() {
                a.clear href=(query.of(query.tab).href()) { "Clear" }
            }
        }
    }
}

fn summary(query: &PageQuery, total: i64) -> Markup {
    html! {
        (count(total, "series"))
        @match query.tab {
            Tab::New => { " first seen since " (query.since()) },
            Tab::Gone => { " not seen since " (query.since()) },
            _ => {},
        }
        @if query.tab != Tab::Search { " (90m, 7d, or 2026-01-31T12:00:00Z)" }
    }
}

fn pages(query: &PageQuery, shown: usize, next: Option<i64>) -> Markup {
    html! {
        @if query.cursor != 0 || next.is_some() {
            nav.pages aria-label="Parts of the list" {
                @if query.cursor != 0 { a href=(query.after(0).href()) { "First page" } }
                @if let Some(next) = next { a rel="next" href=(query.after(next).href()) { "Next page" } }
                span { (thousands(shown as i64)) " on this page" }
            }
        }
    }
}
