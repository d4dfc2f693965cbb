//! The server that writes are passed on to.

use std::error::Error;
use std::iter::successors;
use std::time::Duration;

use anyhow::Context;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use hyper::body::Bytes;
use metrics::{counter, histogram};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};
use tokio::time::Instant;

use super::Outbound;
use super::headers::end_to_end;
use crate::config::Write;

/// Bytes of an answer that the sender gets; they are for people.
const MAX_ANSWER: usize = 64 << 10;

/// A target with its pool of connections.
#[derive(Debug)]
pub(crate) struct Target {
    config: Write,
    url: Url,
    client: Client,
}

/// The result of a request to the target.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// An answer for the sender.
    Answer(Answer),
    /// The same request may be accepted later.
    Away(Away),
}

/// An answer that a repetition would not change.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// Without those that belong to the connection.
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// The reason why a request must be repeated.
#[derive(Debug)]
pub(crate) struct Away {
    /// A label of a metric.
    pub(crate) reason: &'static str,
    /// For people.
    pub(crate) text: String,
    /// The time that the target asks for.
    pub(crate) retry_after: Option<HeaderValue>,
}

impl Target {
    /// Creates a target without a connection.
    ///
    /// # Errors
    /// If the system has no certificates for `https`.
    pub(super) fn new(config: &Write) -> anyhow::Result<Self> {
        // An error means that the process has one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let url = Url::parse(&config.url).context("remote.write.url")?;
        // A redirect would turn the request into a GET without a body, and an answer would then count as a success.
        let client = Client::builder().redirect(Policy::none()).no_proxy();
        // Certificates that are not needed may not be there.
        let client = if url.scheme() == "https" { client } else { client.tls_certs_only([]) };
        let client = client.timeout(Duration::from_secs(config.timeout)).build();
        let client = client.context("the client of remote.write")?;
        Ok(Self { config: config.clone(), url, client })
    }

    /// The settings that it was made from.
    pub(super) fn config(&self) -> &Write {
        &self.config
    }

    /// Newest version of remote write that it accepts.
    pub(crate) fn protocol(&self) -> u8 {
        self.config.protocol
    }

    /// Sends a request once.
    pub(crate) async fn send(&self, outbound: &Outbound) -> Outcome {
        let began = Instant::now();
        let outcome = self.answer(outbound).await;
        histogram!("metric_index_forward_seconds").record(began.elapsed());
        let reason = match &outcome {
            Outcome::Answer(answer) if answer.status.is_success() => {
                counter!("metric_index_forwarded_total").increment(1);
                return outcome;
            }
            Outcome::Answer(_) => "rejected",
            Outcome::Away(away) => away.reason,
        };
        counter!("metric_index_forward_failures_total", "reason" => reason).increment(1);
        outcome
    }

    async fn answer(&self, outbound: &Outbound) -> Outcome {
        let url = outbound.url(&self.url);
        let request = self.client.post(url).headers(outbound.headers.clone()).body(outbound.body.clone());
        match request.send().await {
            Ok(response) => read(response).await,
            Err(error) => Outcome::Away(failure(&error)),
        }
    }
}

/// Reads an answer, by the table of docs/index: only a 503 is repeated by every sender, and a 413 never succeeds.
async fn read(mut response: Response) -> Outcome {
    let mut status = response.status();
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() < MAX_ANSWER => body.extend_from_slice(&chunk),
            Ok(_) => break,
            // Its status says whether it wrote the samples.
            Err(_) if status.is_success() => break,
            Err(error) => return Outcome::Away(failure(&error)),
        }
    }
    body.truncate(MAX_ANSWER);
    let reason = match status {
        StatusCode::TOO_MANY_REQUESTS => "busy",
        _ if status.is_server_error() => "error",
        _ if status.is_redirection() => "redirect",
        _ => {
            if status == StatusCode::PAYLOAD_TOO_LARGE {
                status = StatusCode::BAD_REQUEST;
            }
            return Outcome::Answer(Answer {
                status,
                headers: end_to_end(response.headers()),
                body: body.into(),
            });
        }
    };
    let text = String::from_utf8_lossy(&body);
    let mut text = format!("the target answered {}: {}", status.as_u16(), text.trim());
    if reason == "redirect" {
        text.push_str("; remote.write.url must be the URL that it redirects to");
    }
    Outcome::Away(Away { reason, text, retry_after: response.headers().get(RETRY_AFTER).cloned() })
}

fn failure(error: &reqwest::Error) -> Away {
    // The error itself would show the URL, which may have a password.
    let causes = successors(error.source(), |&error| error.source());
    let cause = causes.last().map(|cause| format!(": {cause}")).unwrap_or_default();
    let (reason, text) = if error.is_timeout() {
        ("timeout", "the target did not answer within remote.write.timeout".to_owned())
    } else if error.is_connect() {
        ("refused", format!("the target cannot be reached{cause}"))
    } else {
        ("connection", format!("the connection to the target failed{cause}"))
    };
    Away { reason, text, retry_after: None }
}
