//! Runs the hostile and the honest clients and collects the results.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use fastrand::Rng;
use flate2::Compression;
use flate2::write::GzEncoder;
use pushring_router::Router;

use super::gateways::Gateways;
use super::ledger::Ledger;
use super::summary::{Settings, Summary};
use super::{floods, inputs, poison};
use crate::chaos::load::Load;
use crate::{Envoy, Layout, Member, Ports, envoy_files};

/// Number of hostile clients.
const HOSTILE: usize = 2;
/// Pause between the pushes of one honest connection: some hundred pushes a second in total.
const PAUSE: Duration = Duration::from_millis(20);
/// Time between two checks of all honest pushes.
const LOOK_EVERY: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_millis(100);
/// The floods reach this limit of Envoy's heap.
const HEAP: (&str, &str) = ("max_heap_size_bytes: 2147483648", "max_heap_size_bytes: 201326592");
/// Violations that are kept in full.
const KEPT: usize = 100;

/// Each kind of input, as often as it comes in one deck.
const KINDS: [(&str, usize); 13] = [
    ("bomb", 1),
    ("huge body", 1),
    ("idle connections", 1),
    ("killing protobuf", 1),
    ("left early", 2),
    ("loop", 1),
    ("malformed", 4),
    ("odd headers", 3),
    ("odd path", 4),
    ("poison", 3),
    ("reset streams", 1),
    ("slow uploads", 1),
    ("slow uploads, HTTP/2", 1),
];

/// Runs until the rounds or the time are over or `stop` is set; `print` gets the progress lines.
///
/// # Errors
/// If a server fails in a way that stops the run, for example Envoy. See [`Summary::violations`] for the rest.
pub fn run(settings: Settings, stop: &AtomicBool, print: impl FnMut(&str)) -> Result<Summary> {
    let dir = tempfile::tempdir()?;
    let summary = run_in(dir.path(), settings, stop, print);
    if summary.as_ref().is_ok_and(|summary| summary.violations.is_empty()) {
        return summary;
    }
    let kept = dir.keep();
    summary.with_context(|| format!("the logs are in {}", kept.display()))
}

fn run_in(dir: &Path, settings: Settings, stop: &AtomicBool, mut print: impl FnMut(&str)) -> Result<Summary> {
    let gateways = Gateways::start(dir)?;
    let members: Vec<Member> = gateways.addresses.iter().map(|address| (*address).into()).collect();
    let config = envoy_files::config(settings.mode, &members)?;
    let layout = Layout::create(&dir.join("pushring"), settings.mode, Ports::default())?;
    layout.edit(&[HEAP])?;
    layout.write(&config)?;
    let mut envoy = Envoy::start(&layout, 2)?;
    let mut ledger = Ledger::new(settings.mode, Router::parse(config.to_string().as_bytes())?, &gateways)?;
    let load = Load::start(envoy.push, PAUSE)?;
    let deck = Mutex::new(Deck::new(settings));
    let (start, mut shed) = (Instant::now(), 0);
    let bomb = bomb()?;
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let hostile: Vec<_> =
            (0..HOSTILE).map(|_| scope.spawn(|| keep_attacking(envoy.push, &over, &deck, &bomb))).collect();
        loop {
            let looked = Instant::now();
            let done = loop {
                let late = settings.time.is_some_and(|time| start.elapsed() > time);
                let done = stop.load(Ordering::SeqCst) || late || hostile.iter().all(|one| one.is_finished());
                if done || looked.elapsed() > LOOK_EVERY {
                    break done;
                }
                thread::sleep(TICK);
            };
            over.fetch_or(done, Ordering::SeqCst);
            let judged = load.pause(|pushes| {
                let now = shed_so_far(&envoy)?;
                let shedding = now > std::mem::replace(&mut shed, now);
                ledger.judge(&pushes, &gateways, shedding)
            });
            if done || judged.is_err() {
                over.store(true, Ordering::SeqCst);
                break judged;
            }
            let (inputs, ended) = (lock(&deck).count(), gateways.outages().len());
            print(&format!(
                "{} s: {} hostile inputs, {} honest pushes, {ended} gateways ended, {} violations",
                start.elapsed().as_secs(),
                inputs,
                ledger.counts.answered,
                ledger.violations.len()
            ));
        }
    })?;
    // The consequences of the last inputs.
    load.pause(|pushes| ledger.judge(&pushes, &gateways, true))?;
    let deck = deck.into_inner().unwrap_or_else(PoisonError::into_inner);
    let ended = gateways.outages().len();
    let mut violations = ledger.violations;
    if ended > deck.killers {
        violations.push(format!("{ended} gateways ended by {} pushes", deck.killers));
    }
    if let Some(status) = envoy.process.ended() {
        violations.push(format!("Envoy ended: {status}"));
    }
    violations.truncate(KEPT);
    let (counts, inputs, killers, logs) = (ledger.counts, deck.counts, deck.killers, dir.to_owned());
    Ok(Summary { settings, counts, inputs, killers, ended, violations, logs })
}

