//! Draws the bands of a ring, for `pushring plan` and the page of `pushring serve`.

use std::fmt::Write;

use pushring_router::Router;

/// Both coordinates of the center.
pub(super) const CENTER: f64 = 250.0;
/// Number of positions at which the owner is drawn, below the visible resolution at this size.
const STEPS: u32 = 1440;

/// Returns the color of the owner at each step; `color` has the name of the owner.
pub(super) fn owners(router: &Router, color: impl Fn(&str) -> Option<String>) -> Vec<Option<String>> {
    let owner = |step| router.config().members.get(router.ring().owner_at(position(step))?);
    (0..STEPS).map(|step| color(&owner(step)?.name)).collect()
}

/// Returns the middle of a step.
fn position(step: u32) -> u64 {
    let width = u64::MAX / u64::from(STEPS);
    u64::from(step) * width + width / 2
}

/// Draws a band; adjacent steps of one color become one arc.
pub(super) fn band(out: &mut String, (inner, outer): (f64, f64), colors: &[Option<String>]) {
    let mut start = 0;
    for run in colors.chunk_by(|a, b| a == b) {
        let end = start + run.len();
        if let Some(Some(color)) = run.first() {
            // SVG cannot draw an arc whose two ends are equal.
            let end = if run.len() == colors.len() { end as f64 - 0.01 } else { end as f64 };
            // Writing to a String cannot fail.
            let _ = writeln!(out, "<path d=\"{}\" fill=\"{color}\"/>", arc(inner, outer, start as f64, end));
        }
        start = end;
    }
}

fn arc(inner: f64, outer: f64, start: f64, end: f64) -> String {
    let large = u8::from(end - start > f64::from(STEPS) / 2.0);
    format!(
        "M{} A{outer} {outer} 0 {large} 1 {} L{} A{inner} {inner} 0 {large} 0 {} Z",
        point(outer, start),
        point(outer, end),
        point(inner, end),
        point(inner, start)
    )
}

fn point(radius: f64, step: f64) -> String {
    let angle = step / f64::from(STEPS) * std::f64::consts::TAU;
    format!("{:.2} {:.2}", CENTER + radius * angle.sin(), CENTER - radius * angle.cos())
}

/// Returns evenly spaced hues; for more than a dozen members, hues by the golden angle with varying lightness.
pub(super) fn color(index: usize, of: usize) -> String {
    let hue = if of <= 12 { index * 360 / of.max(1) } else { index * 137 % 360 };
    let lightness = if of <= 12 { 50 } else { [45, 62, 35][index % 3] };
    format!("hsl({hue},65%,{lightness}%)")
}
