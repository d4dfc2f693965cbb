//! Remote writes.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use metrics::counter;
use pushring_index::body::Encoding;
use pushring_index::wire::Counts;
use tokio::task::block_in_place;

use super::answer::{self, Rejection};
use super::decode::{Origin, Version};
use super::pass::verdict;
use super::{Gateway, origin};
use crate::forward::Outbound;

/// Bodies above this many bytes are decoded a few at a time, on a thread that others do not wait for: starting it costs more
/// than to decode the 2,000 series that Prometheus sends at once.
const LARGE: usize = 1 << 18;
/// The type of the messages of each version.
const V1: &str = "prometheus.WriteRequest";
const V2: &str = "io.prometheus.write.v2.Request";

/// Answers a remote write.
pub(super) async fn handle(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    let is_v2 = version(request.headers()).is_ok_and(|version| version == Version::V2);
    let (answer, counts) = match gateway.write(request).await {
        Ok(answer) => answer,
        Err(rejection) => (rejection.into_response(), Counts::default()),
    };
    let code = answer.status().as_u16().to_string();
    counter!("metric_index_requests_total", "protocol" => "write", "code" => code).increment(1);
    if is_v2 { answer::with_counts(answer, counts) } else { answer }
}

impl Gateway {
    /// Returns the answer, and the numbers that were written.
    async fn write(&self, request: Request) -> Result<(Response, Counts), Rejection> {
        let version = version(request.headers())?;
        let encoding = encoding(request.headers())?;
        let origin = Origin {
            tenant: origin::tenant(&request)?,
            sender: origin::sender(&request),
            at: Timestamp::now().as_millisecond(),
        };
        let (head, body) = request.into_parts();
        let whole = self.read(&head.headers, body).await?;
        let target = self.forward.target();
        let protocol = target.as_ref().map(|target| target.protocol());
        let decode = || self.decode((version, encoding), &whole.bytes, &origin, protocol);
        let (mut found, rewritten) = if whole.bytes.len() > LARGE {
            let _turn = self.decoders.acquire().await;
            block_in_place(decode)?
        } else {
            decode()?
        };
        let fresh = std::mem::take(&mut found.fresh);
        counter!("metric_index_series_total").increment(found.series);
        counter!("metric_index_bad_series_total").increment(found.bad.len() as u64);
        counter!("metric_index_known_total", "level" => "set")
            .increment(found.series.saturating_sub((found.bad.len() + fresh.len()) as u64));
        // At once, not after the answer of the target: a slow target must not make series wait here without a limit. Behind
        // a mirror, too, the index gets series that the target may reject.
        self.pipeline.offer(fresh);
        let (answer, counts) = match target {
            None => (verdict(found.fault()), found.counts),
            Some(target) => {
                let outbound = Outbound::new(&head.uri, &head.headers, version, whole.bytes.clone());
                self.pass(&target, outbound, &found, rewritten).await?
            }
        };
        // Not before: a sender repeats what is answered 503.
        let is_repeated = answer.status() == StatusCode::SERVICE_UNAVAILABLE;
        if let Some(puts) = self.puts.as_ref().filter(|puts| puts.converts() && !is_repeated) {
            block_in_place(|| {
                puts.convert(version == Version::V2, encoding, &whole.bytes, &self.config().limits)
            });
        }
        Ok((answer, counts))
    }
}

/// Returns the version that the content type names; a sender of 1.0 may name none.
fn version(headers: &HeaderMap) -> Result<Version, Rejection> {
    let header = origin::text(headers, CONTENT_TYPE.as_str());
    let mut parts = header.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default();
    let unsupported = || {
        let text = format!(
            "content type {header:?}; expected application/x-protobuf, with proto={V1} (the default) or proto={V2}"
        );
        Err(Rejection::Unsupported(text))
    };
    if !kind.is_empty() && !kind.eq_ignore_ascii_case("application/x-protobuf") {
        return unsupported();
    }
    let message = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("proto").then_some(value.trim().trim_matches('"'))
    });
    match message {
        None | Some(V1) => Ok(Version::V1),
        Some(V2) => Ok(Version::V2),
        Some(_) => unsupported(),
    }
}

fn encoding(headers: &HeaderMap) -> Result<Encoding, Rejection> {
    let header = origin::text(headers, CONTENT_ENCODING.as_str()).trim().to_ascii_lowercase();
    let unsupported = || format!("content encoding {header:?}; expected snappy or zstd");
    Encoding::of_write(&header).ok_or_else(|| Rejection::Unsupported(unsupported()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        headers
    }

    #[test]
    fn the_content_type_names_the_version() {
        assert_eq!(version(&HeaderMap::new()).ok(), Some(Version::V1));
        for (value, expected) in [
            ("application/x-protobuf", Some(Version::V1)),
            ("Application/X-Protobuf; proto=prometheus.WriteRequest", Some(Version::V1)),
            ("application/x-protobuf;proto=io.prometheus.write.v2.Request", Some(Version::V2)),
            (
                "application/x-protobuf;charset=utf-8; proto=\"io.prometheus.write.v2.Request\"",
                Some(Version::V2),
            ),
            ("application/x-protobuf;proto=io.prometheus.write.v3.Request", None),
            ("application/json", None),
        ] {
            assert_eq!(version(&headers("content-type", value)).ok(), expected, "{value}");
        }
    }

    #[test]
    fn remote_write_has_no_gzip() {
        assert_eq!(encoding(&HeaderMap::new()).ok(), Some(Encoding::Snappy));
        assert_eq!(encoding(&headers("content-encoding", "zstd")).ok(), Some(Encoding::Zstd));
        for other in ["gzip", "deflate", "identity", "snappy, gzip"] {
            assert!(encoding(&headers("content-encoding", other)).is_err(), "{other}");
        }
    }
}
