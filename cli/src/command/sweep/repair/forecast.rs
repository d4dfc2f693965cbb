//! `--dry-run`: the result of a repair, without one.

use std::collections::HashMap;
use std::thread;

use super::Repair;
use super::decide::Step;
use super::place::Group;
use super::readings::Cache;
use super::report::Line;
use super::restored::RestoredFamilies;
use super::task::{case, tasks};

/// Returns what a repair would report, if nothing changed. If a push may be in flight, it reads the gateways again later.
pub(super) fn forecast(run: &Repair<'_>, mut cache: Cache) -> Vec<Line> {
    let tasks = tasks(run, &cache);
    let pause = tasks.iter().map(|task| task.due.duration_since(task.seen)).max().unwrap_or_default();
    if !pause.is_zero() {
        thread::sleep(pause);
        cache = Cache::read(run);
    }
    let mut sightings: HashMap<_, _> =
        tasks.into_iter().map(|task| (task.group.labels.clone(), task.sightings)).collect();
    let readings = cache.as_read();
    let line = |group: Group| {
        let mut seen = sightings.remove(&group.labels).unwrap_or_default();
        let case = case(run, &group, &readings, [true, false]);
        match case.decide(&mut RestoredFamilies::new(), &mut seen) {
            Step::Send(copy) => Some(Line::sent(&group, copy, &cache)),
            Step::Keep(difference) => Some(Line::kept(&group, difference, &cache)),
            Step::Whole | Step::Reread | Step::Wait => None,
        }
    };
    cache.groups(run).into_iter().filter_map(line).collect()
}
