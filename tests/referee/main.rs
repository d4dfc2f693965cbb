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

mod gateway;
use pushring_model::spelling;
use pushring_vectors as vectors;

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use arbitrary::Unstructured;
use gateway::{Gateway, Pairs, Verdict};
use pushring_router::{Decision, ReplyKind, Request, Router, labels_to_path};
use serde_json::json;
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
    let mut game = Game::new(prefix, utf8_names)?;
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
    game.finish()
}

/// A gateway and the router that must agree with it.
struct Game {
    gateway: Gateway,
    router: Router,
    /// Key of each group that was stored, and the other way round.
    keys: BTreeMap<Pairs, Vec<u8>>,
    groups: BTreeMap<Vec<u8>, Pairs>,
    /// How often each verdict was given.
    verdicts: BTreeMap<&'static str, usize>,
    disagreements: Vec<String>,
}

impl Game {
    fn new(prefix: &str, utf8_names: bool) -> Result<Self> {
        let config = json!({
            "members": ["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"], "path_prefix": prefix, "utf8_names": utf8_names,
        });
        Ok(Self {
            gateway: Gateway::start(prefix, utf8_names)?,
            router: Router::parse(config.to_string().as_bytes())?,
            keys: BTreeMap::new(),
            groups: BTreeMap::new(),
            verdicts: BTreeMap::new(),
            disagreements: Vec::new(),
        })
    }

    /// Sends one path to the gateway, which is empty before and after, and compares.
    fn play(&mut self, path: &[u8]) -> Result<Verdict> {
        let verdict = self.gateway.push(path)?;
        let count = self.verdicts.entry(verdict.name()).or_default();
        *count += 1;
        match &verdict {
            // DELETE uses this spelling or, every other time, the spelling that pushring derives from the labels.
            Verdict::Stored(labels) if count.is_multiple_of(2) => {
                let pairs = labels.iter().map(|(name, value)| (name.as_slice(), value.as_slice()));
                let config = self.router.config();
                let path = labels_to_path(&config.path_prefix, config.utf8_names, pairs).expect("a job");
                self.gateway.delete(path.as_bytes())?;
            }
            Verdict::Stored(_) | Verdict::Poisoned => self.gateway.delete(path)?,
            Verdict::Refused | Verdict::Redirected(_) | Verdict::Other(_) => {}
        }
        if let Err(difference) = self.compare(path, &verdict) {
            let path = String::from_utf8_lossy(path);
            self.disagreements.push(format!("{path}\n    gateway: {verdict:?}\n    router: {difference}"));
        }
        Ok(verdict)
    }

    fn compare(&mut self, path: &[u8], verdict: &Verdict) -> Result<()> {
        let decision = self.router.decide(Request { method: b"PUT", path, accept: None });
        match (verdict, decision) {
            (Verdict::Stored(labels), Decision::Route(route)) if !route.malformed => {
                let group = self.router.group(path).context("no group")?;
                ensure!(group.labels.as_ref() == Some(labels), "labels {:?}", group.labels);
                let key = self.keys.entry(labels.clone()).or_insert_with(|| group.key.clone());
                ensure!(*key == group.key, "another spelling has another key: {key:?}, not {:?}", group.key);
                let other = self.groups.entry(group.key).or_insert_with(|| labels.clone());
                ensure!(other == labels, "another group has the same key: {other:?}");
                let delete = self.router.decide(Request { method: b"DELETE", path, accept: None });
                ensure!(delete == Decision::Route(route), "DELETE goes elsewhere: {delete:?}");
            }
            (Verdict::Refused, Decision::Route(route)) if route.malformed => {}
            // Poison only next to the same group without `instance`.
            (Verdict::Stored(labels), Decision::Reply(reply))
                if reply.kind == ReplyKind::Poison
                    && labels.contains(&(b"instance".to_vec(), Vec::new())) => {}
            (Verdict::Poisoned, Decision::Reply(reply)) if reply.kind == ReplyKind::Poison => {}
            (Verdict::Redirected(to), Decision::Reply(reply)) if reply.kind == ReplyKind::CleanPath => {
                let (_, location) =
                    reply.headers.iter().find(|(name, _)| *name == "location").context("no location")?;
                // Go encodes the percent signs of a path that was encoded already: net/http's own mistake,
                // which would store another group. Ours names the path that was meant.
                let meant = gateway::percent_decode(&gateway::percent_decode(to));
                // It drops an empty query.
                let location = location.strip_suffix('?').unwrap_or(location);
                ensure!(gateway::percent_decode(location.as_bytes()) == meant, "to {location}");
            }
            // The redirect leads to a path that is not a push path: Envoy's next route answers at once.
            (Verdict::Redirected(to), Decision::Bypass)
                if self.router.group(&gateway::percent_decode(to)).is_none() => {}
            // The router of the gateway corrects upper case, and encoded slashes before /metrics, in a path that is
            // not a push path. No client writes that; here it is not a push.
            (Verdict::Redirected(_), Decision::Bypass)
                if gateway::is_clean(path) && self.router.group(path).is_none() => {}
            // Go rejects a broken escape in any path, even if the path is not a push path.
            (Verdict::Refused, Decision::Bypass)
                if gateway::broken_escape(path) && self.router.group(path).is_none() => {}
            (Verdict::Other(_), Decision::Bypass) => {}
            (_, decision) => bail!("{decision:?}"),
        }
        Ok(())
    }

    /// No disagreement, and every kind of verdict was seen often.
    fn finish(self) -> Result<()> {
        println!("{:?}, {} groups", self.verdicts, self.groups.len());
        ensure!(
            self.disagreements.is_empty(),
            "{} disagreements:\n{}",
            self.disagreements.len(),
            self.disagreements[..self.disagreements.len().min(40)].join("\n")
        );
        for (verdict, least) in
            [("stored", 1500), ("refused", 150), ("poisoned", 60), ("redirected", 50), ("other", 30)]
        {
            let seen = self.verdicts.get(verdict).copied().unwrap_or_default();
            ensure!(seen >= least, "only {seen} paths were {verdict}: the test measures too little");
        }
        Ok(())
    }
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
