//! Everything that is wrong with the fleet, on top of each page.

use maud::{Markup, html};

use super::layout::{ago, count};
use super::mark::{Level, Mark};
use super::query::PageQuery;
use super::text::{short, shown};
use crate::command::serve::view::{Conflict, FleetView, GatewayState, GatewayView, GroupView, Source};
use crate::text;

/// Most conflicts in the list.
const MOST_CONFLICTS: usize = 10;

#[derive(Debug)]
struct Problem {
    level: Level,
    text: Markup,
    /// The next step for a person.
    advice: Markup,
}

/// Lists the problems, the worst ones first; nothing if there are none.
pub(super) fn list(view: &FleetView) -> Markup {
    let mut problems: Vec<Problem> = ring(view)
        .into_iter()
        .chain(view.gateways.iter().filter_map(unreadable))
        .chain(emptied(view))
        .chain(conflicts(view))
        .chain(states(view))
        .collect();
    problems.sort_by_key(|problem| std::cmp::Reverse(problem.level));
    html! {
        @if !problems.is_empty() {
            section.problems aria-labelledby="problems" {
                h2 #problems { (count(problems.len(), "problem")) }
                ul {
                    @for problem in &problems {
                        li class=(problem.level.class()) { p { (problem.text) } p.advice { (problem.advice) } }
                    }
                }
            }
        }
    }
}

fn ring(view: &FleetView) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let Some(error) = &view.fleet_error {
        problems.push(Problem {
            level: Level::Error,
            text: html! { strong { "The members cannot be read: " } (shown(&text::error(error))) },
            advice: html! { "The last ones count until the file or the source can be read again." },
        });
    }
    if view.gateways.is_empty() {
        problems.push(Problem {
            level: Level::Error,
            text: html! { strong { "The ring has no members." } },
            advice: html! { "Envoy answers pushes by 503 until a gateway is registered." },
        });
    }
    problems
}

fn unreadable(gateway: &GatewayView) -> Option<Problem> {
    let name = html! { strong { (shown(&gateway.name)) } };
    let level = if gateway.on_ring { Level::Error } else { Level::Warning };
    let (text, advice) = match &gateway.state {
        GatewayState::Up => return None,
        GatewayState::Poisoned(error) => (
            html! { (name) " is poisoned: its /metrics fails: " (short(&text::error(error))) },
            html! { code { "pushring groups --conflicts" } " names the group and the command that deletes it." },
        ),
        GatewayState::Down(reason) => (
            html! { (name) " cannot be read: " (short(&text::error(reason))) },
            html! {
                @if gateway.on_ring { "Groups that only this gateway holds are missing here and in /metrics." }
                @else { "It is registered, but not on the ring; it may still hold groups." }
            },
        ),
    };
    Some(Problem { level, text, advice })
}

/// Gateways that answer, but lack groups that they own.
fn emptied(view: &FleetView) -> Vec<Problem> {
    let mut lacking = vec![0_usize; view.gateways.len()];
    let lacks = |group: &&GroupView| group.source().is_some_and(|source| source == Source::Replica);
    for owner in view.groups.iter().filter(lacks).filter_map(|group| group.owner) {
        if let Some(lacking) = lacking.get_mut(owner) {
            *lacking += 1;
        }
    }
    let gateways = view.gateways.iter().zip(lacking);
    let up = gateways.filter(|(gateway, lacking)| gateway.state == GatewayState::Up && *lacking > 0);
    up.map(|(gateway, lacking)| Problem {
        level: Level::Warning,
        text: html! {
            strong { (shown(&gateway.name)) } " lacks " (count(lacking, "group")) " that it owns"
            @if let Some(started) = gateway.started { "; its process started " (ago(view, started)) }
        },
        advice: html! {
            "They are shown from their replicas. " code { "pushring sweep --repair" } " copies them back."
        },
    })
    .collect()
}

fn conflicts(view: &FleetView) -> Vec<Problem> {
    let mut problems: Vec<Problem> =
        view.conflicts.iter().take(MOST_CONFLICTS).map(|found| conflict(view, found)).collect();
    let more = view.conflicts.len().saturating_sub(MOST_CONFLICTS);
    if more > 0 {
        problems.push(Problem {
            level: Level::Error,
            text: html! { (count(more, "more conflict")) },
            advice: html! { a href=(PageQuery::of_mark(Mark::Conflict).href()) { "show the groups" } },
        });
    }
    problems
}

fn conflict(view: &FleetView, conflict: &Conflict) -> Problem {
    let paths = conflict.groups.iter().filter_map(|index| view.groups.get(*index)?.path.as_deref());
    Problem {
        level: Level::Error,
        text: html! { "Conflict in " strong { (short(&conflict.family)) } ": " (short(&conflict.reason.text)) },
        advice: html! {
            "/metrics omits its metrics of " (count(conflict.left_out, "group"))
            @for (index, path) in paths.enumerate() {
                @if index == 0 { ": " } @else { ", " }
                a href=(PageQuery::of_group(path).href()) { (index + 1) }
            }
        },
    }
}

/// States of groups that require an action.
fn states(view: &FleetView) -> Vec<Problem> {
    let problem = |mark: Mark, advice: Markup| {
        let groups = view.groups.iter().filter(|group| mark.is_of(group, view)).count();
        (groups > 0).then(|| Problem {
            level: mark.level(),
            text: html! {
                a href=(PageQuery::of_mark(mark).href()) { strong { (count(groups, "group")) } " " (mark.name()) }
            },
            advice: html! { (mark.meaning()) " " (advice) },
        })
    };
    [
        (Mark::LeftBehind, html! { "The next push stores it there; " code { "pushring drain" } " moves it." }),
        (Mark::Deleted, html! { code { "pushring delete" } " deletes every copy." }),
        (Mark::Unknown, html! { code { "pushring groups --state unknown" } " gives the reason." }),
        (Mark::Rejected, html! { "The client received the reason with the status 400." }),
        (Mark::Stub, html! { "The client received the reason with the status 400." }),
        (Mark::Stale, html! { "Its job may run rarely, or not any more: " code { "pushring expire" } " deletes old groups." }),
    ]
    .into_iter()
    .filter_map(|(mark, advice)| problem(mark, advice))
    .collect()
}
