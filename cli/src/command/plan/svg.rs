//! Draws the result of `pushring plan`: the ring before (inside) and after (outside), and the members' shares as bars.

use std::fmt::Write;

use pushring_router::Router;

use super::diff::{Basis, MemberDiff, RingDiff};
use crate::command::ring_svg::{CENTER, band, color, owners};
use crate::output::percent;

/// Radii of the ring before, of the band that marks moving groups, and of the ring after.
const BEFORE: (f64, f64) = (120.0, 162.0);
const MOVES: (f64, f64) = (165.0, 171.0);
const AFTER: (f64, f64) = (174.0, 216.0);
const WIDTH: u32 = 960;
const ROWS_AT: u32 = 510;
const BAR: f64 = 220.0;
/// Maximum characters of a name; the tooltip has the whole name.
const NAME: usize = 24;

/// Draws a plan, from the same routers as [`RingDiff::new`].
pub(crate) fn draw(plan: &RingDiff, from: &Router, to: &Router) -> String {
    let row = if plan.members.len() > 20 { 18 } else { 30 };
    let count = u32::try_from(plan.members.len()).unwrap_or(u32::MAX);
    let height = (count.saturating_mul(row) + 110).max(520);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"Helvetica, Arial, sans-serif\" font-size=\"12\" fill=\"#222\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>\n"
    );
    ring(&mut out, plan, from, to);
    rows(&mut out, plan, row);
    out.push_str("</svg>\n");
    out
}

fn ring(out: &mut String, plan: &RingDiff, from: &Router, to: &Router) {
    let [before, after] = [from, to].map(|router| {
        let index = |name: &str| plan.members.iter().position(|member| member.name == name);
        owners(router, |name| index(name).map(|index| color(index, plan.members.len())))
    });
    band(out, BEFORE, &before);
    band(out, AFTER, &after);
    // Positions on rings with different keys cannot be compared.
    if plan.basis == Basis::Exact {
        let moves = before.iter().zip(&after).map(|(b, a)| (b != a).then(|| "#111".to_owned()));
        band(out, MOVES, &moves.collect::<Vec<_>>());
    }
    let lines: [(f64, u32, &str, String); 4] = [
        (-14.0, 34, "bold", percent(plan.moved)),
        (8.0, 13, "normal", "of all groups move".to_owned()),
        (32.0, 11, "normal", "inside: before; outside: after".to_owned()),
        (48.0, 11, "normal", if plan.basis == Basis::Exact { "black: moves" } else { "" }.to_owned()),
    ];
    for (dy, size, weight, text) in lines {
        let y = CENTER + dy;
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "<text x=\"{CENTER}\" y=\"{y}\" text-anchor=\"middle\" font-size=\"{size}\" font-weight=\"{weight}\">{text}</text>"
        );
    }
}

fn rows(out: &mut String, plan: &RingDiff, row: u32) {
    let bars = f64::from(ROWS_AT) + 180.0;
    let _ = writeln!(
        out,
        "<text x=\"{ROWS_AT}\" y=\"40\" font-size=\"14\" font-weight=\"bold\">Share of each member</text>\n\
         <text x=\"{ROWS_AT}\" y=\"60\" fill=\"#666\">pale: before; full: after</text>"
    );
    let longest = plan.members.iter().map(|m| m.before.max(m.after)).fold(f64::MIN_POSITIVE, f64::max);
    for (index, member) in plan.members.iter().enumerate() {
        let y = f64::from(row) * index as f64 + 76.0;
        let half = f64::from(row) / 2.0 - 3.0;
        let color = color(index, plan.members.len());
        let middle = y + half + 4.0;
        let _ = writeln!(
            out,
            "<g><title>{}</title><rect x=\"{ROWS_AT}\" y=\"{:.1}\" width=\"10\" height=\"10\" fill=\"{color}\"/>\
             <text x=\"{}\" y=\"{middle:.1}\">{}</text></g>",
            escape(&member.name),
            middle - 9.0,
            ROWS_AT + 16,
            escape(&short(&member.name))
        );
        for (top, share, opacity) in [(y, member.before, 0.4), (y + half, member.after, 1.0)] {
            let _ = writeln!(
                out,
                "<rect x=\"{bars}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{half:.1}\" fill=\"{color}\" \
                 fill-opacity=\"{opacity}\"/>",
                share / longest * BAR * 0.55
            );
        }
        let _ = writeln!(
            out,
            "<text x=\"{}\" y=\"{middle:.1}\">{}</text>",
            bars + BAR * 0.55 + 8.0,
            shares(member)
        );
    }
}

fn shares(member: &MemberDiff) -> String {
    match (&member.address_before, &member.address_after) {
        (None, _) => format!("joins: {}", percent(member.after)),
        (_, None) => format!("{}, leaves", percent(member.before)),
        _ => format!("{} → {}", percent(member.before), percent(member.after)),
    }
}

/// Shortens a name to its two ends, because the names of a fleet often differ in only one of them.
fn short(name: &str) -> String {
    let ends = name.get(..NAME / 2).zip(name.len().checked_sub(NAME / 2 - 1).and_then(|at| name.get(at..)));
    match ends {
        Some((head, tail)) if name.len() > NAME => format!("{head}…{tail}"),
        _ => name.to_owned(),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
