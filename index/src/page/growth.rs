//! Growth by day, drawn as columns.

use jiff::Timestamp;
use maud::{Markup, html};

use super::layout::{count, thousands};
use crate::catalogue::Day;

const DAY: i64 = 86_400_000;
/// Fewest days that are drawn.
const LEAST: usize = 7;
/// Size of the drawing without its margins; it fills the width of the page.
const HEIGHT: f64 = 140.0;
const COLUMN: f64 = 10.0;

/// Draws the series of each day, and how many of them were new.
pub(super) fn section(days: &[Day]) -> Markup {
    // Days before the first series show nothing, but a few of them keep the column of a first day narrow.
    let start = days.len().saturating_sub(LEAST);
    let first = days.iter().position(|day| day.series > 0).map_or(days.len(), |first| first.min(start));
    let days = days.get(first..).unwrap_or_default();
    let most = days.iter().map(|day| day.series).max().unwrap_or_default();
    let height = |number: i64| HEIGHT * number as f64 / most.max(1) as f64;
    html! {
        section.chart.growth aria-labelledby="growth" {
            h2 #growth { "Growth by day" }
            @if days.is_empty() { p.found { "No series yet." } }
            @else {
                p.legend {
                    span.key { (swatch("old")) "series" } span.key { (swatch("new")) "of them new" }
                    span.most { "at most " (count(most, "series")) }
                }
                svg.days viewBox={ "0 0 " (COLUMN * days.len() as f64) " " (HEIGHT) } preserveAspectRatio="none"
                    role="img" aria-label="Series of each day; the table below has the numbers" {
                    @for (index, day) in days.iter().enumerate() {
                        @let (x, old, new) = (COLUMN * index as f64 + 1.0, height(day.series - day.new), height(day.new));
                        g {
                            title {
                                (date(day.day)) ": " (count(day.series, "series")) ", " (thousands(day.new)) " new, "
                                (thousands(day.gone)) " last seen"
                            }
                            rect.old x=(x) y=(coordinate(HEIGHT - old)) width=(COLUMN - 2.0) height=(coordinate(old)) {}
                            rect.new x=(x) y=(coordinate(HEIGHT - old - new)) width=(COLUMN - 2.0) height=(coordinate(new)) {}
                        }
                    }
                }
                @if let (Some(first), Some(last)) = (days.first(), days.last()) {
                    p.axis { span { (date(first.day)) } @if days.len() > 1 { span { (date(last.day)) } } }
                }
                details.command {
                    summary { "Numbers of each day" }
                    div.scroll.tall {
                        table {
                            thead { tr { th { "Day (UTC)" } th.number { "Series" } th.number { "New" } th.number { "Last seen" } } }
                            tbody {
                                @for day in days.iter().rev() {
                                    tr {
                                        th scope="row" { (date(day.day)) }
                                        @for number in [day.series, day.new, day.gone] { td.number { (thousands(number)) } }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn swatch(class: &str) -> Markup {
    html! { svg.swatch width="12" height="12" aria-hidden="true" { rect class=(class) width="12" height="12" rx="2" {} } }
}

fn coordinate(number: f64) -> String {
    format!("{number:.2}")
}

fn date(day: i64) -> String {
    let time = Timestamp::from_millisecond(day * DAY);
    time.map_or_else(|_| day.to_string(), |time| time.strftime("%Y-%m-%d").to_string())
}
