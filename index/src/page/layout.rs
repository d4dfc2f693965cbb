//! The frame of every page: tabs, the tenant, and conflicts on top as a problem.

use anyhow::Result;
use jiff::Timestamp;
use maud::{DOCTYPE, Markup, html};

use super::query::PageQuery;
use super::text::{short, shown};
use crate::api::{Bad, now};
use crate::catalogue::{Catalogue, Conflict};

/// Most tenants that can be selected; others are in the address.
const TENANTS: usize = 200;
/// Most conflicts in the problem on top.
const CONFLICTS: usize = 3;
const DAY: i64 = 86_400_000;

/// A page of the site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tab {
    Overview,
    Search,
    New,
    Gone,
    Conflicts,
}

/// Everything that each page shows.
pub(super) struct Frame {
    pub(super) query: PageQuery,
    pub(super) conflicts: Vec<Conflict>,
    tenants: Vec<String>,
}

impl Tab {
    const ALL: [Self; 5] = [Self::Overview, Self::Search, Self::New, Self::Gone, Self::Conflicts];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Search => "Search",
            Self::New => "New",
            Self::Gone => "Gone",
            Self::Conflicts => "Conflicts",
        }
    }

    /// Returns the relative address, because a proxy may serve the page below another path.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Overview => "./",
            Self::Search => "search",
            Self::New => "new",
            Self::Gone => "gone",
            Self::Conflicts => "conflicts",
        }
    }
}

impl Frame {
    /// Returns a frame without anything from the catalogue.
    pub(super) fn new(query: PageQuery) -> Self {
        Self { query, conflicts: Vec::new(), tenants: Vec::new() }
    }

    /// Reads the tenants and the conflicts. A time that cannot be read is reported by the content.
    pub(super) async fn read(catalogue: &Catalogue, query: PageQuery) -> Result<Self> {
        let tenants = if query.is_fixed { Vec::new() } else { catalogue.tenants(TENANTS).await? };
        let day = now() - DAY;
        let since = if query.tab == Tab::Conflicts { query.since_time() } else { Ok(day) };
        let conflicts = match since {
            Ok(since) => catalogue.conflicts(query.tenant.clone(), since).await?,
            Err(wrong) if wrong.is::<Bad>() => Vec::new(),
            Err(wrong) => return Err(wrong),
        };
        Ok(Self { query, conflicts, tenants })
    }
}

/// Returns the document.
pub(super) fn document(frame: &Frame, content: &Markup) -> String {
    let tab = frame.query.tab;
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (tab.name()) " · metric-index" }
                link rel="icon" href="static/icon.svg" type="image/svg+xml";
                link rel="stylesheet" href="static/page.css";
                link rel="stylesheet" href="static/index.css";
            }
            body {
                a.skip href="#content" { "Skip to the content" }
                header.top {
                    a.brand href=(frame.query.of(Tab::Overview).href()) {
                        img src="static/icon.svg" alt="" width="24" height="24"; "metric-index"
                    }
                    nav aria-label="Pages" {
                        @for other in Tab::ALL {
                            a href=(frame.query.of(other).href()) aria-current=[(other == tab).then_some("page")] {
                                (other.name())
                            }
                        }
                    }
                    (tenant(frame))
                }
                main #content tabindex="-1" {
                    @if tab != Tab::Conflicts { (problem(frame)) }
                    (content)
                }
                footer {
                    a href="metrics" { "/metrics" } " "
                    a href="api/v1/status/tsdb" { "/api/v1/status/tsdb" } " "
                    a href="api/v1/owners" { "/api/v1/owners" }
                    span { "metric-index " (env!("CARGO_PKG_VERSION")) }
                }
            }
        }
    }
    .into_string()
}

/// Selects the tenant, if there is more than one.
fn tenant(frame: &Frame) -> Markup {
    let current = &frame.query.tenant;
    let others = frame.tenants.iter().any(|tenant| tenant != current);
    html! {
        @if frame.query.is_fixed && !current.is_empty() {
            p.tenant { "Tenant " strong { (short(current)) } }
        } @else if others {
            form.tenant action=(frame.query.tab.path()) {
                label for="tenant" { "Tenant" }
                select #tenant name="tenant" {
                    @if !frame.tenants.contains(current) { option value=(current) selected { (option(current)) } }
                    @for tenant in &frame.tenants {
                        option value=(tenant) selected[tenant == current] { (option(tenant)) }
                    }
                }
                button { "Show" }
            }
        }
    }
}

/// Returns the text of an option, which shows no elements.
fn option(tenant: &str) -> String {
    let short = crate::text::short(tenant);
    if tenant.is_empty() { "without a name".to_owned() } else { crate::text::line(&short).into_owned() }
}

fn problem(frame: &Frame) -> Markup {
    let all = &frame.conflicts;
    html! {
        @if !all.is_empty() {
            section.problems aria-labelledby="problems" {
                h2 #problems { "1 problem" }
                ul {
                    li.error {
                        p {
                            strong { (count(all.len() as i64, "group")) }
                            @if all.len() == 1 { " is" } @else { " are" }
                            " on several pushgateways at the same time: "
                            @for (index, conflict) in all.iter().take(CONFLICTS).enumerate() {
                                @if index > 0 { ", " }
                                code { "{" (short(&conflict.group)) "}" }
                            }
                            @if all.len() > CONFLICTS { ", …" }
                        }
                        p.advice {
                            "Pushes of such a group reach several owners, and a scrape finds its series twice. "
                            a href=(frame.query.of(Tab::Conflicts).href()) { "Show the pushgateways" }
                        }
                    }
                }
            }
        }
    }
}

/// Formats a number of things, in singular or plural.
pub(super) fn count(number: i64, one: &str) -> String {
    let end = if number == 1 || one == "series" { "" } else { "s" };
    format!("{} {one}{end}", thousands(number))
}

/// Separates thousands by a narrow space.
pub(super) fn thousands(number: i64) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(|group| String::from_utf8_lossy(group).into_owned());
    groups.collect::<Vec<_>>().join("\u{202f}")
}

/// Shows a time; how long ago it was is in the tooltip.
pub(super) fn moment(millis: i64) -> Markup {
    let Ok(time) = Timestamp::from_millisecond(millis) else { return shown(&millis.to_string()) };
    html! {
        time datetime=(time) title=(ago(now() - millis)) { (time.strftime("%Y-%m-%d %H:%M:%S")) }
    }
}

fn ago(millis: i64) -> String {
    let seconds = millis / 1000;
    let (number, unit) = match seconds {
        ..60 => (seconds.max(0), "second"),
        60..3600 => (seconds / 60, "minute"),
        3600..86_400 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{} ago", count(number, unit))
}
