//! `make run REPLICAS=2`: each group has a replica, so the death of its owner loses nothing.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use pushring_harness::{Mode, poll_until};

use crate::Options;
use crate::change::count;
use crate::companion::Companion;
use crate::demo::Demo;
use crate::groups::GROUPS;
use crate::screen;
use crate::table::{self, Found};

/// Returns the edits of the shipped settings.
///
/// # Errors
/// If the options cannot have replicas.
pub(crate) fn settings(options: &Options) -> Result<&'static [(&'static str, &'static str)]> {
    if options.replicas == 1 {
        return Ok(&[]);
    }
    if options.mode == Mode::Redirect {
        bail!("replicas need Envoy to forward the pushes: use the mode cluster or endpoint");
    }
    if options.gateways == 1 {
        bail!("one pushgateway has no replica: use two or more");
    }
    Ok(&[("mirror: deletes ", "mirror: all ")])
}

/// Returns where the groups are, once each of them has all its copies: Envoy sends the copy to the replica without waiting.
///
/// # Errors
/// If a gateway does not answer.
pub(crate) fn wait(demo: &Demo, copies: u16) -> Result<Vec<Found>> {
    let gateways: Vec<SocketAddr> = demo.gateways().into_iter().map(|(address, _)| address).collect();
    if copies > 1 {
        poll_until("each group to have its replica", || {
            table::verdict(&table::ask(&gateways).ok()?, copies).ok()
        })?;
    }
    table::ask(&gateways)
}

/// Starts the sweeper that restores lost copies.
///
/// # Errors
/// If it was not built.
pub(crate) fn start_sweeper(demo: &Demo) -> Result<Companion> {
    let config = screen::short(&demo.layout.live().join("ring.yaml"));
    let envoy = format!("http://{}", demo.envoy.push);
    let args = ["sweep", "--config", &config, "--envoy", &envoy, "--repair"];
    let watch = ["--watch", "1s", "--single", "--listen", "127.0.0.1:0"];
    Companion::start(demo, "This process restores lost copies:", &[&args[..], &watch].concat())
}

/// Kills the owner of most groups, looks, and starts it again without its groups.
///
/// # Errors
/// If a group is gone, or the sweeper does not restore the copies.
pub(crate) fn kill_an_owner(demo: &mut Demo) -> Result<()> {
    let (owner, groups) = busiest(demo)?;
    screen::heading("Kill an owner, and look: nothing is gone");
    screen::step(format_args!("kill pushgateway {owner}, the owner of {}", count(groups, "group")), || {
        demo.fleet.stop(owner);
        Ok(())
    })?;
    let all = format!("http://{}/", demo.envoy.push);
    screen::step(format_args!("{all} has all {}", table::counts()), || {
        table::verdict(&table::ask(&[demo.envoy.push])?, 1)
    })?;
    screen::step("start it again, empty; `pushring sweep --repair` restores its groups", || {
        demo.fleet.start(owner)?;
        wait(demo, 2)
    })?;
    Ok(())
}

/// Returns the owner of most groups of the demo and their number.
fn busiest(demo: &Demo) -> Result<(SocketAddr, usize)> {
    let owners: Vec<SocketAddr> = GROUPS
        .iter()
        .map(|group| {
            let path = group.spellings.first().context("a group without a path")?;
            let key = demo.router.group(path.as_bytes()).context("no push path")?.key;
            let index = demo.router.ring().clockwise(&key).next().context("no members")?;
            let member = demo.router.config().members.get(index).context("no such member")?;
            member.address.parse().with_context(|| member.address.clone())
        })
        .collect::<Result<_>>()?;
    let owned = |owner: &SocketAddr| owners.iter().filter(|other| *other == owner).count();
    let most = owners.iter().copied().max_by_key(owned).context("no groups")?;
    Ok((most, owned(&most)))
}
