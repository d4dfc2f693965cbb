//! The list of groups.

use maud::{Markup, html};

use super::layout::{ago, count, gateway, thousands, utc};
use super::mark::Mark;
use super::query::{PageQuery, SIZES};
use super::select::Selection;
use super::text::{short, shown};
use super::{gateways, labels, metrics};
use crate::command::serve::view::{FamilyView, FleetView, GroupView};
use crate::{output, text};

/// Most metrics in the list, and of a group alone.
const METRICS: usize = 2_000;
const METRICS_ALONE: usize = 20_000;
/// Most families of one group in the list, and of a group alone.
const FAMILIES: usize = 100;
const FAMILIES_ALONE: usize = 2_000;

/// The rest of the size of the page.
struct Budget {
    metrics: usize,
    families: usize,
}

/// Shows the selected groups. `origin` is the address at which the browser reached us, for commands.
pub(super) fn page(view: &FleetView, query: &PageQuery, origin: &str) -> Markup {
    let selection = Selection::new(view, query);
    let (range, groups) = selection.on_page();
    let alone = query.group.is_some();
    let mut budget = match alone {
        true => Budget { metrics: METRICS_ALONE, families: FAMILIES_ALONE },
        false => Budget { metrics: METRICS, families: FAMILIES },
    };
    let total = selection.groups.len();
    html! {
        div.columns {
            section.list aria-labelledby="groups" {
                h1 #groups { "Groups" }
                @if alone {
                    p { a href="./" { "Show all groups" } }
                } @else {
                    (form(view, query))
                }
                p.found {
                    @if total == 0 { (nothing(view, query)) }
                    @else if selection.pages == 1 { (count(total, "group")) }
                    @else { (thousands(range.start + 1)) "–" (thousands(range.end)) " of " (count(total, "group")) }
                }
                ul.groups {
                    @for group in groups { (item(view, group, alone, &mut budget, origin)) }
                }
                (pages(query, &selection))
            }
            (gateways::aside(view))
        }
        dialog #confirm aria-labelledby="question" {
            h2 #question { "Delete this group?" }
            p.group {}
            p { "All metrics that clients pushed to it are deleted. This cannot be undone." }
            form method="dialog" {
                button value="cancel" { "Cancel" }
                button.danger value="delete" { "Delete" }
            }
        }
    }
}

fn nothing(view: &FleetView, query: &PageQuery) -> Markup {
    html! {
        @if view.is_blind() { "No gateway can be read." }
        @else if query.selects() { "No group matches. " a href="./" { "Show all groups" } }
        @else { "There are no groups yet: push one to /metrics/job/NAME." }
    }
}

fn form(view: &FleetView, query: &PageQuery) -> Markup {
    let counted = |mark: Mark| view.groups.iter().filter(|group| mark.is_of(group, view)).count();
    let marks = Mark::ALL.into_iter().map(|mark| (mark, counted(mark)));
    html! {
        form.search role="search" method="get" action="./" {
            div.field.wide {
                label for="q" { "Search labels" }
                input #q type="search" name="q" value=(query.search) placeholder="backup  instance=db1" spellcheck="false" autocomplete="off";
            }
            div.field {
                label for="state" { "State" }
                select #state name="state" {
                    option value="" { "all" }
                    @for (mark, number) in marks {
                        @if number > 0 || query.mark == Some(mark) {
                            option value=(mark.name()) selected[query.mark == Some(mark)] { (mark.name()) " (" (thousands(number)) ")" }
                        }
                    }
                }
            }
            div.field {
                label for="gateway" { "Gateway" }
                select #gateway name="gateway" {
                    option value="" { "all" }
                    @for gateway in &view.gateways {
                        option value=(gateway.name) selected[query.gateway.as_ref() == Some(&gateway.name)] { (text::line(&gateway.name)) }
                    }
                }
            }
            div.field {
                label for="size" { "Per page" }
                select #size name="size" {
                    @for (index, size) in SIZES.into_iter().enumerate() {
                        option selected[query.size == index] { (size) }
                    }
                }
            }
            button { "Search" }
            @if query.selects() { a.clear href="./" { "Clear" } }
        }
    }
}

fn item(view: &FleetView, group: &GroupView, open: bool, budget: &mut Budget, origin: &str) -> Markup {
    let marks = Mark::of(group, view);
    // A DELETE does not reach the copies of a deleted group.
    let path = group.path.as_deref().filter(|_| !marks.contains(&Mark::Deleted));
    let name = output::short_line(&output::group(&group.labels));
    html! {
        li data-path=[path] {
            details open[open] {
                summary {
                    h2 { (labels::chips(&group.labels)) }
                    span.facts {
                        @for mark in &marks {
                            @if *mark != Mark::InPlace {
                                span class={ "mark " (mark.level().class()) } title=(mark.meaning()) { (mark.name()) } " "
                            }
                        }
                        @match group.pushed { Some(pushed) => { (ago(view, pushed)) }, None => { span { "never pushed" } } }
                        " · " (count(group.families.len(), "family"))
                        " · " (sources(view, group))
                    }
                }
                div.body {
                    (facts(view, group, &marks))
                    (families(view, group, budget, open))
                    @if let Some(path) = path { (command(path, origin)) }
                    @else if !marks.contains(&Mark::Deleted) { p { "No push path produces these labels with the settings of the ring." } }
                }
            }
            @if path.is_some() {
                button.delete.danger type="button" hidden data-group=(name) aria-label={ "Delete group " (name) } { "Delete" }
            }
        }
    }
}

