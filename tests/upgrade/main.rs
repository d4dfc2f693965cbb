//! docs/upgrade.md on a machine that systemd boots: every command, while clients push. No push is lost, and no group moves but those
//! that must.

#[expect(dead_code, reason = "the suite `documents` uses the rest")]
#[path = "../documents/blocks.rs"]
mod blocks;
mod envoys;
mod load;
#[expect(dead_code, reason = "the suite `systemd` uses the rest")]
#[path = "../systemd/machine.rs"]
mod machine;
mod next;
#[path = "../documents/output.rs"]
mod output;
mod page;
mod steps;
