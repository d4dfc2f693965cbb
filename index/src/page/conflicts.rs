//! Groups that several pushgateways have at the same time.

use maud::{Markup, html};

use super::layout::{Frame, count, moment, thousands};
use super::text::short;
use crate::output;

/// Most groups on the page.
const GROUPS: usize = 200;

/// Returns the content.
pub(super) fn page(frame: &Frame) -> Markup {
    let query = &frame.query;
    let all = &frame.conflicts;
    html! {
        h1 { "Conflicts" }
        form.search action=(query.tab.path()) {
            @if !query.is_fixed && !query.tenant.is_empty() { input type="hidden" name="tenant" value=(query.tenant); }
            div.field {
                label for="since" { "Seen since" }
                input #since name="since" value=(query.since()) size="14" spellcheck="false" autocomplete="off";
            }
            button { "Search" }
        }
        @if let Err(wrong) = query.since_time() { (super::failure(&wrong)) }
        @else if all.is_empty() { p.found { "No group is on several pushgateways." } }
        @else {
            p.found {
                (count(all.len() as i64, "group"))
                @if all.len() == 1 { " is" } @else { " are" }
                " on several pushgateways at the same time: Envoys have different rings, or a client pushes past Envoy."
            }
        }
        @for conflict in all.iter().take(GROUPS) {
            section.conflict {
                h2 { code { "{" (short(&conflict.group)) "}" } }
                div.scroll {
                    table {
                        thead { tr { th { "Pushgateway" } th.number { "Series" } th { "First seen" } th { "Last seen" } } }
                        tbody {
                            @for holder in &conflict.owners {
                                tr {
                                    th scope="row" { (short(&holder.owner)) }
                                    td.number { (thousands(holder.series)) }
                                    td { (moment(holder.first_seen)) }
                                    td { (moment(holder.last_seen)) }
                                }
                            }
                        }
                    }
                }
                @for labels in conflict.examples.iter().take(1) {
                    p.advice { "Such as " code { (short(&output::selector(labels.iter()))) } }
                }
            }
        }
        @if all.len() > GROUPS { p.found { (all.len() - GROUPS) " more are in /api/v1/conflicts" } }
    }
}
