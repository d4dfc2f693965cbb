//! The goals for the cost of a push and of a reload.

use pushring_bench::table;

use crate::scaling::Scaling;
use crate::summary::Line;

/// Prints all goals that this run has measured. The median decides whether a goal is met.
pub(crate) fn show(lines: &[Line], scaling: Option<&Scaling>) {
    let line = |variant: &str| lines.iter().find(|line| line.variant == variant && line.body == "90 B");
    let (ten, hundred) = (line("pushring cluster, 10"), line("pushring cluster, 100"));
    let floor = ten.and_then(|line| line.times_floor);
    let reload = |members: usize| {
        let mut points = scaling?.points.iter();
        points.find(|point| point.axis == "members" && point.value == members)?.reload_worker_ms
    };
    let p99 = scaling.and_then(|scaling| scaling.reloading.ratio_p99);
    let goals = [
        ("CPU time with 10 members over the no-op filter", floor, Some(1.05)),
        (
            "with 100 members over the no-op filter; limit: the same with 10",
            hundred.and_then(|line| line.times_floor),
            floor.map(|floor| floor.median),
        ),
        ("with 10 members over Lua by group", ten.and_then(|line| line.times_lua), Some(1.0)),
        ("reload of 100 members on the worker, ms", reload(100), Some(5.0)),
        ("reload of 1000 members on the worker, ms", reload(1000), Some(60.0)),
        ("p99 with a reload of 100 members over p99 without", p99, Some(1.5)),
    ];
    let mut table = table(&["goal", "result (95 % interval)", "at most", ""]);
    for (name, result, limit) in goals {
        let (Some(result), Some(limit)) = (result, limit) else { continue };
        let met = if result.median <= limit { "met" } else { "missed" };
        table.add_row([name.to_owned(), result.text(3), format!("{limit:.3}"), met.to_owned()]);
    }
    if !table.is_empty() {
        println!("Goals\n{table}");
    }
}
