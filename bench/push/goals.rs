//! The goals, and what this run found of them.

use crate::report;
use crate::scaling::Growth;
use crate::stats::Median;
use crate::summary::Line;

/// What a goal is about, what was found, the most that is allowed.
struct Goal {
    what: &'static str,
    found: Median,
    digits: usize,
    most: f64,
    met: bool,
}

/// Prints all goals that this run has measured; a goal is judged by the median.
pub(crate) fn show(lines: &[Line], growth: Option<&Growth>) {
    let goals: Vec<Goal> = pushes(lines).into_iter().chain(growth.into_iter().flat_map(reloads)).collect();
    if goals.is_empty() {
        return;
    }
    let mut table = report::table(&["goal", "found (95 % interval)", "allowed", ""]);
    for goal in &goals {
        let digits = goal.digits;
        table.add_row([
            goal.what.to_owned(),
            goal.found.text(digits),
            format!("{:.digits$}", goal.most),
            if goal.met { "met" } else { "missed" }.to_owned(),
        ]);
    }
    println!("Goals\n{table}");
}

/// None where nothing was found.
fn at_most(what: &'static str, found: Option<Median>, most: f64, digits: usize) -> Option<Goal> {
    let found = found?;
    Some(Goal { what, found, digits, most, met: found.median <= most })
}

fn pushes(lines: &[Line]) -> Vec<Goal> {
    let line = |variant: &str| lines.iter().find(|line| line.variant == variant && line.body == "90 B");
    let ten = line("pushring cluster, 10");
    let hundred = line("pushring cluster, 100");
    let floor = ten.and_then(|line| line.times_floor);
    let over_floor = at_most("cluster mode, 10 members, over the no-op filter: at most", floor, 1.05, 3);
    let no_worse = floor.and_then(|floor| {
        let found = hundred?.times_floor;
        at_most("the same with 100 members: no worse than with 10", found, floor.median, 3)
    });
    let lua = ten.and_then(|line| line.times_lua);
    let below_lua = lua.map(|found| Goal {
        what: "cluster mode, 10 members, over Lua: below",
        found,
        digits: 3,
        most: 1.0,
        met: found.median < 1.0,
    });
    [over_floor, no_worse, below_lua].into_iter().flatten().collect()
}

fn reloads(growth: &Growth) -> Vec<Goal> {
    let reload = |members| {
        let mut points = growth.points.iter();
        points.find(|point| point.axis == "members" && point.value == members)?.reload_worker_ms
    };
    let goals = [
        at_most("configure of 100 members on a worker, ms: at most", reload(100), 5.0, 1),
        at_most("configure of 1000 members on a worker, ms: at most", reload(1000), 60.0, 1),
        at_most("p99 of pushes during reloads over p99 without: at most", growth.reloading.ratio_p99, 1.5, 2),
    ];
    goals.into_iter().flatten().collect()
}
