//! The picture: needless moves and spread, as bars.

use std::fmt::Write;

use crate::groups::GROUPS;
use crate::report::Report;
use crate::{COUNTED, PLACEMENTS};

const COLOURS: [&str; PLACEMENTS.len()] = ["#1d4ed8", "#7c3aed", "#c2410c", "#eab308", "#0f766e"];
/// The changes that are drawn; the tables have the others.
const DRAWN: [&str; 5] = ["3 to 4", "10 to 11", "10 to 9", "20 to 19", "100 to 99"];

const SIZE: (usize, usize) = (960, 590);
const TOP: usize = 140;
const ROW: usize = 86;
const BAR: usize = 14;
/// Width of the longest bar.
const LONGEST: f64 = 240.0;

/// Some bars of each placement under one label, in percent; none where the placement cannot have such members.
struct Row {
    label: String,
    bars: Vec<Option<f64>>,
}

/// Draws a report.
pub(crate) fn draw(report: &Report) -> String {
    let (width, height) = SIZE;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" font-family=\"Helvetica, Arial, sans-serif\" font-size=\"13\" fill=\"#222\">\n\
         <title>Needless moves and spread of five placements</title>\n\
         <rect x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"8\" fill=\"#fff\" stroke=\"#ccd\"/>\n",
        width - 1,
        height - 1
    );
    legend(&mut out);
    let head = ["Moved needlessly", "of all groups, when the number of members changes"];
    panel(&mut out, 24, head, &moves(report));
    let head = ["The fullest member", "groups above the mean, by number of members"];
    panel(&mut out, 504, head, &spread(report));
    let notes = notes(report);
    for (line, note) in notes.iter().enumerate() {
        text(&mut out, 504, TOP + 3 * ROW + 30 + line * 18, "font-size=\"12\" fill=\"#555\"", note);
    }
    out.push_str("</svg>\n");
    out
}

fn moves(report: &Report) -> Vec<Row> {
    let drawn = report.changes.iter().filter(|change| DRAWN.contains(&change.change));
    let percent = |needless| 100.0 * needless as f64 / GROUPS as f64;
    drawn
        .map(|change| Row {
            label: change.change.to_owned(),
            bars: change.moves.iter().map(|moves| moves.map(|moves| percent(moves.needless))).collect(),
        })
        .collect()
}

fn spread(report: &Report) -> Vec<Row> {
    let above = |max_to_mean: &f64| Some(100.0 * (max_to_mean - 1.0));
    let row = |spread: &crate::report::Spread<_>| Row {
        label: format!("{}", spread.members),
        bars: spread.max_to_mean.iter().map(above).collect(),
    };
    report.counted.iter().map(row).collect()
}

/// What the bars alone do not tell.
fn notes(report: &Report) -> Vec<String> {
    let mut notes = vec![
        format!(
            "{} thousand groups through Envoy {}, mean of {} fleets.",
            GROUPS / 1000,
            report.envoy,
            COUNTED.1
        ),
        "With 100 members each has 200 groups on average, so that some".to_owned(),
        "have 10 to 20 % more by chance, however even the shares are.".to_owned(),
    ];
    let exact = report.exact.iter().filter(|spread| [10, 100].contains(&spread.members));
    let above = exact.map(|spread| {
        format!("{:.1} % with {} members", 100.0 * (spread.max_to_mean[0] - 1.0), spread.members)
    });
    notes.push("Exact, of 40 fleets: pushring's largest share is above the mean by".to_owned());
    notes.push(format!("{}.", above.collect::<Vec<_>>().join(", ")));
    notes
}

fn legend(out: &mut String) {
    for ((name, colour), x) in PLACEMENTS.iter().zip(COLOURS).zip([24, 136, 296, 424, 656]) {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "<rect x=\"{x}\" y=\"22\" width=\"14\" height=\"14\" fill=\"{colour}\"/>");
        let weight = if *name == PLACEMENTS[0] { "font-weight=\"bold\"" } else { "" };
        text(out, x + 20, 34, weight, name);
    }
}

fn panel(out: &mut String, x: usize, head: [&str; 2], rows: &[Row]) {
    text(out, x, 86, "font-size=\"18\" font-weight=\"bold\"", head[0]);
    text(out, x, 108, "fill=\"#555\"", head[1]);
    let most = rows.iter().flat_map(|row| row.bars.iter().flatten()).copied().fold(1.0, f64::max);
    for (number, row) in rows.iter().enumerate() {
        let y = TOP + number * ROW;
        text(out, x + 76, y + 40, "text-anchor=\"end\" font-weight=\"bold\"", &row.label);
        for (line, (bar, colour)) in row.bars.iter().zip(COLOURS).enumerate() {
            let Some(percent) = bar else { continue };
            let (y, left) = (y + line * BAR, x + 88);
            let length = LONGEST * percent / most;
            let _ = writeln!(
                out,
                "<rect x=\"{left}\" y=\"{y}\" width=\"{:.1}\" height=\"{}\" fill=\"{colour}\"/>",
                length.max(1.5),
                BAR - 2
            );
            let value = if *percent == 0.0 { "0".to_owned() } else { format!("{percent:.2} %") };
            let _ = writeln!(
                out,
                "<text x=\"{:.1}\" y=\"{}\" font-size=\"11\" fill=\"#333\">{value}</text>",
                left as f64 + length.max(1.5) + 5.0,
                y + BAR - 4
            );
        }
    }
}

fn text(out: &mut String, x: usize, y: usize, style: &str, text: &str) {
    let _ = writeln!(out, "<text x=\"{x}\" y=\"{y}\" {style}>{text}</text>");
}
