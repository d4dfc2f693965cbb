//! A gateway and the router that must predict its reaction to each path.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use pushring_router::{Decision, ReplyKind, Request, Router, labels_to_path};
use serde_json::json;

use crate::gateway::{self, Gateway, Pairs, Verdict};

/// A gateway and the router that must agree with it.
pub(crate) struct Game {
    gateway: Gateway,
    router: Router,
    /// Key of each group that was stored, and the other way round.
    keys: BTreeMap<Pairs, Vec<u8>>,
    groups: BTreeMap<Vec<u8>, Pairs>,
    /// How often each verdict was given.
    verdicts: BTreeMap<&'static str, usize>,
    disagreements: BTreeMap<String, String>,
}

impl Game {
    pub(crate) fn new(gateway: Gateway, prefix: &str, utf8_names: bool) -> Result<Self> {
        let config = json!({
            "members": ["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"], "path_prefix": prefix, "utf8_names": utf8_names,
        });
        Ok(Self {
            gateway,
            router: Router::parse(config.to_string().as_bytes())?,
            keys: BTreeMap::new(),
            groups: BTreeMap::new(),
            verdicts: BTreeMap::new(),
            disagreements: BTreeMap::new(),
        })
    }

    /// Sends one path to the gateway, which is empty before and after, and compares.
    pub(crate) fn play(&mut self, path: &[u8]) -> Result<Verdict> {
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
            let difference = format!("    gateway: {verdict:?}\n    router: {difference}");
            self.disagreements.insert(path.into_owned(), difference);
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
                let Decision::Route(delete) = delete else { bail!("DELETE is not routed: {delete:?}") };
                // Only DELETE is mirrored by default.
                ensure!(delete.destination == route.destination, "DELETE goes elsewhere: {delete:?}");
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

    /// Returns how often each verdict was given, and each path about which gateway and router disagree.
    pub(crate) fn finish(self) -> (BTreeMap<&'static str, usize>, BTreeMap<String, String>) {
        (self.verdicts, self.disagreements)
    }
}
