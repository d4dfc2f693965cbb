//! Startup, readiness and liveness probes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{list, text};

/// A busy machine must not fail a probe.
const MIN_TIMEOUT: Duration = Duration::from_secs(10);

/// A probe of a container.
pub(crate) struct Probe {
    spec: Value,
    next: Instant,
    failures: u64,
    successes: u64,
}

/// The meaning of a series of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Success,
    Failure,
}

impl Probe {
    /// Returns a probe of a container that starts now; `None` if it has none.
    pub(crate) fn new(spec: &Value) -> Option<Self> {
        if spec.is_null() {
            return None;
        }
        let delay = Duration::from_secs(spec["initialDelaySeconds"].as_u64().unwrap_or(0));
        Some(Self { spec: spec.clone(), next: Instant::now() + delay, failures: 0, successes: 0 })
    }

    /// Probes if it is time to; returns a verdict when enough answers in a row were the same.
    pub(crate) fn run(&mut self, ip: &str, container: &Value) -> Result<Option<Verdict>> {
        if Instant::now() < self.next {
            return Ok(None);
        }
        let setting = |name: &str, default| self.spec[name].as_u64().unwrap_or(default);
        let (wanted, allowed) = (setting("successThreshold", 1), setting("failureThreshold", 3));
        let timeout = MIN_TIMEOUT.max(Duration::from_secs(setting("timeoutSeconds", 1)));
        let period = Duration::from_secs(setting("periodSeconds", 10));
        let good = ask(&self.spec, ip, container, timeout)?;
        self.next = Instant::now() + period;
        (self.successes, self.failures) = if good { (self.successes + 1, 0) } else { (0, self.failures + 1) };
        Ok(match (self.successes, self.failures) {
            (successes, _) if successes >= wanted => Some(Verdict::Success),
            (_, failures) if failures >= allowed => Some(Verdict::Failure),
            _ => None,
        })
    }
}

/// Sends `httpGet` or connects by `tcpSocket`; returns whether it was good.
pub(crate) fn ask(spec: &Value, ip: &str, container: &Value, timeout: Duration) -> Result<bool> {
    if !spec["tcpSocket"].is_null() {
        let address = address(&spec["tcpSocket"]["port"], ip, container)?;
        return Ok(TcpStream::connect_timeout(&address, timeout).is_ok());
    }
    let get = &spec["httpGet"];
    if get.is_null() || get["scheme"].as_str().is_some_and(|scheme| scheme != "HTTP") {
        bail!("not supported: probe {spec}");
    }
    let address = address(&get["port"], ip, container)?;
    let mut request =
        format!("GET {} HTTP/1.1\r\nConnection: close\r\n", get["path"].as_str().unwrap_or("/"));
    let mut host = address.to_string();
    for header in list(&get["httpHeaders"]) {
        let (name, value) = (text(&header["name"]), text(&header["value"]));
        if name.eq_ignore_ascii_case("host") {
            host = value;
        } else {
            request += &format!("{name}: {value}\r\n");
        }
    }
    let status = status(address, &format!("{request}Host: {host}\r\n\r\n"), timeout);
    Ok(status.is_ok_and(|status| (200..400).contains(&status)))
}

fn status(address: SocketAddr, request: &str, timeout: Duration) -> Result<u16> {
    let mut stream = TcpStream::connect_timeout(&address, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer)?;
    // HTTP/1.1 200
    Ok(std::str::from_utf8(&answer[9..])?.parse()?)
}

fn address(port: &Value, ip: &str, container: &Value) -> Result<SocketAddr> {
    let named = || {
        let port = list(&container["ports"]).iter().find(|one| one["name"] == *port)?;
        port["containerPort"].as_u64()
    };
    let number = port.as_u64().or_else(named).with_context(|| format!("no port {port}"))?;
    Ok(SocketAddr::new(ip.parse()?, u16::try_from(number)?))
}
