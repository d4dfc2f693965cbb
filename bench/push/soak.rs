//! Many pushes through the dynamic module, with a new ring in between: the memory of Envoy must not grow.

use std::time::Duration;

use anyhow::{Result, ensure};
use pushring_bench::{progress, table};
use pushring_harness::Mode;

use crate::load::{self, Gateways, Pace};
use crate::measure::{self, GROUPS, WARM_UP, checked, pushes};
use crate::proxy::{self, Kind, RouteBy, Variant, ring};
use crate::stats::median;

const MEMBERS: usize = 10;
/// Full load between two rings.
const LAP: Duration = Duration::from_secs(1);
/// Growth that is no leak: buffers that a larger burst of connections leaves behind. 10 million pushes that leak a byte each are
/// above it.
const SLACK: f64 = 4e6;

/// Pushes until `wanted` pushes were answered. Fails if one fails, or if the median of the last quarter of the laps is above that of
/// the second quarter by more than the slack.
pub(crate) fn run(wanted: u64) -> Result<()> {
    let variant = Variant { name: "native cluster", kind: Kind::Native(Mode::Cluster), members: MEMBERS };
    let mut gateways = Gateways::listen(MEMBERS)?;
    let dir = tempfile::tempdir()?;
    let addresses = gateways.addresses()?;
    let proxy = proxy::start(&variant, &addresses, dir.path())?;
    let (_, layout) = proxy.envoy()?;
    let mut pushes = pushes(&measure::paths(GROUPS));
    checked(load::run(proxy.push, &mut gateways, &mut pushes, Pace::Closed, WARM_UP)?)?;
    let (mut answered, mut memory) = (0, Vec::new());
    let progress = progress("thousand pushes", usize::try_from(wanted / 1000)?);
    while answered < wanted {
        // Every second ring lacks a member.
        let members = addresses.get(memory.len() % 2..).unwrap_or_default();
        layout.write_ring(&ring(Mode::Cluster, RouteBy::Group, members).to_string())?;
        let lap = checked(load::run(proxy.push, &mut gateways, &mut pushes, Pace::Closed, LAP)?)?;
        answered += lap.answered() as u64;
        memory.push(proxy.memory()? as f64);
        progress.set_position(answered / 1000);
    }
    progress.finish_and_clear();
    let quarter = |number: usize| {
        let laps = memory.len();
        median(memory.iter().skip(laps * number / 4).take(laps.div_ceil(4)).copied())
    };
    let mut table = table(&["pushes", "rings", "MB, second quarter", "MB, last quarter"]);
    let megabytes = |bytes: f64| format!("{:.1}", bytes / 1e6);
    let (early, late) = (quarter(1), quarter(3));
    table.add_row([answered.to_string(), memory.len().to_string(), megabytes(early), megabytes(late)]);
    println!("{table}");
    ensure!(memory.len() >= 8, "found {} laps, expected at least 8: push more", memory.len());
    ensure!(late - early <= SLACK, "the memory of Envoy grew by {} MB", megabytes(late - early));
    Ok(())
}
