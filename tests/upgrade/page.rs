//! docs/upgrade.md, executed block by block.

use crate::blocks::{self, Block, Kind};
use crate::machine::Machine;
use crate::output;

const PAGE: &str = "docs/upgrade.md";

/// The blocks of the page, and which of them were executed.
pub(crate) struct Page {
    blocks: Vec<(Block, bool)>,
}

impl Page {
    pub(crate) fn open() -> Self {
        let mut blocks = blocks::read(PAGE).unwrap();
        blocks.retain(|block| !matches!(block.kind, Kind::NotExecuted { .. }));
        Self { blocks: blocks.into_iter().map(|block| (block, false)).collect() }
    }

    /// Executes commands of a section, the first of which is number 0, and compares what they print with the block below.
    #[track_caller]
    pub(crate) fn execute(&mut self, machine: &Machine, section: &str, number: usize) {
        self.replaced(machine, section, number, &[]);
    }

    /// As [`Page::execute`], with texts replaced, for the other version or mode that the page names in a sentence.
    #[track_caller]
    pub(crate) fn replaced(&mut self, machine: &Machine, section: &str, number: usize, by: &[(&str, &str)]) {
        let is_wanted = |(block, _): &&(Block, bool)| {
            block.section == section && matches!(block.kind, Kind::Commands { .. })
        };
        let positions = (0..self.blocks.len()).filter(|at| is_wanted(&&self.blocks[*at]));
        let at = positions.clone().nth(number).unwrap_or_else(|| panic!("{section}: no block {number}"));
        let (block, executed) = &mut self.blocks[at];
        *executed = true;
        let place = format!("{PAGE}:{}", block.line);
        println!("{place}");
        let text = by.iter().fold(block.text.clone(), |text, (from, to)| {
            assert!(text.contains(from), "{place}: no {from:?}");
            text.replace(from, to)
        });
        let printed = machine.ok(&text);
        if let Some((expected, compared)) =
            self.blocks.get_mut(at + 1).filter(|(block, _)| block.kind == Kind::Output)
        {
            *compared = true;
            output::compare(&expected.text, &printed).unwrap_or_else(|error| panic!("{place}: {error}"));
        }
    }

    /// Fails if a block was never executed.
    #[track_caller]
    pub(crate) fn finish(self) {
        let missed = self.blocks.iter().find(|(_, executed)| !executed);
        assert!(missed.is_none(), "{PAGE}: the test does not execute {missed:?}");
    }
}
