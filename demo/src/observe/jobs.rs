//! Jobs as they are in real fleets: crons that run again and again, batches that end with a DELETE, and streams. Their labels
//! need base64, UTF-8 and percent escapes, and some are empty.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use pushring_harness::http::Client;

/// Attempts of a job before it gives a push up, and the pause between them.
const ATTEMPTS: usize = 20;
const RETRY: Duration = Duration::from_secs(1);

/// Paths of crons, each with a group of its own.
const CRONS: [&str; 12] = [
    "/metrics/job/backup/instance/db1",
    "/metrics/job/backup/instance/db2",
    "/metrics/job@base64/YmFja3Vw/instance/db3",
    "/metrics/job/cleanup",
    "/metrics/job/report/team/billing/region/eu",
    "/metrics/job/report/region/us/team/billing",
    "/metrics/job/nightly%20import",
    "/metrics/job/du/path@base64/L3Zhci90bXA",
    "/metrics/job/certificates/host/www.example.com",
    "/metrics/job/rotate/key@base64/=",
    "/metrics/job/weather/city/Z%C3%BCrich",
    "/metrics/job/weather/city@base64/5p2x5Lqs",
];
/// Paths of streams, which push many times a second.
const STREAMS: [&str; 6] = [
    "/metrics/job/ingest/stream/clicks",
    "/metrics/job/ingest/stream/views",
    "/metrics/job/ingest/stream@base64/b3JkZXJzL2V1",
    "/metrics/job/ingest/stream@base64/b3JkZXJzL3Vz/shard/0",
    "/metrics/job/transcode/worker/%C3%B8st-1",
    "/metrics/job/transcode/worker/%C3%B8st-2",
];
/// Batches that run at the same time.
const BATCHES: usize = 4;

/// The jobs; dropping it ends them.
#[derive(Debug)]
pub(crate) struct Jobs {
    stop: Arc<AtomicBool>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    accepted: AtomicU64,
    given_up: AtomicU64,
}

impl Jobs {
    /// Starts them; each uses one of the Envoys.
    pub(crate) fn start(envoys: Vec<SocketAddr>) -> Self {
        let jobs = Self { stop: Arc::default(), counts: Arc::default() };
        let envoy = |index: usize| envoys.get(index % envoys.len().max(1)).copied();
        for (index, path) in CRONS.into_iter().enumerate() {
            jobs.spawn(envoy(index), move |job| {
                job.cron(path, Duration::from_millis(1500 + 130 * index as u64))
            });
        }
        for (index, path) in STREAMS.into_iter().enumerate() {
            jobs.spawn(envoy(index), move |job| job.stream(path, Duration::from_millis(200)));
        }
        for index in 0..BATCHES {
            jobs.spawn(envoy(index), move |job| job.batches(index));
        }
        jobs
    }

    /// Starts one job with a fixed address.
    pub(super) fn stray(address: SocketAddr) -> Self {
        let jobs = Self { stop: Arc::default(), counts: Arc::default() };
        for path in [
            "/metrics/job/stray/instance/a",
            "/metrics/job/stray/instance/b",
            "/metrics/job/stray/instance/c",
        ] {
            jobs.spawn(Some(address), move |job| job.stream(path, Duration::from_millis(300)));
        }
        jobs
    }

    /// Returns the number of accepted pushes, and of those that a job gave up after its retries.
    pub(super) fn counts(&self) -> (u64, u64) {
        let Counts { accepted, given_up } = &*self.counts;
        (accepted.load(Ordering::Relaxed), given_up.load(Ordering::Relaxed))
    }

    fn spawn(&self, envoy: Option<SocketAddr>, run: impl FnOnce(&Job) -> Result<()> + Send + 'static) {
        let Some(envoy) = envoy else { return };
        let (stop, counts) = (Arc::clone(&self.stop), Arc::clone(&self.counts));
        thread::spawn(move || {
            let client = Client::new(envoy)?;
            run(&Job { client, stop, counts })
        });
    }
}

impl Drop for Jobs {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

struct Job {
    client: Client,
    stop: Arc<AtomicBool>,
    counts: Arc<Counts>,
}

impl Job {
    /// A program that cron starts: one PUT with its result.
    fn cron(&self, path: &str, interval: Duration) -> Result<()> {
        for run in 0_u64.. {
            let (now, seconds) = (now(), 1 + run % 7);
            let body = format!(
                "# TYPE job_last_success_timestamp_seconds gauge\njob_last_success_timestamp_seconds {now}\n\
                 # TYPE job_duration_seconds gauge\njob_duration_seconds {seconds}\n\
                 # TYPE job_rows gauge\njob_rows{{table=\"orders\"}} {}\n",
                run * 100
            );
            self.send("PUT", path, &body);
            if self.rest(interval) {
                break;
            }
        }
        Ok(())
    }

    /// A long process that has no endpoint of its own: POST with counters and a histogram.
    fn stream(&self, path: &str, interval: Duration) -> Result<()> {
        for run in 1_u64.. {
            let body = format!(
                "# TYPE stream_records_total counter\nstream_records_total {}\n# TYPE stream_batch_seconds histogram\n\
                 stream_batch_seconds_bucket{{le=\"0.1\"}} {run}\nstream_batch_seconds_bucket{{le=\"+Inf\"}} {run}\n\
                 stream_batch_seconds_sum {}\nstream_batch_seconds_count {run}\n",
                run * 50,
                run as f64 / 20.0
            );
            self.send("POST", path, &body);
            if self.rest(interval) {
                break;
            }
        }
        Ok(())
    }

    /// Batches with a group each: progress, the result, and a DELETE at the end.
    fn batches(&self, worker: usize) -> Result<()> {
        for batch in 0_u64.. {
            let path = format!("/metrics/job/import/batch/{worker}-{batch}/owner@base64/ZGF0YS9ldGw");
            for percent in [10, 50, 100] {
                self.send(
                    "POST",
                    &path,
                    &format!(
                        "# TYPE batch_progress_ratio gauge\nbatch_progress_ratio {}\n",
                        f64::from(percent) / 100.0
                    ),
                );
                if self.rest(Duration::from_millis(1200)) {
                    return Ok(());
                }
            }
            self.send("DELETE", &path, "");
        }
        Ok(())
    }

    /// Pushes, with retries as jobs have them.
    fn send(&self, method: &str, path: &str, body: &str) {
        for attempt in 1..=ATTEMPTS {
            let answer = self.client.send(method, path, &[], body.to_owned());
            if answer.is_ok_and(|answer| matches!(answer.status, 200 | 202)) {
                self.counts.accepted.fetch_add(1, Ordering::Relaxed);
                return;
            }
            if attempt < ATTEMPTS && self.rest(RETRY) {
                return;
            }
        }
        self.counts.given_up.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits; returns whether the job shall end.
    fn rest(&self, time: Duration) -> bool {
        thread::sleep(time);
        self.stop.load(Ordering::Relaxed)
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
