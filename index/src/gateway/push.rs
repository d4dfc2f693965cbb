//! Pushes to pushgateways, mirrored by Envoy with the header that names the owner.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use metrics::counter;
use pushring_index::body::{self, BodyLimits, Encoding};
use pushring_index::pushed::{self, Group, PathError, PushLimits};
use pushring_index::{Key, Kind, Labels, Metadata, Sighting, Source};
use tokio::task::block_in_place;

use super::answer::{self, Rejection};
use super::decode::{mixed, salt};
use super::{Gateway, origin};
use crate::config::Limits;
use crate::pipeline::Fresh;

/// The header in which the filter names the owner: the cluster of its pushgateway, or its address and those of its successors.
const OWNER: &str = "x-pushring-destination";
/// Start of the name of a cluster; the name of the member follows.
const CLUSTER: &str = "pushgateway-";

/// The text of a push.
struct Push<'r> {
    group: Group,
    content_type: &'r str,
    encoding: Encoding,
    body: &'r [u8],
}

/// Answers a mirrored push. Envoy drops the answer; it is for people.
pub(super) async fn handle(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    let answer = match *request.method() {
        Method::PUT | Method::POST => match gateway.push(request).await {
            Ok(()) => StatusCode::ACCEPTED.into_response(),
            Err(rejection) => rejection.into_response(),
        },
        // A deletion names no series: a series is gone once no request has it any more.
        Method::DELETE => StatusCode::ACCEPTED.into_response(),
        _ => answer::plain(StatusCode::METHOD_NOT_ALLOWED, "expected PUT, POST or DELETE"),
    };
    let code = answer.status().as_u16().to_string();
    counter!("metric_index_requests_total", "protocol" => "push", "code" => code).increment(1);
    answer
}

/// Returns the name of the owner in its header.
fn owner(header: &str) -> &str {
    let first = header.split(',').next().unwrap_or_default().trim();
    first.strip_prefix(CLUSTER).unwrap_or(first)
}

impl Gateway {
    async fn push(&self, request: Request) -> Result<(), Rejection> {
        let group = self.paths.group(request.uri().path().as_bytes()).map_err(|error| match error {
            PathError::NotPush => Rejection::bad("path", error),
            PathError::Rejected | PathError::Poison => Rejection::bad("group", error),
        })?;
        let (tenant, sender) = (origin::tenant(&request)?, origin::sender(&request));
        let owner = owner(origin::text(request.headers(), OWNER)).to_owned();
        let source = Source { kind: Kind::Push, owner, job: group.to_string(), sender };
        let at = Timestamp::now().as_millisecond();
        let (head, body) = request.into_parts();
        let whole = self.read(&head.headers, body).await?;
        let header = |name| origin::text(&head.headers, name);
        let push = Push {
            group,
            content_type: header(CONTENT_TYPE.as_str()),
            encoding: Encoding::of_push(header(CONTENT_ENCODING.as_str())),
            body: &whole.bytes,
        };
        let _turn = self.decoders.acquire().await;
        block_in_place(|| self.index_push(&push, &tenant, &source, at))
    }

    fn index_push(&self, push: &Push<'_>, tenant: &str, source: &Source, at: i64) -> Result<(), Rejection> {
        let config = self.config();
        let limits = &config.limits;
        let sizes = BodyLimits { compressed: limits.max_compressed_bytes, plain: limits.max_plain_bytes };
        let mut buffer = Vec::new();
        let plain = body::decompress(push.encoding, push.body, sizes, &mut buffer);
        let plain = plain.map_err(|error| Rejection::bad("body", error))?;
        let most = PushLimits { series: limits.max_series_per_request, labels: limits.max_labels };
        let series = pushed::series(&push.group, push.content_type, plain, most);
        let series = series.map_err(|error| Rejection::bad("exposition", error))?;
        self.index(series, tenant, source, at, limits);
        Ok(())
    }

    /// Queues the series of a request that are not known to be durable from this source. The job of a put is that of its series.
    pub(super) fn index(
        &self,
        mut series: Vec<(Labels, Metadata)>,
        tenant: &str,
        source: &Source,
        at: i64,
        limits: &Limits,
    ) {
        let sent = series.len();
        series.retain(|(labels, _)| labels.iter().all(|(name, _)| name.len() <= limits.max_name_bytes));
        counter!("metric_index_series_total").increment(sent as u64);
        counter!("metric_index_bad_series_total").increment((sent - series.len()) as u64);
        let salt = salt(source.kind, &source.owner, &source.job, &source.sender);
        let keys: Vec<Key> = series.iter().map(|(labels, _)| Key::new(tenant, labels)).collect();
        let ids: Vec<Key> = keys.iter().map(|key| mixed(*key, salt)).collect();
        let mut unknown = self.pipeline.unknown(&ids).into_iter().peekable();
        let mut fresh = Vec::new();
        for (index, (((labels, metadata), key), id)) in series.into_iter().zip(keys).zip(ids).enumerate() {
            if unknown.next_if_eq(&index).is_none() {
                continue;
            }
            let labels =
                labels.iter().map(|(name, value)| (name.to_owned(), limits.cut(name, value))).collect();
            let Ok(labels) = Labels::new(labels) else { continue };
            let (tenant, mut source) = (tenant.to_owned(), source.clone());
            if source.kind == Kind::Put {
                source.job = labels.get("job").unwrap_or_default().to_owned();
            }
            fresh.push(Fresh {
                raw: None,
                id,
                sighting: Sighting { tenant, key, labels, metadata, source, at },
            });
        }
        self.pipeline.offer(fresh);
    }
}

#[cfg(test)]
mod tests {
    use super::owner;

    #[test]
    fn the_owner_is_the_first_destination() {
        for (header, expected) in [
            ("pushgateway-10.0.0.1:9091", "10.0.0.1:9091"),
            ("10.0.0.1:9091,10.0.0.2:9091", "10.0.0.1:9091"),
            ("[2001:db8::1]:9091, 10.0.0.2:9091", "[2001:db8::1]:9091"),
            ("", ""),
        ] {
            assert_eq!(owner(header), expected);
        }
    }
}
