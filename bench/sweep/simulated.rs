//! Simulated Pushgateways: they answer the requests of a sweep from memory, in the same form and size.
//!
//! The HTTP server is written by hand: each answer must be one write, because a client delays its acknowledgement of the
//! first of two small ones.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::fleet::{FAMILIES, Fleet, Gateways};

/// Simulated gateways, which run until the program ends.
pub(crate) struct Simulated {
    all: Vec<Arc<Gateway>>,
}

struct Gateway {
    address: SocketAddr,
    start_time: String,
    /// The group of each push path as the API reports it.
    groups: Mutex<BTreeMap<String, String>>,
}

impl Simulated {
    pub(crate) fn start(count: usize) -> Result<Self> {
        let start = |_| {
            let listener = TcpListener::bind("127.0.0.1:0")?;
            let address = listener.local_addr()?;
            let start_time = Timestamp::now().to_string();
            let gateway = Arc::new(Gateway { address, start_time, groups: Mutex::default() });
            let serving = Arc::clone(&gateway);
            thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let gateway = Arc::clone(&serving);
                    thread::spawn(move || gateway.serve(stream));
                }
            });
            Ok(gateway)
        };
        Ok(Self { all: (0..count).map(start).collect::<Result<_>>()? })
    }
}

impl Gateways for Simulated {
    fn addresses(&self) -> Vec<SocketAddr> {
        self.all.iter().map(|gateway| gateway.address).collect()
    }

    fn fill(&self, fleet: &Fleet) -> Result<()> {
        let now = Timestamp::now();
        for (path, owner, former) in &fleet.groups {
            self.all[*owner].put(path, now);
            if let Some(former) = former {
                self.all[*former].put(path, now - SignedDuration::from_hours(1));
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

    fn serve(&self, mut stream: TcpStream) -> Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut line = String::new();
        while reader.read_line(&mut line)? > 0 {
            let request = std::mem::take(&mut line);
            while reader.read_line(&mut line)? > 2 {
                line.clear();
            }
            line.clear();
            let mut words = request.split(' ');
            let (status, body) = self.answer(words.next().unwrap_or(""), words.next().unwrap_or(""));
            let date =
                jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&Timestamp::now())?;
            let length = body.len();
            let answer =
                format!("HTTP/1.1 {status} -\r\ndate: {date}\r\ncontent-length: {length}\r\n\r\n{body}");
            stream.write_all(answer.as_bytes())?;
        }
        Ok(())
    }

    fn answer(&self, method: &str, path: &str) -> (u16, String) {
        match (method, path) {
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
        }
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
