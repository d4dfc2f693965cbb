//! Simulated Pushgateways that answer reads from memory.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use pushring_bench::stand_in::{self, Answer, StandIn};
use pushring_harness::proto::{CONTENT_TYPE, GAUGE, bytes, double, int, message};
use pushring_router::Router;
use serde_json::{Value, json};

/// Number of groups on all gateways, without copies.
pub(crate) const GROUPS: usize = 20_000;
/// Metric families of each group.
pub(crate) const FAMILIES: usize = 5;

/// Simulated gateways, which run until the program ends.
pub(crate) struct Gateways(Vec<(SocketAddr, Arc<Gateway>)>);

struct Gateway {
    start_time: String,
    exposition: OnceLock<Vec<u8>>,
    api: OnceLock<String>,
}

impl Gateways {
    pub(crate) fn start(count: usize) -> Result<Self> {
        let start = |index: usize| {
            let started =
                Timestamp::now() - SignedDuration::from_hours(1) + SignedDuration::from_secs(index as i64);
            let (exposition, api) = (OnceLock::new(), OnceLock::new());
            let gateway = Arc::new(Gateway { start_time: started.to_string(), exposition, api });
            Ok((stand_in::serve(&gateway)?, gateway))
        };
        Ok(Self((0..count).map(start).collect::<Result<_>>()?))
    }

    pub(crate) fn addresses(&self) -> Vec<String> {
        self.0.iter().map(|(address, _)| address.to_string()).collect()
    }

    /// Stores the groups on their owners and, if `mirrored`, on their replicas.
    pub(crate) fn fill(&self, settings: &Value, mirrored: bool) -> Result<()> {
        let router = Router::parse(settings.to_string().as_bytes())?;
        let mut held = vec![Vec::new(); self.0.len()];
        for number in 0..GROUPS {
            let labels = [format!("host{number}.example.org"), format!("job{}", number % 500)];
            let path = format!("/metrics/job/{}/instance/{}", labels[1], labels[0]);
            let key =
                router.group(path.as_bytes()).with_context(|| format!("{path} is not a push path"))?.key;
            for member in router.ring().clockwise(&key).take(if mirrored { 2 } else { 1 }) {
                held[member].push(labels.clone());
            }
        }
        let now = Timestamp::now() - SignedDuration::from_secs(60);
        for ((_, gateway), groups) in self.0.iter().zip(held) {
            gateway.exposition.get_or_init(|| exposition(&groups, now));
            gateway.api.get_or_init(|| api(&groups, now));
        }
        Ok(())
    }
}

fn seconds(time: Timestamp) -> f64 {
    time.as_nanosecond() as f64 / 1e9
}

/// Names and values of the families, of which the last two are the gateway's own.
fn families(time: Timestamp) -> Vec<(String, f64)> {
    let pushed = (0..FAMILIES).map(|number| (format!("metric_number_{number}"), number as f64));
    let own =
        [("push_failure_time_seconds".to_owned(), 0.0), ("push_time_seconds".to_owned(), seconds(time))];
    pushed.chain(own).collect()
}

fn exposition(groups: &[[String; 2]], time: Timestamp) -> Vec<u8> {
    let family = |(name, value): (String, f64)| {
        let metrics = groups.iter().flat_map(|[instance, job]| {
            let label = |name: &str, value: &str| message(1, &[bytes(1, name), bytes(2, value)]);
            message(4, &[label("instance", instance), label("job", job), message(2, &[double(1, value)])])
        });
        let head = [bytes(1, name), bytes(2, "A metric."), int(3, GAUGE)].concat();
        let family: Vec<u8> = head.into_iter().chain(metrics).collect();
        // A field without its key: the length and the family.
        bytes(0, family).split_off(1)
    };
    families(time).into_iter().flat_map(family).collect()
}

fn api(groups: &[[String; 2]], time: Timestamp) -> String {
    let group = |[instance, job]: &[String; 2]| {
        let labels = json!({"instance": instance, "job": job});
        let mut group = json!({"labels": labels, "last_push_successful": true});
        for (name, value) in families(time) {
            let metrics = json!([{"labels": labels, "value": value.to_string()}]);
            group[name] = json!({"time_stamp": time.to_string(), "type": "GAUGE", "help": "A metric.", "metrics": metrics});
        }
        group
    };
    let groups: Vec<Value> = groups.iter().map(group).collect();
    json!({"status": "success", "data": groups}).to_string()
}

impl StandIn for Gateway {
    fn answer(&self, _: &str, path: &str) -> Answer<'_> {
        let (kind, body) = match path {
            "/api/v1/status" => {
                let status = json!({"status": "success", "data": {"start_time": self.start_time}});
                ("application/json", status.to_string().into_bytes().into())
            }
            "/api/v1/metrics" => {
                ("application/json", self.api.get().map_or(&[][..], String::as_bytes).into())
            }
            _ => (CONTENT_TYPE, self.exposition.get().map_or(&[][..], Vec::as_slice).into()),
        };
        Answer { status: 200, kind, body }
    }
}
