//! Tables, progress bars, the result files in `bench/results/` and the server of simulated gateways, shared by the programs.

pub mod stand_in;

use std::fs;

use anyhow::{Context, Result};
use comfy_table::{Table, presets::ASCII_MARKDOWN};
use indicatif::{ProgressBar, ProgressStyle};
use pushring_harness::tools;
use serde::Serialize;
use serde_json::{Value, json};

/// Significant digits of a number in a result file; no measurement here is more precise.
const DIGITS: i32 = 4;

/// Returns an empty Markdown table.
#[must_use]
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN).set_header(header);
    table
}

/// Shows a progress bar of `length` steps.
#[must_use]
pub fn progress(message: &'static str, length: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:32} [{wide_bar}] {pos}/{len}, {eta} left");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length as u64).with_style(style).with_message(message)
}

/// Writes `bench/results/<name>.json`: the machine, then the results, one line for each element of `results`.
///
/// # Errors
/// When the file cannot be written.
pub fn write(name: &str, results: &[impl Serialize]) -> Result<()> {
    let lines = results.iter().map(|result| {
        let mut value = serde_json::to_value(result)?;
        round(&mut value);
        Ok(value.to_string())
    });
    let lines = lines.collect::<Result<Vec<_>>>()?.join(",\n");
    let path = tools::repository().join(format!("bench/results/{name}.json"));
    let text = format!("{{\"machine\": {},\n\"results\": [\n{lines}\n]}}\n", machine()?);
    fs::write(&path, text).with_context(|| path.display().to_string())?;
    println!("Wrote {}", path.display());
    Ok(())
}

/// The machine of this run. The thread that asks may be pinned to one core, so the kernel's list counts.
fn machine() -> Result<Value> {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").context("/proc/cpuinfo")?;
    let values = |name| cpuinfo.lines().filter_map(move |line| line.strip_prefix(name)?.split_once(": "));
    let load = fs::read_to_string("/proc/loadavg").context("/proc/loadavg")?;
    Ok(json!({
        "cpu": values("model name").next().map(|(_, model)| model),
        "cores": values("processor").count(),
        "load_average_after": load.trim(),
    }))
}

/// Rounds every number that is not whole to [`DIGITS`] significant digits.
fn round(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(round),
        Value::Object(fields) => fields.values_mut().for_each(round),
        Value::Number(number) => {
            if let Some(float) = number.as_f64().filter(|_| number.is_f64()) {
                let decimals = DIGITS - 1 - float.abs().log10().floor().max(-9.0) as i32;
                let factor = 10_f64.powi(decimals);
                *value = json!((float * factor).round() / factor);
            }
        }
        _ => {}
    }
}
