//! The pictures, drawn from what was measured.

use std::fmt::Write;

use crate::scaling;
use crate::summary::Line;

const ROW: usize = 22;
const LEFT: usize = 220;
const WIDTH: usize = 860;

/// Bars of processor time: small pushes over large ones.
pub(crate) fn comparison(lines: &[Line]) -> String {
    let most = lines.iter().map(|line| line.cpu_us_median).fold(1.0, f64::max);
    let scale = (WIDTH - LEFT - 90) as f64 / most;
    let mut bars = String::new();
    let mut y = 60;
    for line in lines {
        let width = line.cpu_us_median * scale;
        let small = line.body == lines.first().map_or("", |first| first.body);
        if small {
            let _ = writeln!(
                bars,
                r#"<text x="{}" y="{}" text-anchor="end">{}</text>"#,
                LEFT - 10,
                y + 15,
                line.variant
            );
        }
        let class = match (line.variant.starts_with("pushring"), small) {
            (true, true) => "ours",
            (true, false) => "ours large",
            (false, true) => "other",
            (false, false) => "other large",
        };
        let _ =
            writeln!(bars, r#"<rect class="{class}" x="{LEFT}" y="{y}" width="{width:.1}" height="11"/>"#);
        let _ = writeln!(
            bars,
            r#"<text class="value" x="{:.1}" y="{}">{:.1}</text>"#,
            LEFT as f64 + width + 5.0,
            y + 10,
            line.cpu_us_median
        );
        y += if small { 12 } else { ROW - 6 };
    }
    let title = "Processor time of the proxy for a push, in microseconds (upper bar: 90 B, lower: 20 KB; less is better)";
    frame(y + 10, title, &bars)
}

/// Processor time of a push and of a reload against the number of members (logarithmic).
pub(crate) fn growth(points: &[scaling::Point]) -> String {
    let members: Vec<_> = points.iter().filter(|point| point.axis == "members").collect();
    let half = (WIDTH - 120) / 2;
    let mut content = String::new();
    let push: fn(&scaling::Point) -> f64 = |point| point.cpu_us_median;
    let reload: fn(&scaling::Point) -> f64 = |point| point.reload_worker_ms.map_or(0.0, |ms| ms.median);
    let panels =
        [(60, "a push, microseconds", push), (100 + half, "a reload on the worker, milliseconds", reload)];
    for (left, title, value) in panels {
        let most = members.iter().map(|point| value(point)).fold(1e-9, f64::max);
        let x =
            |point: &scaling::Point| left as f64 + (point.value as f64).log10() / 3.0 * (half - 40) as f64;
        let y = |point: &scaling::Point| 260.0 - value(point) / most * 170.0;
        let _ = writeln!(content, r#"<text x="{left}" y="62">{title}, by members</text>"#);
        let line: Vec<String> = members.iter().map(|p| format!("{:.1},{:.1}", x(p), y(p))).collect();
        let _ = writeln!(content, r#"<polyline class="line" points="{}"/>"#, line.join(" "));
        for &point in &members {
            let (x, y, value) = (x(point), y(point), value(point));
            let _ = writeln!(content, r#"<circle class="ours" cx="{x:.1}" cy="{y:.1}" r="3"/>"#);
            // Two and three members stand close to each other.
            let digits = if value < 100.0 { 1 } else { 0 };
            let _ = writeln!(
                content,
                r#"<text class="value" x="{x:.1}" y="{:.1}" text-anchor="middle">{value:.digits$}</text>"#,
                y - 8.0
            );
            let _ = writeln!(
                content,
                r#"<text class="value" x="{x:.1}" y="282" text-anchor="middle">{}</text>"#,
                point.value
            );
        }
    }
    frame(300, "How processor time grows with the number of members (cluster mode)", &content)
}

/// A picture with its title, readable on light and dark pages.
fn frame(height: usize, title: &str, content: &str) -> String {
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">
<style>
text {{ fill: #24292f }} .value {{ font-size: 10px }} .ours {{ fill: #c4501b }} .other {{ fill: #6e7781 }} .large {{ opacity: .55 }}
.line {{ fill: none; stroke: #c4501b; stroke-width: 1.5 }}
</style>
<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>
<text x="20" y="32" font-size="14">{title}</text>
{content}</svg>
"##
    )
}
