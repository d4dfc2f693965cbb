//! Simulated Pushgateways: they answer the requests of a sweep from memory, in the same form and size.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use pushring_bench::stand_in::{self, Answer, StandIn};
use serde_json::{Value, json};

use crate::fleet::{FAMILIES, Fleet, Gateways};

/// Simulated gateways, which run until the program ends.
pub(crate) struct Simulated {
    all: Vec<(SocketAddr, Arc<Gateway>)>,
}

struct Gateway {
    start_time: String,
    /// The group of each push path as the API reports it.
    groups: Mutex<BTreeMap<String, String>>,
}

impl Simulated {
    pub(crate) fn start(count: usize) -> Result<Self> {
        let start = |_| {
            let start_time = Timestamp::now().to_string();
            let gateway = Arc::new(Gateway { start_time, groups: Mutex::default() });
            Ok((stand_in::serve(&gateway)?, gateway))
        };
        Ok(Self { all: (0..count).map(start).collect::<Result<_>>()? })
    }
}

impl Gateways for Simulated {
    fn addresses(&self) -> Vec<SocketAddr> {
        self.all.iter().map(|(address, _)| *address).collect()
    }

    fn fill(&self, fleet: &Fleet) -> Result<()> {
        let now = Timestamp::now();
        for (path, owner, former) in &fleet.groups {
            self.all[*owner].1.put(path, now);
            if let Some(former) = former {
                self.all[*former].1.put(path, now - SignedDuration::from_hours(1));
            }
        }
        Ok(())
    }
}

impl Gateway {
    fn put(&self, path: &str, time: Timestamp) {
        let parts: Vec<&str> = path.split('/').skip(2).collect();
        let labels: Value =
            parts.chunks_exact(2).map(|pair| (pair[0].to_owned(), Value::from(pair[1]))).collect();
        let family = |value: String| json!({"time_stamp": time.to_string(), "type": "GAUGE", "help": "A metric.", "metrics": [{"labels": labels, "value": value}]});
        let mut group = json!({"labels": labels, "last_push_successful": true});
        for number in 0..FAMILIES {
            group[format!("metric_number_{number}")] = family(number.to_string());
        }
        group["push_time_seconds"] = family((time.as_nanosecond() as f64 / 1e9).to_string());
        group["push_failure_time_seconds"] = family("0".to_owned());
        lock(&self.groups).insert(path.to_owned(), group.to_string());
    }
}

impl StandIn for Gateway {
    fn answer(&self, method: &str, path: &str) -> Answer<'_> {
        let (status, body) = match (method, path) {
            ("GET", "/api/v1/status") => {
                (200, json!({"status": "success", "data": {"start_time": self.start_time}}).to_string())
            }
            ("GET", "/api/v1/metrics") => {
                let groups: Vec<String> = lock(&self.groups).values().cloned().collect();
                (200, format!(r#"{{"status":"success","data":[{}]}}"#, groups.join(",")))
            }
            ("DELETE", _) => {
                lock(&self.groups).remove(&plain(path));
                (202, String::new())
            }
            _ => (404, String::new()),
        };
        Answer { status, kind: "application/json", body: body.into_bytes().into() }
    }
}

/// Converts the base64 spelling of a path to the plain one under which the group is stored.
fn plain(path: &str) -> String {
    use base64::Engine;
    let decode = |value: &str| {
        let bytes = base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(value).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let parts: Vec<&str> = path.split('/').skip(2).collect();
    let pairs = parts
        .chunks_exact(2)
        .map(|pair| format!("/{}/{}", pair[0].trim_end_matches("@base64"), decode(pair[1])));
    format!("/metrics{}", pairs.collect::<String>())
}

fn lock(groups: &Mutex<BTreeMap<String, String>>) -> std::sync::MutexGuard<'_, BTreeMap<String, String>> {
    groups.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
