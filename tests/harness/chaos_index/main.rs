//! `make chaos-index`: kills the parts of the distributed engine of metric-index in turn while series are sent, and looks for
//! series that were sent and are not in the catalogue, and for samples that were answered with a success and are not at the
//! target that the gateway passes them on to. The last line is the result; the exit code is 1 if anything is missing.
//!
//! Each kill comes with series of its own, sent while the part is away and again when it is back. At the end all series are sent
//! once more: a series that is missing then was marked as known without being durable. The target is stopped or halted, never
//! killed: it answers before its own data is on disk.

mod fleet;

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use clap::Parser;
use pushring_harness::poll_until;

use fleet::{Fleet, PARTS, Sample};

/// Series of one kill.
const SERIES: usize = 100;

/// Kills the parts of the distributed engine of metric-index in turn while series are sent
#[derive(Parser)]
#[command(name = "pushring-chaos-index")]
struct Arguments {
    /// Number of kills
    #[arg(long, default_value_t = 200)]
    kills: usize,
}

fn main() -> Result<ExitCode> {
    let Arguments { kills } = Arguments::parse();
    let dir = tempfile::tempdir()?;
    let mut fleet = Fleet::start(dir.path())?;
    let began = Instant::now();
    for kill in 0..kills {
        let part = PARTS[kill % PARTS.len()];
        fleet.disturb(part, kill * SERIES..(kill + 1) * SERIES)?;
        println!("kill {} of {kills}: {part}", kill + 1);
    }
    for kill in 0..kills {
        fleet.send(kill * SERIES..(kill + 1) * SERIES)?;
    }
    let sent: BTreeSet<usize> = (0..kills * SERIES).collect();
    let missing = until_empty("the catalogue", || Ok(sent.difference(&fleet.found()?).copied().collect()));
    let lost: BTreeSet<Sample> =
        until_empty("the target", || Ok(fleet.accepted.difference(&fleet.arrived()?).copied().collect()));
    let rows = fleet.mariadb.metrics("SELECT count(*), count(DISTINCT `key`) FROM series")?;
    println!(
        "{kills} kills in {} s: {} series sent, {} missing; {} samples accepted, {} missing at the target, {} through the spool; rows and keys {rows:?}",
        began.elapsed().as_secs(),
        sent.len(),
        missing.len(),
        fleet.accepted.len(),
        lost.len(),
        fleet.spooled,
    );
    Ok(ExitCode::from(u8::from(!missing.is_empty() || !lost.is_empty())))
}

/// Waits until nothing is missing; returns the missing ones if that does not happen.
fn until_empty<T>(name: &str, missing: impl Fn() -> Result<BTreeSet<T>>) -> BTreeSet<T> {
    let mut last = BTreeSet::new();
    let _ = poll_until(name, || {
        last = missing().ok()?;
        last.is_empty().then_some(())
    });
    last
}