/// Names the gateways that the families come from.
fn sources(view: &FleetView, group: &GroupView) -> Markup {
    let mut on: Vec<usize> = group.families.iter().map(|family| family.on).collect();
    if on.is_empty() {
        on = group.copies.iter().map(|copy| copy.on).collect();
    }
    on.sort_unstable();
    on.dedup();
    html! {
        @for (index, on) in on.into_iter().enumerate() {
            @if index > 0 { ", " }
            span.on { (gateway(view, Some(on))) }
        }
    }
}

fn facts(view: &FleetView, group: &GroupView, marks: &[Mark]) -> Markup {
    html! {
        dl {
            div { dt { "State" } dd { @for (index, mark) in marks.iter().enumerate() {
                @if index > 0 { br; }
                b { (mark.name()) } ": " (mark.meaning())
            } } }
            @if let Some(doubt) = &group.doubt { div { dt { "Reason" } dd { (shown(&doubt.text)) } } }
            div { dt { "Owner" } dd { (gateway(view, group.owner)) } }
            @if group.replica.is_some() { div { dt { "Replica" } dd { (gateway(view, group.replica)) } } }
            div { dt { "Copies" } dd {
                @for (index, copy) in group.copies.iter().enumerate() {
                    @if index > 0 { ", " }
                    (gateway(view, Some(copy.on)))
                    @if let Some(pushed) = copy.pushed { " (" (ago(view, pushed)) @if !copy.shown { ", not shown" } ")" }
                }
            } }
            div { dt { "Last push" } dd { @match group.pushed { Some(pushed) => (utc(pushed)), None => "never" } } }
            @if let Some(rejected) = group.rejected { div { dt { "Last rejected push" } dd { (utc(rejected)) } } }
        }
        @if let Some(all) = labels::table(&group.labels) { (all) }
    }
}

fn families(view: &FleetView, group: &GroupView, budget: &mut Budget, alone: bool) -> Markup {
    let more = group.path.as_deref().filter(|_| !alone).map(|path| PageQuery::of_group(path).href());
    let hidden = group.families.len().saturating_sub(budget.families);
    html! {
        @for family in group.families.iter().take(budget.families) {
            (self::family(view, group, family, &mut budget.metrics, more.as_deref()))
        }
        @if hidden > 0 {
            p.more { (count(hidden, "more family")) " not shown"
                @if let Some(more) = &more { ": " a href=(more) { "show this group alone" } } }
        }
    }
}

fn family(
    view: &FleetView,
    group: &GroupView,
    family: &FamilyView,
    budget: &mut usize,
    more: Option<&str>,
) -> Markup {
    html! {
        details.family {
            summary {
                h3 { (short(&family.name)) }
                span.type { (family.kind.to_lowercase()) }
                @if family.conflicts { span.mark.error { "conflict" } }
                @if group.families.iter().any(|other| other.on != family.on) { span.mark.note { "from " (gateway(view, Some(family.on))) } }
                @if let Some(help) = family.help.as_deref().filter(|help| !help.is_empty()) { span.help { (short(help)) } }
                span.time { (ago(view, family.time_stamp)) }
            }
            (metrics::table(family, budget, more))
        }
    }
}

/// Shows how to delete a group without JavaScript, and to script it.
fn command(path: &str, origin: &str) -> Markup {
    // -f: an error status sets the exit code. -g: brackets of an IPv6 address are not a pattern.
    let command = format!("curl -fgsS -X DELETE {}", text::shell(&format!("{origin}{path}")));
    html! {
        details.command {
            summary { "Delete by a command" }
            pre tabindex="0" { code { (command) } }
        }
    }
}

fn pages(query: &PageQuery, selection: &Selection<'_>) -> Markup {
    let (page, last) = (selection.page, selection.pages - 1);
    let link = |page, text| html! { a href=(query.with_page(page).href()) { (text) } };
    html! {
        @if last > 0 {
            nav.pages aria-label="Pages of groups" {
                @if page > 0 { (link(0, "First")) (link(page - 1, "Previous")) }
                span { "Page " (thousands(page + 1)) " of " (thousands(last + 1)) }
                @if page < last { (link(page + 1, "Next")) (link(last, "Last")) }
            }
        }
    }
}
