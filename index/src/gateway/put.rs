//! Puts of OpenTSDB: the JSON of the original, and that of OpenTSDB's `/api/put`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_ENCODING;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use metrics::counter;
use pushring_index::body::{self, BodyLimits, Encoding};
use pushring_index::convert::{PutLimits, ReadPuts, read_puts};
use pushring_index::{Kind, Source};
use tokio::task::block_in_place;

use super::answer::{self, Rejection};
use super::{Gateway, origin};
use crate::puts::Refusal;

/// Answers puts: 204 after the target of `remote.send`, if there is one, has accepted all of them.
pub(super) async fn handle(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    let answer = match gateway.put(request).await {
        Ok(read) if read.bad == 0 => StatusCode::NO_CONTENT.into_response(),
        Ok(read) => answer::plain(StatusCode::BAD_REQUEST, &verdict(&read)),
        Err(rejection) => rejection.into_response(),
    };
    let code = answer.status().as_u16().to_string();
    counter!("metric_index_requests_total", "protocol" => "put", "code" => code).increment(1);
    answer
}

impl Gateway {
    async fn put(&self, request: Request) -> Result<ReadPuts, Rejection> {
        let (tenant, sender) = (origin::tenant(&request)?, origin::sender(&request));
        let header = origin::text(request.headers(), CONTENT_ENCODING.as_str()).trim();
        let encoding = Encoding::of_put(header);
        let unsupported = || format!("content encoding {header:?}; expected gzip or none");
        let encoding = encoding.ok_or_else(|| Rejection::Unsupported(unsupported()))?;
        let at = Timestamp::now().as_millisecond();
        let (head, body) = request.into_parts();
        let whole = self.read(&head.headers, body).await?;
        let source = Source { kind: Kind::Put, owner: String::new(), job: String::new(), sender };
        let mut read = {
            let _turn = self.decoders.acquire().await;
            block_in_place(|| self.index_puts(encoding, &whole.bytes, &tenant, &source, at))?
        };
        let puts = std::mem::take(&mut read.puts);
        if let Some(target) = self.puts.as_ref().filter(|_| !puts.is_empty()) {
            target.send(puts).await.map_err(|refusal| match refusal {
                Refusal::Away(text) => Rejection::Busy(text),
                Refusal::Rejected(text) => Rejection::bad("target", text),
            })?;
        }
        Ok(read)
    }

    fn index_puts(
        &self,
        encoding: Encoding,
        bytes: &[u8],
        tenant: &str,
        source: &Source,
        at: i64,
    ) -> Result<ReadPuts, Rejection> {
        let config = self.config();
        let limits = &config.limits;
        let sizes = BodyLimits { compressed: limits.max_compressed_bytes, plain: limits.max_plain_bytes };
        let mut buffer = Vec::new();
        let plain = body::decompress(encoding, bytes, sizes, &mut buffer);
        let plain = plain.map_err(|error| Rejection::bad("body", error))?;
        let (puts, labels, name) = (limits.max_series_per_request, limits.max_labels, limits.max_name_bytes);
        let read = read_puts(plain, PutLimits { puts, labels, name });
        let read = read.map_err(|error| Rejection::bad("json", error))?;
        counter!("metric_index_bad_series_total").increment(read.bad as u64);
        let series = read.puts.iter().filter_map(|put| Some((put.labels().ok()?, Default::default())));
        self.index(series.collect(), tenant, source, at, limits);
        Ok(read)
    }
}

fn verdict(read: &ReadPuts) -> String {
    let mut text = format!("{} wrong puts; the others are accepted", read.bad);
    for reason in &read.reasons {
        text.push_str(&format!("\n{reason}"));
    }
    if read.bad > read.reasons.len() {
        text.push_str("\n…");
    }
    text
}
