//! Rounds in which every proxy has its turn: started anew, measured, stopped.
//!
//! A process keeps a bias of several per cent for its whole life, by where its memory happens to lie. Measuring it longer
//! or more often does not help, starting it again does: so each number comes from a process of its own, and what differs
//! from start to start is part of the spread that is shown. No other proxy runs meanwhile.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::load::{Gateways, Pushes};
use crate::measure::{self, CONNECTIONS, Cost, GROUPS, SWITCH, WARM_UP, Waiting};
use crate::proxy::{Proxy, Variant};
use crate::report;

/// What a push carries.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) name: &'static str,
    pub(crate) bytes: usize,
    /// Of one measurement at full load.
    pub(crate) length: Duration,
}

/// What is measured, and how often.
pub(crate) struct Plan {
    pub(crate) variants: Vec<&'static Variant>,
    pub(crate) bodies: &'static [Body],
    pub(crate) rounds: u32,
    /// Every so many rounds, and first of all, is a full one: all variants, all bodies, waiting times. In the others only
    /// variants that take part `often` push the first body.
    pub(crate) full_every: u32,
    /// Of a measurement of waiting times; none is not to measure them.
    pub(crate) waiting: Option<Duration>,
}

/// Of one process.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Sample {
    /// Of two variants, those of the same round are compared.
    pub(crate) round: u32,
    #[serde(flatten)]
    pub(crate) cost: Cost,
    #[serde(flatten)]
    pub(crate) waiting: Option<Waiting>,
}

/// All that was measured of one variant.
pub(crate) struct Measured {
    pub(crate) variant: &'static Variant,
    /// By body.
    pub(crate) samples: Vec<Vec<Sample>>,
    /// Resident bytes after all bodies, in full rounds.
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
    let turns = (0..plan.rounds).map(|round| plan.turns(round).len()).sum();
    let progress = report::progress("rounds", turns)?;
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

    /// Who has a turn in a round, in order.
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
        let proxy = Proxy::start(variant, addresses, dir)?;
        let paths = measure::paths(GROUPS);
        let headers = variant.headers(addresses, &paths)?;
        let mut warm_up = WARM_UP;
        for (body, samples) in self.bodies.iter().zip(&mut measured.samples) {
            let messages = measure::messages(&paths, &headers, body.bytes);
            let mut pushes = Pushes::new(messages, vec![b'#'; body.bytes], variant.status(), CONNECTIONS);
            let cost = measure::full_load(&proxy, gateways, &mut pushes, warm_up, body.length)?;
            let wanted = self.waiting.filter(|_| full);
            let waiting = wanted.map(|length| measure::waiting(&proxy, gateways, &mut pushes, length));
            samples.push(Sample { round, cost, waiting: waiting.transpose()? });
            if !full {
                return Ok(());
            }
            warm_up = SWITCH;
        }
        measured.memory.push(proxy.memory()? as f64);
        Ok(())
    }
}

/// Each has each place in turn, and there and back, so that none always comes before another: whatever a place or a
/// neighbour does is the same for all. Nothing is drawn by lot, so every run has the same order, and neighbours in the
/// list, which are often compared, stay close in time.
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
    fn each_has_each_place_and_none_always_comes_first() {
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
