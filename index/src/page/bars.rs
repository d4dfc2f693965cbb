//! Counts drawn as bars.

use maud::{Markup, html};

use super::layout::thousands;
use super::text::short;

/// One bar: the text, its count, and where the text leads to.
pub(super) struct Bar {
    pub(super) text: String,
    pub(super) count: i64,
    pub(super) href: Option<String>,
}

/// Draws a section with a bar for each count. `whole` is the count of a bar of the full width.
pub(super) fn section(id: &str, title: &str, unit: &str, whole: i64, bars: &[Bar]) -> Markup {
    html! {
        section.chart aria-labelledby=(id) {
            h2 id=(id) { (title) }
            @if bars.is_empty() { p.found { "None." } }
            @else {
                table.bars {
                    thead { tr { th { "Name" } th.number { (unit) } th.bar { span.skip { "Share" } } } }
                    tbody {
                        @for bar in bars {
                            tr {
                                th scope="row" {
                                    @if let Some(href) = &bar.href { a href=(href) { (short(&bar.text)) } }
                                    @else { (short(&bar.text)) }
                                }
                                td.number { (thousands(bar.count)) }
                                td.bar { (drawn(bar.count, whole)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Draws a bar. The policy of the page forbids styles in attributes; a width of SVG is none.
fn drawn(count: i64, whole: i64) -> Markup {
    let part = if whole > 0 { count as f64 / whole as f64 } else { 0.0 };
    // A small count stays visible.
    let width = format!("{:.1}%", (part * 100.0).clamp(0.5, 100.0));
    html! {
        svg width="100%" height="14" aria-hidden="true" {
            title { (format!("{:.1} %", part * 100.0)) }
            rect.whole width="100%" height="14" rx="2" {}
            rect.part width=(width) height="14" rx="2" {}
        }
    }
}
