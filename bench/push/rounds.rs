//! Rounds in which every proxy is started, measured and stopped in its turn.
//!
//! A process keeps a bias of several per cent for its whole life, caused by its memory layout. A longer measurement does
//! not help, a new process does: so each number comes from its own process, and the differences between processes are
//! part of the reported spread. No other proxy runs at the same time.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use pushring_bench::progress;

use crate::load::{Gateways, Pushes};
use crate::measure::{self, CONNECTIONS, Cost, GROUPS, Latency, SWITCH, WARM_UP};
use crate::proxy::{self, Variant};

/// The body of a push.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) name: &'static str,
    pub(crate) bytes: usize,
    /// Length of one measurement at full load.
    pub(crate) length: Duration,
}

/// The variants to measure and the number of rounds.
pub(crate) struct Plan {
    pub(crate) variants: Vec<&'static Variant>,
    pub(crate) bodies: &'static [Body],
    pub(crate) rounds: u32,
    /// The first of every `full_every` rounds is a full one: all variants, all bodies, latency. In the other rounds only
    /// the variants marked `often` push the first body.
    pub(crate) full_every: u32,
    /// Length of a latency measurement; `None` skips it.
    pub(crate) latency: Option<Duration>,
}

/// The measurement of one process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// Samples of two variants are compared within the same round.
    pub(crate) round: u32,
    pub(crate) cost: Cost,
    pub(crate) latency: Option<Latency>,
}

/// All measurements of one variant.
pub(crate) struct Measured {
    pub(crate) variant: &'static Variant,
    /// Samples of each body.
    pub(crate) samples: Vec<Vec<Sample>>,
    /// Resident bytes at the end of each full round.
    pub(crate) memory: Vec<f64>,
}

pub(crate) fn run(plan: &Plan) -> Result<Vec<Measured>> {
    let most = plan.variants.iter().map(|variant| variant.members).max().unwrap_or(0);
    let mut gateways = Gateways::listen(most)?;
    let addresses = gateways.addresses()?;
    let new = |&variant| Measured {
        variant,
        samples: plan.bodies.iter().map(|_| Vec::new()).collect(),
        memory: Vec::new(),
    };
    let mut measured: Vec<Measured> = plan.variants.iter().map(new).collect();
    let progress = progress("rounds", (0..plan.rounds).map(|round| plan.turns(round).len()).sum());
    for round in 0..plan.rounds {
        let dir = tempfile::tempdir()?;
        for index in plan.turns(round) {
            let Some(measured) = measured.get_mut(index) else { continue };
            let turn = plan.turn(round, measured, &mut gateways, &addresses, dir.path());
            turn.with_context(|| measured.variant.name.to_owned())?;
            progress.inc(1);
        }
    }
    progress.finish_and_clear();
    Ok(measured)
}

impl Plan {
    fn is_full(&self, round: u32) -> bool {
        round.is_multiple_of(self.full_every)
    }

    /// Returns the indices of the variants that take part in a round, in order.
    fn turns(&self, round: u32) -> Vec<usize> {
        let full = self.is_full(round);
        let variants = self.variants.iter().enumerate();
        let mut turns: Vec<usize> =
            variants.filter(|(_, variant)| full || variant.often).map(|(index, _)| index).collect();
        rotate(&mut turns, round);
        turns
    }

    fn turn(
        &self,
        round: u32,
        measured: &mut Measured,
        gateways: &mut Gateways,
        addresses: &[SocketAddr],
        dir: &Path,
    ) -> Result<()> {
        let variant = measured.variant;
        let full = self.is_full(round);
        let proxy = proxy::start(variant, addresses, dir)?;
        let paths = measure::paths(GROUPS);
        let headers = variant.headers(addresses, &paths)?;
        let mut warm_up = WARM_UP;
        for (body, samples) in self.bodies.iter().zip(&mut measured.samples) {
            let messages = measure::messages(&paths, &headers, body.bytes);
            let mut pushes = Pushes::new(messages, vec![b'#'; body.bytes], variant.status(), CONNECTIONS);
            let cost = measure::full_load(&proxy, gateways, &mut pushes, warm_up, body.length)?;
            let wanted = self.latency.filter(|_| full);
            let latency = wanted.map(|length| measure::latency(&proxy, gateways, &mut pushes, length));
            samples.push(Sample { round, cost, latency: latency.transpose()? });
            if !full {
                return Ok(());
            }
            warm_up = SWITCH;
        }
        measured.memory.push(proxy.memory()? as f64);
        Ok(())
    }
}

/// Orders the turns of a round: over the rounds each variant has each place, and comes as often before as after each
/// other one. The order is the same in every run, and neighbours in the list, which are often compared, stay close in time.
pub(crate) fn rotate<T>(turns: &mut [T], round: u32) {
    let places = turns.len().max(1);
    turns.rotate_left(round as usize / 2 % places);
    if round % 2 == 1 {
        turns.reverse();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_each_variant_each_place_and_each_order() {
        let mut places = [[0; 4]; 4];
        let mut before = [[0; 4]; 4];
        for round in 0..8 {
            let mut turns = [0, 1, 2, 3];
            rotate(&mut turns, round);
            for (place, &turn) in turns.iter().enumerate() {
                places[turn][place] += 1;
                turns[place + 1..].iter().for_each(|&later| before[turn][later] += 1);
            }
        }
        assert_eq!(places, [[2; 4]; 4]);
        assert!((0..4).all(|a| (0..4).all(|b| before[a][b] == before[b][a])), "{before:?}");
    }
}
