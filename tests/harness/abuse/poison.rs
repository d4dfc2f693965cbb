//! Pushes that spoil a gateway for others: those that Pushgateway accepts are deleted again, as an operator would.

use std::net::SocketAddr;

use anyhow::{Result, bail};
use fastrand::Rng;

use crate::http::Client;
use crate::proto::{self, CONTENT_TYPE, GAUGE, HISTOGRAM, gauge, one};

/// Tries to delete a group while gateways end and Envoy sheds load.
const TRIES: usize = 100;

/// Pushes one kind of poison and deletes its group.
pub(super) fn send(envoy: SocketAddr, random: &mut Rng) -> Result<()> {
    let number = random.u32(..8);
    let plain = format!("/metrics/job/poison{number}");
    let text = |body: &[u8]| (plain.clone(), "text/plain", body.to_vec());
    let (path, content_type, body) = match random.u32(..9) {
        0 => (format!("{plain}/instance@base64/="), "text/plain", b"x 1\n".to_vec()),
        1 => text(b"# HELP h \xff\xfe\n# TYPE h counter\nh 1\n"),
        2 => (format!("/metrics/job/%ff{number}"), "text/plain", b"x 1\n".to_vec()),
        3 => text(b"x{a=\"1\",a=\"2\"} 1\n"),
        4 => text(b"x 1 123\npush_time_seconds 1\n"),
        5 => text(if random.bool() { b"# TYPE c counter\nc 1\n" } else { b"# TYPE c gauge\nc 1\n" }),
        6 => (plain.clone(), CONTENT_TYPE, one(b"n\xff", GAUGE, &[gauge(1.0)])),
        7 => (plain.clone(), CONTENT_TYPE, one(b"unknown_type", 9, &[gauge(1.0)])),
        _ => (plain.clone(), CONTENT_TYPE, one(b"native", HISTOGRAM, &[native_histogram()])),
    };
    let client = Client::new(envoy)?;
    client.send("PUT", &path, &[("content-type", content_type)], body)?;
    for _ in 0..TRIES {
        if client.delete(&path).is_ok_and(|answer| matches!(answer.status, 200..=299 | 400)) {
            return Ok(());
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    bail!("{path} cannot be deleted")
}

/// Schema 100, where 8 is the largest that client_golang knows: its API handler panics.
fn native_histogram() -> Vec<u8> {
    proto::native(100, &[(0, 1)], &[1])
}
