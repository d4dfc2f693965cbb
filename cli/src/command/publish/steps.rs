//! Moves clusters or endpoints first and the ring second, so that the ring never names one that Envoy does not have.

use std::collections::BTreeSet;
use std::path;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, bail};

use super::departed::Departed;
use super::envoy_admin::Admin;
use super::live::Live;
use super::options::{Options, Report};
use super::upstream_kind::UpstreamKind;
use super::upstreams::Upstreams;
use crate::fleet::members::Members;
use crate::fleet::render;
use crate::fleet::ring_file::{RING_FILE, RingFile};
use crate::output::millis;
use crate::text;

/// Time between two requests to Envoy, which takes a few milliseconds to add a cluster.
const POLL: Duration = Duration::from_millis(10);
/// The longest wait for DNS. A name that does not resolve must not hold back the other members.
const RESOLVE: Duration = Duration::from_millis(500);

pub(super) fn publish_upstreams(
    kind: UpstreamKind,
    members: &Members,
    options: &Options,
    live: &Live,
    ring: &RingFile,
    report: &mut Report,
) -> anyhow::Result<()> {
    let file = kind.file();
    // Before the clusters that name them: Envoy rejects a cluster if such a file is missing.
    for (file, text) in members.access.as_ref().map(render::secrets).unwrap_or_default() {
        report.moved.extend(live.put(file, &text)?);
    }
    let new_text = kind.render(members, &path::absolute(live.path(""))?);
    let live_text = live.read(file)?;
    let on_ring: BTreeSet<String> = ring.upstreams().collect();
    let rendered = kind.names(members);
    if let Some(missing) = on_ring.iter().find(|name| !rendered.contains(*name)) {
        bail!("{RING_FILE} names {missing}, which is not in {file}");
    }
    let (new, now_live) = if live_text.as_ref() == Some(&new_text) {
        // Nothing to merge; parsing a thousand clusters takes longer than the rest of a publication.
        (Upstreams::empty(kind), Upstreams::empty(kind))
    } else {
        let new = Upstreams::parse(kind, &new_text).with_context(|| format!("{file} as rendered"))?;
        (new, live_upstreams(kind, live, live_text)?)
    };
    let mut departed = Departed::read(live, SystemTime::now());

    let left = now_live.names_not_in(&new);
    // Only what left must not be on it.
    let on_live_ring = if left.is_empty() { None } else { live.ring_upstreams() };
    let on_live_ring: Option<BTreeSet<String>> = on_live_ring.map(BTreeSet::from_iter);
    let unused = |name: &String| {
        !on_ring.contains(name) && on_live_ring.as_ref().is_some_and(|names| !names.contains(name))
    };
    report.added = new.names_not_in(&now_live);
    (report.dropped, report.kept) =
        left.into_iter().partition(|name| departed.for_at_least(name, options.grace) && unused(name));
    let all = new.with(&now_live, &report.kept);

    // Before the moves: a kill between them must not leave an old time for a name that is in use again.
    departed.retain(|name| report.kept.contains(name) && !on_ring.contains(name));
    departed.write(live)?;
    if !live.path(file).exists() || !all.is_same_as(&now_live) {
        // The rendered text where possible, because it has comments.
        let text = if report.kept.is_empty() { new_text } else { all.to_text()? };
        report.moved.extend(live.put(file, &text)?);
    }
    if live.differs(RING_FILE, &ring.text)? {
        wait_for_upstreams(kind, options, live, ring, &mut report.warnings)?;
        live.pause_at("listed");
        report.moved.extend(live.put(RING_FILE, &ring.text)?);
    }
    departed.add(report.kept.iter().filter(|name| !on_ring.contains(*name)), SystemTime::now());
    departed.write(live)
}

fn live_upstreams(kind: UpstreamKind, live: &Live, text: Option<String>) -> anyhow::Result<Upstreams> {
    let Some(text) = text else { return Ok(Upstreams::empty(kind)) };
    Upstreams::parse(kind, &text)
        .with_context(|| format!("cannot read {}; repair or remove it", text::path(live.path(kind.file()))))
}

/// Waits until every Envoy has everything that the new ring names, whichever publication added it.
fn wait_for_upstreams(
    kind: UpstreamKind,
    options: &Options,
    live: &Live,
    ring: &RingFile,
    warnings: &mut Vec<String>,
) -> anyhow::Result<()> {
    // Without a ring file Envoy has not started, so there is nothing to wait for.
    if !live.path(RING_FILE).exists() {
        return Ok(());
    }
    let started = Instant::now();
    let mut answered = false;
    for admin in &options.admin {
        answered |= wait_for_envoy(admin, started, kind, options, ring)?;
    }
    if answered {
        return Ok(());
    }
    if !options.admin.is_empty() {
        warnings.push(format!("no Envoy at the admin address; waited {} ms instead", millis(options.delay)));
    }
    // Since the file was moved and not since now: after a kill the delay has often passed already.
    std::thread::sleep(options.delay.saturating_sub(live.age(kind.file())));
    Ok(())
}

/// Waits for one Envoy and returns whether there is any at this address.
fn wait_for_envoy(
    admin: &Admin,
    started: Instant,
    kind: UpstreamKind,
    options: &Options,
    ring: &RingFile,
) -> anyhow::Result<bool> {
    loop {
        let asked = Instant::now();
        let Some(listed) = admin.listed(kind, started.elapsed() < RESOLVE)? else { return Ok(false) };
        let missing: Vec<String> = ring.upstreams().filter(|name| !listed.contains(name)).collect();
        if missing.is_empty() {
            return Ok(true);
        }
        if started.elapsed() > options.timeout {
            bail!(
                "Envoy does not list {} after {} ms, so the ring was not moved; look for {:?} in the log of the Envoy \
                 with the admin address {admin}, then publish again",
                missing.join(", "),
                millis(options.timeout),
                kind.file()
            );
        }
        // Envoy lists thousands of clusters in the thread that adds them.
        std::thread::sleep(POLL.max(asked.elapsed()));
    }
}
