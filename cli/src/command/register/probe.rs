//! Asks an address whether it is a Pushgateway, before it becomes a member of a ring.

use std::collections::BTreeSet;
use std::error::Error;
use std::net::{IpAddr, ToSocketAddrs};
use std::time::Duration;

use anyhow::ensure;
use rayon::ThreadPoolBuilder;
use rayon::prelude::*;
use reqwest::StatusCode;
use reqwest::blocking::Client;
use reqwest::header::{ACCEPT, CONTENT_TYPE, LOCATION};

use super::health_check::{HEALTHY, HealthCheck};
use super::process::Process;
use crate::error::BadInput;
use crate::fleet::address::GatewayAddress;
use crate::gateway::client::MARK;
use crate::http::{self, Answer, AnswerLimits, Tls};
use crate::parse::Keeps;

/// A Pushgateway that is up answers its status at once, even when it is busy.
const TIMEOUT: Duration = Duration::from_secs(5);
/// A status has about 1 KB.
const LIMITS: AnswerLimits =
    AnswerLimits { bytes: 1 << 16, memory: 1 << 24, keeps: Keeps::All, time: TIMEOUT };
const STATUS: &str = "/api/v1/status";
/// Number of addresses of a name that a message lists.
const LISTED: usize = 5;
/// Number of gateways that are asked at once.
const THREADS: usize = 16;

