//! The results as tables and as JSON.

use comfy_table::{Table, presets::ASCII_MARKDOWN};
use serde_json::{Map, Value, json};

use crate::changes::Moves;
use crate::groups::GROUPS;
use crate::{COUNTED, PLACEMENTS};

/// All that was measured.
pub(crate) struct Report {
    /// Its version.
    pub(crate) envoy: String,
    pub(crate) changes: Vec<Change>,
    pub(crate) counted: Vec<Spread<{ PLACEMENTS.len() }>>,
    pub(crate) exact: Vec<Spread<2>>,
}

/// What one change of members moved, by placement; none where the placement cannot have such members.
pub(crate) struct Change {
    pub(crate) change: &'static str,
    pub(crate) moves: [Option<Moves>; PLACEMENTS.len()],
}

/// The largest load or share relative to the mean, by placement.
pub(crate) struct Spread<const PLACEMENTS: usize> {
    pub(crate) members: usize,
    pub(crate) max_to_mean: [f64; PLACEMENTS],
}

impl Report {
    /// For people.
    pub(crate) fn print(&self) {
        println!(
            "Groups moved, of {GROUPS}; in brackets needlessly (Envoy {})\n{}\n",
            self.envoy,
            self.moves()
        );
        let (_, fleets) = COUNTED;
        println!("Most groups on a member relative to the mean, {GROUPS} groups, mean of {fleets} fleets");
        println!("{}\n", spread(&self.counted));
        println!("Largest share of a member relative to the mean, exact, mean of 40 fleets");
        println!("{}\n", spread(&self.exact));
    }

    fn moves(&self) -> Table {
        let mut table = table(PLACEMENTS.len());
        for change in &self.changes {
            table.add_row(row(change.change, &change.moves));
        }
        table.add_row(row("all changes", &self.sum()));
        table
    }

    /// Over the changes that every placement can have.
    pub(crate) fn sum(&self) -> [Option<Moves>; PLACEMENTS.len()] {
        let mut sum = [Moves::default(); PLACEMENTS.len()];
        for change in &self.changes {
            if change.moves.iter().any(Option::is_none) {
                continue;
            }
            for (sum, moves) in sum.iter_mut().zip(change.moves.iter().flatten()) {
                sum.all += moves.all;
                sum.needless += moves.needless;
            }
        }
        sum.map(Some)
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        let moves = |moves: &Option<Moves>| {
            moves.map_or(Value::Null, |moves| json!({ "all": moves.all, "needless": moves.needless }))
        };
        let change = |change: &Change| json!({ "change": change.change, "moved": named(change.moves.iter().map(moves)) });
        json!({
            "groups": GROUPS,
            "envoy": self.envoy,
            "changes": self.changes.iter().map(change).collect::<Vec<_>>(),
            "all_changes": named(self.sum().iter().map(moves)),
            "max_to_mean_of_groups": self.counted.iter().map(Spread::json).collect::<Vec<_>>(),
            "max_to_mean_of_shares": self.exact.iter().map(Spread::json).collect::<Vec<_>>(),
        })
    }
}

impl<const N: usize> Spread<N> {
    fn json(&self) -> Value {
        // To the digits that are shown, so that two runs can be compared as text.
        let rounded = self.max_to_mean.iter().map(|value| json!((value * 1e4).round() / 1e4));
        let mut object = named(rounded);
        object.insert("members".to_owned(), self.members.into());
        object.into()
    }
}

fn named(values: impl Iterator<Item = Value>) -> Map<String, Value> {
    PLACEMENTS.iter().map(|&name| name.to_owned()).zip(values).collect()
}

fn row(change: &str, moves: &[Option<Moves>]) -> Vec<String> {
    let cell = |moves: &Option<Moves>| {
        moves.map_or("–".to_owned(), |moves| format!("{} ({})", moves.all, moves.needless))
    };
    [vec![change.to_owned()], moves.iter().map(cell).collect()].concat()
}

fn spread<const N: usize>(rows: &[Spread<N>]) -> Table {
    let mut table = table(N);
    for row in rows {
        let cells = row.max_to_mean.iter().map(|value| format!("{value:.3}"));
        table.add_row([vec![row.members.to_string()], cells.collect()].concat());
    }
    table
}

/// With columns for the first placements.
fn table(placements: usize) -> Table {
    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN).set_header([&["members"], &PLACEMENTS[..placements]].concat());
    table
}
