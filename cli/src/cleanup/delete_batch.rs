//! Deleting groups from gateways, batch by batch.
//!
//! A Pushgateway has no conditional delete: between reading a group and deleting it a push can come. What can be done is
//! to keep that time short. So right before a batch is acted upon, the guard is asked and then all gateways that it rests
//! on are read again, and a deletion is sent within [`DECISION_MAX`] of the guard's answer. What changed since the survey
//! is left to the next run.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

use anyhow::ensure;
use serde::Serialize;
use serde::de::IgnoredAny;

use crate::cleanup::guard::Guard;
use crate::cleanup::superseded::superseded;
use crate::fleet::survey::{Contents, Survey};
use crate::gateway::api::{Group, Labels};
use crate::gateway::client::Gateway;
use crate::gateway::pool::Gateways;
use crate::gateway::push_times::Mark;
use crate::gateway::push_times::Marks;

/// The oldest that a decision may be when the deletion is sent.
pub const DECISION_MAX: Duration = Duration::from_secs(1);

/// A gateway whose API takes longer than this is read again by its exposition, which is several times faster but tells
/// only whether a group changed.
const API_MAX: Duration = Duration::from_millis(300);

/// Gateways that removals are sorted by. A batch of two blocks, where every group may have moved from any of them to any
/// other, is read in a fraction of [`DECISION_MAX`], and enough of it can be deleted in the rest.
const BLOCK: usize = 12;

/// A group to delete from one gateway.
#[derive(Clone, Debug)]
pub struct Removal<'s> {
    /// Index of the gateway in the survey.
    pub on: usize,
    /// As the survey found it there.
    pub group: &'s Group<IgnoredAny>,
    /// Its push path.
    pub path: String,
    /// The gateway that must hold every family of it, newer; index in the survey. `None`: it goes whatever others hold.
    pub owner: Option<usize>,
}

impl Removal<'_> {
    /// The gateways that the decision rests on.
    fn resting(&self) -> impl Iterator<Item = usize> {
        [Some(self.on), self.owner].into_iter().flatten()
    }
}

/// What became of a removal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// The gateway took the deletion.
    Deleted,
    /// It changed, or could not be told again, or acting was not safe any more. The reason.
    Kept(String),
    /// The gateway refused the deletion or did not answer: it may or may not have taken it. The reason.
    Failed(String),
}

/// What a gateway tells when it is read again, or why it does not.
type Reread = Result<Seen, String>;

enum Seen {
    Api(HashMap<Labels, Group<IgnoredAny>>),
    Marks(Marks),
}

