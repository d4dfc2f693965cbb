//! The frame of every page.

use jiff::{SignedDuration, Timestamp};
use maud::{DOCTYPE, Markup, html};

use super::problems;
use super::text::shown;
use crate::command::serve::view::FleetView;
use crate::output;

/// A page of the site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tab {
    Groups,
    Status,
}

/// Returns the document. Its links are relative, because a proxy may serve it below another path.
pub(super) fn document(view: &FleetView, tab: Tab, content: &Markup) -> String {
    let current = |own| (tab == own).then_some("page");
    let title = if tab == Tab::Groups { "Groups" } else { "Status" };
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · pushring" }
                link rel="icon" href="static/icon.svg" type="image/svg+xml";
                link rel="stylesheet" href="static/page.css";
                script src="static/page.js" defer {}
            }
            body {
                a.skip href="#content" { "Skip to the content" }
                header.top {
                    a.brand href="./" { img src="static/icon.svg" alt="" width="24" height="24"; "pushring" }
                    nav aria-label="Pages" {
                        a href="./" aria-current=[current(Tab::Groups)] { "Groups" }
                        a href="status" aria-current=[current(Tab::Status)] { "Status" }
                    }
                    p.read { "read " (moment(view.read_at)) " in " (view.took.as_millis()) " ms" }
                }
                main #content tabindex="-1" {
                    (problems::list(view))
                    (content)
                }
                footer {
                    a href="metrics" { "/metrics" } " "
                    a href="api/v1/metrics" { "/api/v1/metrics" } " "
                    a href="api/v1/status" { "/api/v1/status" }
                    span { "pushring " (env!("CARGO_PKG_VERSION")) }
                }
                p #message role="status" {}
            }
        }
    }
    .into_string()
}

/// Shows how long ago something was, with the time itself in the tooltip.
pub(super) fn ago(view: &FleetView, time: Timestamp) -> Markup {
    let age = view.read_at.duration_since(time).max(SignedDuration::ZERO);
    html! {
        time datetime=(time) title=(utc(time)) { (output::age(age.as_secs())) " ago" }
    }
}

/// Shows the time of day, with the date in the tooltip.
fn moment(time: Timestamp) -> Markup {
    html! { time datetime=(time) title=(utc(time)) { (time.strftime("%H:%M:%S UTC")) } }
}

/// Formats a time for people.
pub(super) fn utc(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// Formats a number of things, in singular or plural.
pub(super) fn count(number: usize, one: &str) -> String {
    let (stem, end) = match one.strip_suffix('y').filter(|stem| !stem.ends_with('a')) {
        _ if number == 1 => (one, ""),
        Some(stem) => (stem, "ies"),
        None => (one, "s"),
    };
    format!("{} {stem}{end}", thousands(number))
}

/// Separates thousands by a narrow space.
pub(super) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(|group| String::from_utf8_lossy(group).into_owned());
    groups.collect::<Vec<_>>().join("\u{202f}")
}

/// Shows the name of a gateway; `None` if it is unknown.
pub(super) fn gateway(view: &FleetView, index: Option<usize>) -> Markup {
    match index.and_then(|index| view.gateways.get(index)) {
        Some(gateway) => shown(&gateway.name),
        None => html! { "unknown" },
    }
}
