//! The results as tables and as lines of the result file.

use comfy_table::Table;
use serde_json::{Map, Value, json};

use crate::changes::Moves;
use crate::groups::GROUPS;

/// The placements, in the order of the columns.
pub(crate) const PLACEMENTS: [&str; 5] =
    ["pushring", "dynamic-sharding", "RING_HASH", "RING_HASH, ring of 65,536", "MAGLEV"];
/// Numbers of members with which the groups on each member are counted, and the number of fleets.
pub(crate) const COUNTED: ([usize; 3], usize) = ([3, 10, 100], 4);

/// All results.
pub(crate) struct Report {
    /// The version of Envoy.
    pub(crate) envoy: String,
    pub(crate) changes: Vec<Change>,
    pub(crate) counted: Vec<Spread<{ PLACEMENTS.len() }>>,
    pub(crate) exact: Vec<Spread<2>>,
}

/// The groups that one change of members moved, by placement; `None` if the placement does not support such members.
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
    /// Prints the tables.
    pub(crate) fn print(&self) {
        println!(
            "Moved groups of {GROUPS}, in brackets needlessly moved ones (Envoy {})\n{}\n",
            self.envoy,
            self.moves()
        );
        let (_, fleets) = COUNTED;
        println!(
            "Groups on the fullest member relative to the mean, {GROUPS} groups, mean of {fleets} fleets"
        );
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

    /// Sums over the changes that all placements support.
    fn sum(&self) -> [Option<Moves>; PLACEMENTS.len()] {
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

    /// Returns the lines of the result file.
    pub(crate) fn lines(&self) -> Vec<Value> {
        let moves = |moves: &Option<Moves>| {
            moves.map_or(Value::Null, |moves| json!({ "all": moves.all, "needless": moves.needless }))
        };
        let mut lines = vec![json!({ "groups": GROUPS, "envoy": self.envoy, "fleets": COUNTED.1 })];
        for change in &self.changes {
            lines.push(json!({ "change": change.change, "moved": named(change.moves.iter().map(moves)) }));
        }
        lines.extend(self.counted.iter().map(|spread| spread.line("max_to_mean_of_groups")));
        lines.extend(self.exact.iter().map(|spread| spread.line("max_to_mean_of_shares")));
        lines
    }
}

impl<const N: usize> Spread<N> {
    fn line(&self, field: &str) -> Value {
        json!({ "members": self.members, field: named(self.max_to_mean.iter().map(|&value| json!(value))) })
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

/// Returns an empty table with columns for the first placements.
fn table(placements: usize) -> Table {
    pushring_bench::table(&[&["members"], &PLACEMENTS[..placements]].concat())
}
