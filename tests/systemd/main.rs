//! The units of deploy/systemd on a machine that systemd boots, and the page that installs them.

#[expect(dead_code, reason = "the suite `documents` uses the rest")]
#[path = "../documents/blocks.rs"]
mod blocks;
mod machine;
#[path = "../documents/output.rs"]
mod output;
mod page;
mod pushes;
mod units;
