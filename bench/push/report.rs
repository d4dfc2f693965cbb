//! Tables, progress, and the files in bench/results/.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use comfy_table::{Table, presets::ASCII_MARKDOWN};
use indicatif::{ProgressBar, ProgressStyle};
use pushring_tests::tools;
use serde::Serialize;
use serde_json::json;

pub(crate) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN).set_header(header);
    table
}

pub(crate) fn progress(what: &'static str, length: usize) -> Result<ProgressBar> {
    let style = ProgressStyle::with_template("{msg} [{wide_bar}] {pos}/{len}, {eta} left")?;
    Ok(ProgressBar::new(length as u64).with_style(style).with_message(what))
}

/// Writes results with the machine that they were measured on.
pub(crate) fn write(name: &str, results: impl Serialize) -> Result<()> {
    // This thread may use one core only; the machine has more.
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cores = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
    let model = cpuinfo
        .lines()
        .find_map(|line| Some(line.strip_prefix("model name")?.trim_start_matches([' ', '\t', ':'])));
    let load = fs::read_to_string("/proc/loadavg").context("/proc/loadavg")?;
    let document = json!({
        "machine": {"cpu": model, "cores": cores, "load_average_after": load.trim()},
        "results": serde_json::to_value(results)?,
    });
    write_text(name, &(serde_json::to_string_pretty(&document)? + "\n"))
}

pub(crate) fn write_text(name: &str, text: &str) -> Result<()> {
    let path = folder().join(name);
    fs::create_dir_all(folder())?;
    fs::write(&path, text).with_context(|| path.display().to_string())?;
    println!("bench/results/{name} written");
    Ok(())
}

fn folder() -> PathBuf {
    tools::repository().join("bench/results")
}
