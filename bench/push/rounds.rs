//! Rounds in which all variants are started, measured in turn and stopped.
//!
//! A process keeps a bias of several percent for its whole life, caused by its memory layout. A longer measurement does
//! not help, a new process does: so each round has new processes, and the differences between them are part of the
//! reported spread. The other proxies of a round are idle while one is measured.

use std::time::Duration;

use anyhow::{Context, Result};
use pushring_bench::progress;

use crate::load::{Gateways, Pushes};
use crate::measure::{self, CONNECTIONS, Cost, GROUPS, Latency};
use crate::proxy::{self, Proxy, Variant};

/// The body of a push.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) name: &'static str,
    pub(crate) bytes: usize,
    /// Slices of full load per round.
    pub(crate) slices: u32,
}

/// The variants to measure and the number of rounds.
pub(crate) struct Plan {
    pub(crate) variants: Vec<&'static Variant>,
    pub(crate) bodies: &'static [Body],
    pub(crate) rounds: u32,
    /// Length of a latency measurement; `None` skips it.
    pub(crate) latency: Option<Duration>,
}

/// The measurement of one process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) cost: Cost,
    pub(crate) latency: Option<Latency>,
}

/// All measurements of one variant.
pub(crate) struct Measured {
    pub(crate) variant: &'static Variant,
    /// By body, one sample per round.
    pub(crate) samples: Vec<Vec<Sample>>,
    /// Resident bytes at the end of each round.
    pub(crate) memory: Vec<f64>,
}

pub(crate) fn run(plan: &Plan) -> Result<Vec<Measured>> {
    let most = plan.variants.iter().map(|variant| variant.members).max().unwrap_or(0);
    let mut gateways = Gateways::listen(most)?;
    let new = |&variant| Measured {
        variant,
        samples: plan.bodies.iter().map(|_| Vec::new()).collect(),
        memory: Vec::new(),
    };
    let mut measured: Vec<Measured> = plan.variants.iter().map(new).collect();
    let progress = progress("rounds", plan.rounds as usize);
    for round in 0..plan.rounds {
        let mut turns: Vec<&mut Measured> = measured.iter_mut().collect();
        rotate(&mut turns, round);
        plan.round(&mut turns, &mut gateways)?;
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(measured)
}

impl Plan {
    fn round(&self, turns: &mut [&mut Measured], gateways: &mut Gateways) -> Result<()> {
        let dir = tempfile::tempdir()?;
        let addresses = gateways.addresses()?;
        let paths = measure::paths(GROUPS);
        let start = |turn: &&mut Measured| {
            proxy::start(turn.variant, &addresses, dir.path()).with_context(|| turn.variant.name)
        };
        let proxies = turns.iter().map(start).collect::<Result<Vec<Proxy>>>()?;
        for (index, body) in self.bodies.iter().enumerate() {
            let pushes = |turn: &&mut Measured| {
                let headers = turn.variant.headers(&addresses, &paths)?;
                let messages = measure::messages(&paths, &headers, body.bytes);
                Ok(Pushes::new(messages, vec![b'#'; body.bytes], turn.variant.status(), CONNECTIONS))
            };
            let mut pushes = turns.iter().map(pushes).collect::<Result<Vec<Pushes>>>()?;
            let costs = measure::interleaved(&proxies, gateways, &mut pushes, body.slices)?;
            let all = turns.iter_mut().zip(&proxies).zip(&mut pushes).zip(costs);
            for (((turn, proxy), pushes), cost) in all {
                let latency = self.latency.map(|length| measure::latency(proxy, gateways, pushes, length));
                turn.samples[index].push(Sample { cost, latency: latency.transpose()? });
            }
        }
        for (turn, proxy) in turns.iter_mut().zip(&proxies) {
            turn.memory.push(proxy.memory()? as f64);
        }
        Ok(())
    }
}

/// Orders the turns of a round: over the rounds each variant has each place, and comes as often before as after each
/// other one. The order is the same in every run, and neighbors in the list, which are often compared, stay close in time.
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
