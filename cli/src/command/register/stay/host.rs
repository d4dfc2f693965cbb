//! Metrics of the machine, with the names of OpenTelemetry's semantic conventions for system metrics
//! (<https://opentelemetry.io/docs/specs/semconv/system/system-metrics/>; `system.processes.count` as in the Collector's
//! hostmetrics receiver) in the form that its Prometheus exporters give them: `_` for `.`, and the unit at the end.

use std::thread;
use std::time::Duration;

use anyhow::Context;
use metrics::{describe_gauge, gauge};
use sysinfo::{ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System};

const CPUS: &str = "system_cpu_logical_count";
const CPU: &str = "system_cpu_utilization_ratio";
const MEMORY: &str = "system_memory_usage_bytes";
const MEMORY_LIMIT: &str = "system_memory_limit_bytes";
const PROCESSES: &str = "system_processes_count";

/// Interval between two readings; the utilization is that of the time between them.
const INTERVAL: Duration = Duration::from_secs(10);
/// The values of the attribute `process.status`.
const STATUSES: [&str; 4] = ["running", "sleeping", "stopped", "defunct"];

/// Updates the metrics in a thread of its own.
pub(super) fn start() -> anyhow::Result<()> {
    describe_gauge!(CPUS, "Number of logical CPUs.");
    describe_gauge!(CPU, "Share of the time in which the CPUs of the machine were busy, 0 to 1.");
    describe_gauge!(MEMORY, "Memory by state: used, and free for programs, caches included.");
    describe_gauge!(MEMORY_LIMIT, "Memory of the machine.");
    describe_gauge!(PROCESSES, "Processes by status: running, sleeping, stopped, defunct.");
    let mut system = System::new().context("--host-metrics")?;
    system.refresh_cpu_usage();
    thread::Builder::new().name("host".to_owned()).spawn(move || {
        thread::sleep(sysinfo::MINIMUM_CPU_UPDATE_INTERVAL);
        loop {
            update(&mut system);
            thread::sleep(INTERVAL);
        }
    })?;
    Ok(())
}

fn update(system: &mut System) {
    system.refresh_cpu_usage();
    gauge!(CPUS).set(system.cpus().len() as f64);
    gauge!(CPU).set(f64::from(system.global_cpu_usage()) / 100.0);
    system.refresh_memory();
    let (total, free) = (system.total_memory(), system.available_memory());
    gauge!(MEMORY_LIMIT).set(total as f64);
    gauge!(MEMORY, "state" => "used").set(total.saturating_sub(free) as f64);
    gauge!(MEMORY, "state" => "free").set(free as f64);
    let only_status = ProcessRefreshKind::nothing().without_tasks();
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, only_status);
    for status in STATUSES {
        let count = system.processes().values().filter(|process| word(process.status()) == status).count();
        gauge!(PROCESSES, "status" => status).set(count as f64);
    }
}

fn word(status: ProcessStatus) -> &'static str {
    match status {
        ProcessStatus::Run | ProcessStatus::Waking => "running",
        ProcessStatus::Stop | ProcessStatus::Tracing => "stopped",
        ProcessStatus::Zombie | ProcessStatus::Dead => "defunct",
        _ => "sleeping",
    }
}
