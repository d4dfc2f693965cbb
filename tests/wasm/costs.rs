//! The cost of a push and of a configuration, counted and not timed: instructions, host calls, bytes of memory and of the
//! module. `costs.tsv` has the budgets. The test reports every cost that differs from its budget. A lower cost fails too,
//! so that the budget follows and the gain is not lost again.

use std::fmt::Write as _;
use std::fs;

use pushring_harness::tools;

use crate::host::Vm;
use crate::host_state::Headers;
use crate::vm;

/// Allowed relative difference, because compilers of the same version may order code differently on other machines.
const TOLERANCE: f64 = 0.02;
/// Number of different pushes per case, so that no single hash dominates the result.
const PUSHES: usize = 500;

/// Name, settings in addition to the members, method, path. Each `#` of a path becomes the number of the push.
const REQUESTS: &[(&str, &str, &str, &str)] = &[
    ("job alone", "", "PUT", "/metrics/job/job-#"),
    ("labels", "", "PUT", LABELS),
    ("20 labels", "", "PUT", TWENTY),
    ("base64", "", "PUT", "/metrics/job@base64/YmFja3Vw/instance@base64/ZGIxLmV4YW1wbGU/shard/#"),
    ("percent", "", "PUT", "/metrics/job/nightly%20backup/instance/db#.example.org"),
    ("raw path", r#","route_by":"path""#, "PUT", LABELS),
    ("as dynamic-sharding", r#","route_by":"path","placement":{"type":"dynamic-sharding"}"#, "PUT", LABELS),
    ("endpoint mode", r#","mode":"endpoint""#, "PUT", LABELS),
    ("redirect mode", r#","mode":"redirect""#, "PUT", LABELS),
    ("mirrored DELETE", "", "DELETE", LABELS),
    ("mirrored PUT", r#","mirror":"all""#, "PUT", LABELS),
    ("mirrored PUT, endpoint mode", r#","mode":"endpoint","mirror":"all""#, "PUT", LABELS),
    ("no push", "", "GET", "/api/v1/status"),
];
const LABELS: &str = "/metrics/job/backup/instance/db#.example.org/shard/7/az/eu-1";
const TWENTY: &str =
    "/metrics/job/j#/a/1/b/1/c/1/d/1/e/1/f/1/g/1/h/1/i/1/k/1/l/1/m/1/n/1/o/1/p/1/q/1/r/1/s/1/t/1/u/1";

#[test]
fn costs_are_within_their_budgets() {
    let mut costs = Vec::new();
    for &(name, settings, method, path) in REQUESTS {
        requests(&mut costs, name, &config(10, settings), method, path);
    }
    for (members, points) in [(3, 1024), (100, 1024), (1000, 1024), (100, 4096)] {
        let settings = format!(r#","placement":{{"type":"ring","points":{points}}}"#);
        let name = format!("labels, {members} members of {points} points");
        requests(&mut costs, &name, &config(members, &settings), "PUT", LABELS);
    }
    for members in [3, 10, 100, 1000] {
        configure(&mut costs, members);
    }
    let module = tools::wasm().and_then(|path| Ok(fs::metadata(path)?.len())).expect("the compiled filter");
    costs.push(("module".to_owned(), "bytes", module.to_string()));
    compare(&costs);
}

/// Case, unit, and count. For host calls, their names take the place of the count.
type Cost = (String, &'static str, String);

fn requests(costs: &mut Vec<Cost>, name: &str, config: &str, method: &str, path: &str) {
    let mut vm = vm(config);
    // The first push builds the ring.
    vm.request(headers("PUT", LABELS)).expect("no trap");
    let mut instructions = 0;
    let mut calls = Vec::new();
    for i in 0..PUSHES {
        let path = path.replace('#', &i.to_string());
        let outcome = vm.request(headers(method, &path)).expect("no trap");
        assert!(i == 0 || calls == outcome.calls, "{path}: {:?}, the one before {calls:?}", outcome.calls);
        instructions += outcome.instructions;
        calls = outcome.calls;
    }
    costs.push((name.to_owned(), "instructions", (instructions / PUSHES as u64).to_string()));
    costs.push((name.to_owned(), "host calls", calls.join(" ")));
}

/// Measures the configuration of a new VM, then a reload in which one member joins, each with its first push, which builds
/// the ring. The previous configuration stays in memory until the new one is in force.
fn configure(costs: &mut Vec<Cost>, members: usize) {
    let mut vm = Vm::start().expect("a VM");
    let mut take = |name: String, members| {
        let before = vm.instructions().expect("they are counted");
        assert!(vm.configure(config(members, "").as_bytes()).expect("no trap"));
        let taken = vm.instructions().expect("they are counted") - before;
        costs.push((name.clone(), "instructions", taken.to_string()));
        let instructions = taken + vm.request(headers("PUT", LABELS)).expect("no trap").instructions;
        let name = format!("{name}, first push");
        costs.push((name.clone(), "instructions", instructions.to_string()));
        costs.push((name, "bytes", vm.memory().to_string()));
    };
    take(format!("configure {members} members"), members);
    take(format!("one joins {members} members"), members + 1);
}

/// Compares each cost with its budget.
fn compare(costs: &[Cost]) {
    let budgets = include_str!("costs.tsv");
    let mut now = "case\tunit\tbudget\n".to_owned();
    let mut wrong = String::new();
    for (case, unit, cost) in costs {
        let _ = writeln!(now, "{case}\t{unit}\t{cost}");
        let start = format!("{case}\t{unit}\t");
        let budget = budgets.lines().find_map(|line| line.strip_prefix(&start));
        if let Some(difference) = difference(cost, budget) {
            let _ =
                writeln!(wrong, "  {case}: {cost} {unit}, budget {}: {difference}", budget.unwrap_or("none"));
        }
    }
    if budgets.lines().count() != now.lines().count() {
        wrong.push_str("  costs.tsv has lines that no case measures, or lacks lines\n");
    }
    assert!(
        wrong.is_empty(),
        "costs.tsv is exceeded or out of date:\n{wrong}If the change is intended, replace the file by:\n{now}"
    );
}

fn difference(cost: &str, budget: Option<&str>) -> Option<String> {
    let Some(budget) = budget else { return Some("no such case".to_owned()) };
    let (Ok(cost), Ok(budget)) = (cost.parse::<f64>(), budget.parse::<f64>()) else {
        return (cost != budget).then(|| "different calls".to_owned());
    };
    let part = cost / budget - 1.0;
    (part.abs() > TOLERANCE).then(|| format!("{:+.1} %", part * 100.0))
}

fn config(members: usize, settings: &str) -> String {
    let names: Vec<_> = (0..members).map(|i| format!("\"10.0.{}.{}:9091\"", i / 250, i % 250)).collect();
    format!(r#"{{"members":[{}]{settings}}}"#, names.join(","))
}

/// Returns the headers of a push as the filter sees them, without destination headers of the client.
fn headers(method: &str, path: &str) -> Headers {
    let pairs =
        [(":authority", "push.example.org"), (":method", method), (":path", path), ("content-length", "90")];
    pairs.map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).to_vec()
}

/// Every worker of every Envoy compiles the module, so its size is limited.
#[test]
fn the_module_is_small() {
    const MAX_MODULE_BYTES: u64 = 320 * 1024;
    let path = tools::wasm().expect("the compiled filter");
    let size = fs::metadata(path).expect("its size").len();
    assert!(size <= MAX_MODULE_BYTES, "{size} bytes, allowed {MAX_MODULE_BYTES}");
}