/// Deletes what may still go. The fates are in the order of the removals; `done` is called with the number of those
/// decided so far.
pub fn remove(
    gateways: &Gateways,
    survey: &Survey,
    removals: &[Removal<'_>],
    guard: &Guard,
    done: impl Fn(usize),
) -> Vec<Fate> {
    let mut fates: Vec<Option<Fate>> = vec![None; removals.len()];
    // Neighbours rest on the same gateways: those of one block, or of two.
    let mut left: Vec<usize> = (0..removals.len()).collect();
    left.sort_by_key(|&index| {
        let (owner, on) = (removals[index].owner, removals[index].on);
        (owner.map(|owner| owner / BLOCK), on / BLOCK, owner, on)
    });
    let mut limit = 2 * BLOCK;
    while !left.is_empty() {
        if let Err(error) = guard.check() {
            let reason = format!("{error:#}");
            left.drain(..).for_each(|index| fates[index] = Some(Fate::Kept(reason.clone())));
            break;
        }
        let safe = Instant::now();
        let (batch, involved) = take(&left, removals, limit);
        let wanted: HashSet<&Labels> = batch.iter().map(|&index| &removals[index].group.labels).collect();
        let read = gateways.each(&involved, |&index| reread(survey, index, &wanted));
        let read: HashMap<usize, Reread> = involved.iter().copied().zip(read).collect();
        let decided = gateways.each(&batch, |&index| decide(survey, &removals[index], &read, safe));
        let mut acted = false;
        for (&index, fate) in batch.iter().zip(decided) {
            acted |= fate.is_some();
            fates[index] = fate;
        }
        if !acted && limit > 2 {
            limit = (involved.len() / 2).max(2);
        } else if !acted {
            let reason = "its gateways take longer than a second to be read again".to_owned();
            batch.iter().for_each(|&index| fates[index] = Some(Fate::Kept(reason.clone())));
        }
        left.retain(|&index| fates[index].is_none());
        done(removals.len() - left.len());
    }
    fates.into_iter().flatten().collect()
}

/// The first removals of `left` that together rest on at most `limit` gateways, and these gateways.
fn take(left: &[usize], removals: &[Removal<'_>], limit: usize) -> (Vec<usize>, Vec<usize>) {
    let mut involved = BTreeSet::new();
    let mut batch = Vec::new();
    for &index in left {
        let more: BTreeSet<usize> =
            removals[index].resting().filter(|gateway| !involved.contains(gateway)).collect();
        if involved.len() + more.len() > limit {
            break;
        }
        involved.extend(more);
        batch.push(index);
    }
    (batch, involved.into_iter().collect())
}

fn reread(survey: &Survey, index: usize, wanted: &HashSet<&Labels>) -> Reread {
    let reading = &survey.gateways[index];
    match &reading.contents {
        Ok(contents) => see(&reading.gateway, contents, wanted)
            .map_err(|error| format!("{} cannot be read again: {error:#}", reading.gateway.name())),
        Err(reason) => Err(reason.clone()),
    }
}

fn see(gateway: &Gateway, before: &Contents, wanted: &HashSet<&Labels>) -> anyhow::Result<Seen> {
    let status = gateway.status()?;
    ensure!(status.start_time == before.status.start_time, "it was started anew meanwhile");
    // All comparisons and ages of the survey rest on it.
    ensure!(status.clock.goes_as(&before.status.clock), "its clock or this machine's was set meanwhile");
    if before.took > API_MAX {
        return Ok(Seen::Marks(gateway.marks()?));
    }
    let groups = gateway.groups()?.into_iter();
    let groups = groups.filter(|group| group.doubt.is_none() && wanted.contains(&group.labels));
    Ok(Seen::Api(groups.map(|group| (group.labels.clone(), group)).collect()))
}

/// `None`: it is too long since it was `safe`, and since the gateways were read after that: all has to be asked again.
fn decide(
    survey: &Survey,
    removal: &Removal<'_>,
    read: &HashMap<usize, Reread>,
    safe: Instant,
) -> Option<Fate> {
    if let Err(reason) = still_so(survey, removal, read) {
        return Some(Fate::Kept(reason));
    }
    if safe.elapsed() >= DECISION_MAX {
        return None;
    }
    Some(match survey.gateways[removal.on].gateway.delete(&removal.path) {
        Ok(()) => Fate::Deleted,
        Err(error) => Fate::Failed(format!("{error:#}")),
    })
}

fn still_so(survey: &Survey, removal: &Removal<'_>, read: &HashMap<usize, Reread>) -> Result<(), String> {
    let seen = |index: usize| match read.get(&index) {
        Some(Ok(seen)) => Ok(seen),
        Some(Err(reason)) => Err(reason.clone()),
        None => Err("not read again".to_owned()),
    };
    let labels = &removal.group.labels;
    let unchanged = |seen: &Seen, before: Option<Mark>| before.is_some() && seen.mark(labels) == before;
    if !unchanged(seen(removal.on)?, Mark::of(removal.group)) {
        return Err("it changed meanwhile: left to the next run".to_owned());
    }
    let Some(owner) = removal.owner else { return Ok(()) };
    let (copy_at, owner_at) = (survey.gateways[removal.on].known()?, survey.gateways[owner].known()?);
    match seen(owner)? {
        // A group that is pushed all the time never stays as it was surveyed: it is judged anew.
        Seen::Api(groups) => {
            let owned = groups.get(labels).map(|group| (group, &owner_at.status.clock));
            superseded((removal.group, &copy_at.status.clock), owned).map_err(|kept| kept.to_string())
        }
        marks => {
            let before = owner_at.find(labels).and_then(Mark::of);
            let same = unchanged(marks, before);
            if same {
                Ok(())
            } else {
                Err("it changed at its owner meanwhile: left to the next run".to_owned())
            }
        }
    }
}

impl Seen {
    fn mark(&self, labels: &Labels) -> Option<Mark> {
        match self {
            Self::Api(groups) => groups.get(labels).and_then(Mark::of),
            Self::Marks(marks) => marks.get(labels),
        }
    }
}
