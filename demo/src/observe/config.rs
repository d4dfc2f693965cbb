//! The files of monitoring/ with the addresses of this fleet, and with shorter times: nothing else differs.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result};
use pushring_harness::tools;
use regex::{Captures, Regex};
use serde_json::{Value, json};

/// Works with every registry, and with a Prometheus that was built without the service discoveries of clouds.
const SCRAPES: &str = "prometheus-file.yml";
/// The job of this name is in another file: it scrapes all groups a second time.
pub(super) const SERVE: &str = "pushring-serve";

/// Targets of a job in the scrape configuration.
pub(super) type Targets<'a> = (&'a str, Vec<SocketAddr>);

/// Reads a file of monitoring/ with all its times divided by `speed`.
pub(super) fn shipped(file: &str, speed: u64) -> Result<String> {
    let path = tools::repository().join("monitoring").join(file);
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    faster(&text, speed)
}

/// Divides the times of fields and the ranges of expressions.
fn faster(text: &str, speed: u64) -> Result<String> {
    let times = Regex::new(
        r"(?P<before>(?:for|keep_firing_for|interval|\w+_interval|group_wait): |\[|\[\w+:)(?P<number>\d+)(?P<unit>[smhd])\b",
    )?;
    let shorten = |text: &str| {
        let shorter = times.replace_all(text, |found: &Captures<'_>| {
            let unit: u64 = match &found["unit"] {
                "s" => 1_000,
                "m" => 60_000,
                "h" => 3_600_000,
                _ => 86_400_000,
            };
            let milliseconds = found["number"].parse::<u64>().unwrap_or_default() * unit / speed;
            format!("{}{milliseconds}ms", &found["before"])
        });
        shorter.into_owned()
    };
    // The second time is for the step in [1d:1m].
    Ok(shorten(&shorten(text)))
}

/// Returns the scrape configuration for these addresses, with the gateways in the file that `discover` writes.
pub(super) fn prometheus(
    speed: u64,
    targets_file: &Path,
    alertmanager: SocketAddr,
    targets: &[Targets<'_>],
) -> Result<Value> {
    let text = shipped(SCRAPES, speed)?
        .replace("/etc/prometheus/pushgateways.json", &targets_file.display().to_string());
    let mut config: Value = serde_saphyr::from_str(&text).context(SCRAPES)?;
    config["alerting"]["alertmanagers"] = json!([{"static_configs": [{"targets": [alertmanager]}]}]);
    let jobs = config["scrape_configs"].as_array_mut().context("no scrape_configs")?;
    jobs.push(serve_job(speed)?);
    for (name, addresses) in targets {
        let targets = json!([{"targets": addresses}]);
        match jobs.iter_mut().find(|job| job["job_name"] == *name) {
            Some(job) => job["static_configs"] = targets,
            None => jobs.push(json!({"job_name": name, "static_configs": targets})),
        }
    }
    Ok(config)
}

/// Returns the job of `pushring serve` without the groups, which come from each gateway.
fn serve_job(speed: u64) -> Result<Value> {
    let text = shipped("prometheus-serve.yml", speed)?;
    let mut config: Value = serde_saphyr::from_str(&text).context("prometheus-serve.yml")?;
    let jobs = config["scrape_configs"].as_array_mut().context("no scrape_configs")?;
    let mut job = jobs.drain(..).find(|job| job["job_name"] == SERVE).context("no job pushring-serve")?;
    job["metric_relabel_configs"] =
        json!([{"source_labels": ["__name__"], "regex": "pushring_serve_.+", "action": "keep"}]);
    Ok(job)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divides_times_and_nothing_else() {
        let faster = |text| faster(text, 15).unwrap();
        assert_eq!(
            faster("    for: 5m\n  scrape_interval: 15s"),
            "    for: 20000ms\n  scrape_interval: 1000ms"
        );
        assert_eq!(faster("max_over_time(a[1d:1m]) > 120"), "max_over_time(a[5760000ms:4000ms]) > 120");
        assert_eq!(faster("rate(a[5m]) # of 5m"), "rate(a[20000ms]) # of 5m");
    }

    #[test]
    fn every_shipped_job_gets_targets() {
        let at: SocketAddr = ([127, 0, 0, 9], 1).into();
        let jobs = ["envoy", "pushring-discover", "pushring-sweep", "pushring-register", "node", SERVE];
        let targets: Vec<Targets<'_>> = jobs.iter().map(|job| (*job, vec![at])).collect();
        let config = prometheus(15, Path::new("/x/t.json"), at, &targets).unwrap();
        let text = config.to_string();
        assert!(!text.contains("10.0.") && !text.contains("/etc/") && !text.contains("127.0.0.1"), "{text}");
        assert_eq!(config["global"]["scrape_interval"], "1000ms");
    }
}
