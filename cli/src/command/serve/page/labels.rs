//! Labels of groups and of metrics.

use maud::{Markup, html};

use super::text::{long, short};
use crate::gateway::api::Labels;

/// Most labels in one line.
const MOST: usize = 16;
/// Longest value in one line, in bytes; [`crate::text::short`] leaves out the middle of longer ones.
const LONGEST: usize = 220;

/// Shows labels in one line, `job` and `instance` first.
pub(super) fn chips(labels: &Labels) -> Markup {
    html! {
        @for (name, value) in in_order(labels).take(MOST) {
            span class=(class(name)) { (short(name)) "=" span.string { "\"" (short(value)) "\"" } } " "
        }
        @if labels.len() > MOST { span.label { (labels.len() - MOST) " more" } }
    }
}

/// Shows whole labels in a table, if one line does not have all of them.
pub(super) fn table(labels: &Labels) -> Option<Markup> {
    let whole = |(name, value): (&String, &String)| name.len() <= LONGEST && value.len() <= LONGEST;
    (labels.len() > MOST || !labels.iter().all(whole)).then(|| {
        html! {
            div.scroll.tall tabindex="0" role="region" aria-label="All labels" {
                table.whole {
                    tbody {
                        @for (name, value) in in_order(labels) {
                            tr { th scope="row" { (long(name)) } td { (long(value)) } td.count { (value.len()) " bytes" } }
                        }
                    }
                }
            }
        }
    })
}

fn in_order(labels: &Labels) -> impl Iterator<Item = (&String, &String)> {
    let first = ["job", "instance"].into_iter().filter_map(|name| labels.get_key_value(name));
    first.chain(labels.iter().filter(|(name, _)| !["job", "instance"].contains(&name.as_str())))
}

fn class(name: &str) -> &'static str {
    match name {
        "job" => "label job",
        "instance" => "label instance",
        _ => "label",
    }
}