/// The inputs that are still to come, shuffled.
struct Deck {
    random: Rng,
    left: usize,
    cards: Vec<&'static str>,
    counts: BTreeMap<&'static str, usize>,
    killers: usize,
}

impl Deck {
    fn new(settings: Settings) -> Self {
        let left = settings.rounds.unwrap_or(usize::MAX);
        let random = Rng::with_seed(settings.seed);
        Self { random, left, cards: Vec::new(), counts: BTreeMap::new(), killers: 0 }
    }

    /// Returns the next kind with a generator of its own.
    fn draw(&mut self) -> Option<(&'static str, Rng)> {
        self.left = self.left.checked_sub(1)?;
        if self.cards.is_empty() {
            self.cards = KINDS.iter().flat_map(|(kind, times)| std::iter::repeat_n(*kind, *times)).collect();
            self.random.shuffle(&mut self.cards);
        }
        let kind = self.cards.pop()?;
        *self.counts.entry(kind).or_default() += 1;
        self.killers += usize::from(matches!(kind, "bomb" | "killing protobuf"));
        Some((kind, self.random.fork()))
    }

    fn count(&self) -> usize {
        self.counts.values().sum()
    }
}

fn lock(deck: &Mutex<Deck>) -> std::sync::MutexGuard<'_, Deck> {
    deck.lock().unwrap_or_else(PoisonError::into_inner)
}

fn keep_attacking(envoy: SocketAddr, over: &AtomicBool, deck: &Mutex<Deck>, bomb: &[u8]) {
    while !over.load(Ordering::SeqCst) {
        let Some((kind, mut random)) = lock(deck).draw() else { return };
        // Its answer, or an error, is no concern of an attacker.
        let _ = attack(envoy, kind, &mut random, bomb);
    }
}

fn attack(envoy: SocketAddr, kind: &str, random: &mut Rng, bomb: &[u8]) -> Result<()> {
    let send = |bytes: Vec<u8>| inputs::send(envoy, &bytes).map(drop);
    match kind {
        "bomb" => send(inputs::bomb(bomb, random)),
        "huge body" => send(inputs::huge(random)),
        "idle connections" => floods::idle(envoy, random),
        "killing protobuf" => send(inputs::killer(random)),
        "left early" => {
            let bytes = if random.bool() { inputs::tricks(random) } else { inputs::huge(random) };
            inputs::send_and_leave(envoy, &bytes, random)
        }
        "loop" => send(inputs::looping(random)),
        "malformed" => send(inputs::malformed(random)),
        "odd headers" => send(inputs::tricks(random)),
        "odd path" => send(inputs::paths(random)),
        "poison" => poison::send(envoy, random),
        "reset streams" => floods::streams(envoy),
        "slow uploads" => floods::slow_uploads(envoy, false),
        _ => floods::slow_uploads(envoy, true),
    }
}

/// Returns 192 MiB of text, compressed to 200 kB.
fn bomb() -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&vec![b'x'; 16 << 20])?;
    Ok(encoder.finish()?.repeat(12))
}

/// Returns how often Envoy has shed load.
fn shed_so_far(envoy: &Envoy) -> Result<u64> {
    let text = envoy
        .admin("/stats?usedonly&filter=(shed_load_count|overload_close|reset_high_memory_stream.count)")?;
    Ok(text.lines().filter_map(|line| line.rsplit_once(": ")?.1.parse::<u64>().ok()).sum())
}
