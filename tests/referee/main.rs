//! The real Pushgateway as the referee of the router: it gets thousands of paths as bytes over TCP, and the router
//! must predict its reaction to each.
//!
//! | the gateway | the router |
//! |---|---|
//! | stores a group | routes it and reads exactly its labels; equal groups have equal keys, others have not |
//! | answers 400, stores nothing | malformed |
//! | answers 400 and keeps a stub, which breaks it | refuses it as poison, and nothing else |
//! | redirects to a push path | redirects to the same |
//! | anything else | leaves it to Envoy's next route |

mod game;
mod gateway;
use pushring_harness::Pushgateway;
use pushring_model::spelling;
use pushring_vectors as vectors;

use anyhow::{Context, Result, ensure};
use arbitrary::Unstructured;
use game::Game;
use gateway::{Gateway, Verdict};
use spelling::Labels;

/// Groups, each spelled three times, and odd paths: for each of the four ways to run a Pushgateway.
const GROUPS: u64 = 500;
const ODD: u64 = 1500;

#[test]
fn legacy_names() -> Result<()> {
    referee("", false)
}

#[test]
fn utf8_names() -> Result<()> {
    referee("", true)
}

#[test]
fn legacy_names_with_a_prefix() -> Result<()> {
    referee("/push/gw", false)
}

#[test]
fn utf8_names_with_a_prefix() -> Result<()> {
    referee("/push/gw", true)
}

fn referee(prefix: &str, utf8_names: bool) -> Result<()> {
    let mut game = Game::new(gateway(prefix, utf8_names)?, prefix, utf8_names)?;
    for row in vectors::pushes().filter(|row| row.prefix == prefix && row.utf8_names == utf8_names) {
        game.play(row.path.as_bytes())?;
    }
    for seed in 0..GROUPS {
        let bytes = random(seed);
        let u = &mut Unstructured::new(&bytes);
        let mut labels = Labels::arbitrary(u, utf8_names)?;
        for _ in 0..3 {
            let path = labels.spell(u, prefix, utf8_names)?;
            let verdict = game.play(&path)?;
            let shown = String::from_utf8_lossy(&path);
            assert_eq!(verdict, Verdict::Stored(labels.sorted()), "the generator's own view of {shown}");
        }
        if seed % 10 == 0 {
            let last = labels.0.last_mut().context("a group has labels")?;
            last.1.push(0xFF);
            let path = labels.spell(u, prefix, utf8_names)?;
            assert_eq!(game.play(&path)?, Verdict::Poisoned, "{}", String::from_utf8_lossy(&path));
        }
    }
    for seed in 0..ODD {
        let bytes = random(GROUPS + seed);
        let u = &mut Unstructured::new(&bytes);
        let before = if u.ratio(15, 16)? { prefix } else { "/" };
        let mut path = [before.as_bytes(), &spelling::odd_path(u)?].concat();
        path.retain(|&b| b > b' ' && b != 0x7f); // no HTTP server takes these in a request line
        game.play(if path.starts_with(b"/") { &path } else { b"/" })?;
    }
    let (verdicts, disagreements) = game.finish();
    println!("{verdicts:?}");
    ensure!(disagreements.is_empty(), "{} disagreements:\n{disagreements:#?}", disagreements.len());
    for (verdict, least) in
        [("stored", 1500), ("refused", 150), ("poisoned", 60), ("redirected", 50), ("other", 30)]
    {
        let seen = verdicts.get(verdict).copied().unwrap_or_default();
        ensure!(seen >= least, "only {seen} paths were {verdict}: the test measures too little");
    }
    Ok(())
}

fn gateway(prefix: &str, utf8_names: bool) -> Result<Gateway> {
    let dir = tempfile::tempdir()?;
    let prefix_flag = format!("--web.route-prefix={prefix}");
    let mut flags = Vec::new();
    flags.extend((!prefix.is_empty()).then_some(prefix_flag.as_str()));
    flags.extend(utf8_names.then_some("--push.enable-utf8-names"));
    let server = Pushgateway::start(dir.path(), &flags)?;
    Ok(Gateway::of(server, prefix, dir))
}

/// Enough bytes for one path, the same for every run (SplitMix64).
fn random(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let next = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        Some(pushring_ring::hash::fmix64(state))
    };
    std::iter::from_fn(next).take(512).flat_map(u64::to_le_bytes).collect()
}