/// The server at an address.
enum Found {
    Pushgateway(Process),
    /// Nothing, for this reason.
    Nothing(String),
    /// Something else, and what to do about it.
    Other(String, &'static str),
}

const PREFIX: &str = "--path-prefix must be the Pushgateway's --web.route-prefix";

/// Returns the client that asks gateways.
///
/// # Errors
/// [`BadInput`]: a file of `tls` is unusable.
pub(super) fn client(check: &HealthCheck, tls: Tls<'_>) -> anyhow::Result<Client> {
    let client = tls.add_to(http::client(TIMEOUT))?;
    Ok(client.tls_danger_accept_invalid_certs(check.tls_skip_verify).build()?)
}

/// Requires a Pushgateway at each address; where the flag is false, one that does not answer is accepted, too. Returns the
/// process at each.
///
/// # Errors
/// [`BadInput`] with a line for each address that is none: what was found, and what to do.
pub(super) fn require_gateways(
    client: &Client,
    check: &HealthCheck,
    targets: &[(&GatewayAddress, bool)],
) -> anyhow::Result<Vec<Option<Process>>> {
    let ask = |(target, must_answer): &(&GatewayAddress, bool)| {
        let url = check.url(target, STATUS);
        let found = several_addresses(target).unwrap_or_else(|| probe(client, check, target));
        let (found, advice) = match found {
            Found::Pushgateway(process) => return Ok(Some(process)),
            Found::Nothing(_) if !must_answer => return Ok(None),
            Found::Nothing(error) => (
                error,
                "start it first; --no-probe registers one that is not up yet or that only Consul's agent can reach",
            ),
            Found::Other(found, advice) => (found, advice),
        };
        Err(format!("{target} is no Pushgateway: {url}: found {found}; {advice}"))
    };
    let threads = ThreadPoolBuilder::new().num_threads(THREADS.min(targets.len().max(1))).build()?;
    let found: Vec<_> = threads.install(|| targets.par_iter().with_max_len(1).map(ask).collect());
    let refused: Vec<&str> =
        found.iter().filter_map(|found| found.as_ref().err()).map(String::as_str).collect();
    ensure!(refused.is_empty(), BadInput(refused.join("\n")));
    Ok(found.into_iter().filter_map(Result::ok).collect())
}

/// Returns the Pushgateway at an address, if there is one.
pub(super) fn process(client: &Client, check: &HealthCheck, address: &GatewayAddress) -> Option<Process> {
    match probe(client, check, address) {
        Found::Pushgateway(process) => Some(process),
        Found::Nothing(_) | Found::Other(..) => None,
    }
}

/// Finds a host name that stands for several machines: Envoy sends the pushes of a group now to one, now to another, as DNS
/// lists them. One address of each family is one machine. A name that does not resolve here is the probe's to report.
fn several_addresses(target: &GatewayAddress) -> Option<Found> {
    let resolved = (target.host(), target.port()).to_socket_addrs().ok()?;
    let (v4, v6): (BTreeSet<_>, BTreeSet<_>) =
        resolved.map(|address| address.ip()).partition(IpAddr::is_ipv4);
    let most = if v6.len() > 1 { v6 } else { v4 };
    (most.len() > 1).then(|| {
        let listed: Vec<String> = most.iter().take(LISTED).map(ToString::to_string).collect();
        let found = format!("{} addresses: {}", most.len(), listed.join(", "));
        Found::Other(
            found,
            "register each gateway by an address of its own: all groups must reach the same one",
        )
    })
}

fn probe(client: &Client, check: &HealthCheck, target: &GatewayAddress) -> Found {
    let answer = match get(client, check, &check.url(target, STATUS)) {
        Ok(answer) => answer,
        Err(found) => return found,
    };
    let status = answer.status();
    let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (html, location) = (header(CONTENT_TYPE).starts_with("text/html"), start(header(LOCATION)));
    // A body that breaks off is no status.
    let text = answer.text().unwrap_or_default();
    let code = status.as_u16();
    if let Some(process) = Process::parse(&text).filter(|_| status == StatusCode::OK) {
        return Found::Pushgateway(process);
    }
    match status {
        StatusCode::OK if html => Found::Other("a web page".to_owned(), PREFIX),
        StatusCode::OK => Found::Other(format!("another answer: {}", start(&text)), PREFIX),
        _ if status.is_redirection() => Found::Other(
            format!("HTTP {code}, a redirect to {location}"),
            "register the address of the gateway itself",
        ),
        StatusCode::LOOP_DETECTED => Found::Other(
            "an Envoy with pushring".to_owned(),
            "on its own ring every push would loop; register the Pushgateways behind it",
        ),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Found::Other(
            format!("HTTP {code}: it asks for credentials"),
            "pass them with --check-header @FILE",
        ),
        _ => other(client, check, target, format!("HTTP {code}: {}", start(&text))),
    }
}

/// Names a server without this page by its health page.
fn other(client: &Client, check: &HealthCheck, target: &GatewayAddress, found: String) -> Found {
    let health = get(client, check, &check.url(target, HEALTHY)).ok().and_then(|answer| answer.text().ok());
    if health.is_some_and(|text| text.starts_with("Prometheus Server")) {
        return Found::Other(
            format!("a Prometheus server ({found})"),
            "register the Pushgateways that it scrapes",
        );
    }
    Found::Other(found, PREFIX)
}

/// Requests a page as Consul's check will: an Envoy with pushring does not answer for the gateways behind it.
fn get(client: &Client, check: &HealthCheck, url: &str) -> Result<Answer, Found> {
    let mut request = client.get(url).header(ACCEPT, "application/json").header(MARK.0, MARK.1);
    for (name, values) in &check.headers {
        request = values.iter().fold(request, |request, value| request.header(name, value));
    }
    http::send(request, LIMITS).map_err(|error| {
        let answered = !error.is_timeout() && !error.is_connect();
        let advice = tls_error(&error).map(|error| match error {
            rustls::Error::InvalidMessage(_) => "it speaks no TLS: --scheme http",
            rustls::Error::InvalidCertificate(_) => "--gateway-ca-file has the CA certificates that sign it",
            _ => "TLS fails; --gateway-cert and --gateway-key are for gateways that ask for a certificate",
        });
        let cause = format!("{:#}", http::cause(error));
        if let Some(advice) = advice {
            return Found::Other(cause, advice);
        }
        if !answered {
            return Found::Nothing(cause);
        }
        Found::Other(format!("no HTTP server ({cause})"), "register host and port of a Pushgateway")
    })
}

/// Finds the TLS error in the causes of an error: a server that is up, but not as the flags say.
fn tls_error<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // An I/O error is as the error in it, and does not list it among its causes.
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        cause = inner.map_or_else(|| error.source(), |inner| Some(inner));
    }
    None
}

/// Returns the first line of a text that is not ours, at most 60 characters and without any that a terminal obeys.
fn start(text: &str) -> String {
    let line: String = text.trim().lines().next().unwrap_or_default().chars().take(60).collect();
    format!("{line:?}")
}
