//! The tab with the gateways, the ring and the program.

use maud::{Markup, html};

use super::gateways;
use super::text::shown;
use crate::command::serve::view::FleetView;

/// Shows the gateways, and tables of facts with their titles.
pub(super) fn page(view: &FleetView, facts: &[(&str, Vec<(String, String)>)]) -> Markup {
    let router = &view.fleet.router;
    let ring = [("Digest", router.digest()), ("Members", router.config().members.len().to_string())];
    let ring = ring.map(|(name, value)| (name.to_owned(), value));
    html! {
        h1 { "Status" }
        (gateways::section(view))
        (table("Ring", &ring))
        @for (title, rows) in facts { (table(title, rows)) }
    }
}

fn table(title: &str, rows: &[(String, String)]) -> Markup {
    html! {
        section aria-label=(title) {
            h2 { (title) }
            div.scroll tabindex="0" role="region" aria-label=(title) {
                table.facts {
                    tbody {
                        @for (name, value) in rows { tr { th scope="row" { (shown(name)) } td { (shown(value)) } } }
                    }
                }
            }
        }
    }
}
