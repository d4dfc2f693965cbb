//! The answers. A 400 is final for all senders; a 503 is repeated by all. A 413 or a 429 is neither: vmagent repeats a 413
//! without end, and Prometheus drops the samples of a 429.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use metrics::counter;
use pushring_index::wire::Counts;

/// Seconds until a sender should try again.
const PAUSE: HeaderValue = HeaderValue::from_static("5");

/// A request that is rejected as a whole.
#[derive(Debug)]
pub(super) enum Rejection {
    /// 400: it will never be accepted.
    Bad { reason: &'static str, text: String },
    /// 415: another content type or encoding than remote write has.
    Unsupported(String),
    /// 503: later.
    Busy(String),
}

impl Rejection {
    pub(super) fn bad(reason: &'static str, text: impl ToString) -> Self {
        Self::Bad { reason, text: text.to_string() }
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        match self {
            Self::Bad { reason, text } => {
                counter!("metric_index_bad_requests_total", "reason" => reason).increment(1);
                plain(StatusCode::BAD_REQUEST, &text)
            }
            Self::Unsupported(text) => {
                counter!("metric_index_bad_requests_total", "reason" => "unsupported").increment(1);
                plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, &text)
            }
            Self::Busy(text) => busy(&text),
        }
    }
}

/// Returns an answer in plain text.
pub(super) fn plain(status: StatusCode, text: &str) -> Response {
    let kind = [(CONTENT_TYPE, "text/plain; charset=utf-8")];
    (status, kind, Body::from(format!("{}\n", text.trim_end()))).into_response()
}

/// Returns a 503, which senders repeat.
pub(super) fn busy(text: &str) -> Response {
    let mut answer = plain(StatusCode::SERVICE_UNAVAILABLE, text);
    answer.headers_mut().insert(RETRY_AFTER, PAUSE);
    answer
}

/// The headers in which a receiver of remote write 2.0 says how much it has written.
const SAMPLES: &str = "x-prometheus-remote-write-samples-written";
const HISTOGRAMS: &str = "x-prometheus-remote-write-histograms-written";
const EXEMPLARS: &str = "x-prometheus-remote-write-exemplars-written";

/// Reads the numbers of an answer; without them, nothing was written.
pub(super) fn counts(headers: &HeaderMap) -> Counts {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.parse().ok();
    let of = |name| number(name).unwrap_or_default();
    Counts { samples: of(SAMPLES), histograms: of(HISTOGRAMS), exemplars: of(EXEMPLARS) }
}

/// Adds the numbers that remote write 2.0 demands of each answer.
pub(super) fn with_counts(mut answer: Response, counts: Counts) -> Response {
    let headers = [(SAMPLES, counts.samples), (HISTOGRAMS, counts.histograms), (EXEMPLARS, counts.exemplars)];
    for (name, count) in headers {
        answer.headers_mut().insert(name, HeaderValue::from(count));
    }
    answer
}
