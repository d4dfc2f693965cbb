//! The answer to a write that is passed on.

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use metrics::counter;
use pushring_index::wire::Counts;

use super::Gateway;
use super::answer::{self, Rejection};
use super::decode::{Found, Version};
use crate::forward::{Answer, Outbound, Passed, Rewritten, Target};

impl Gateway {
    /// Passes a request on and returns the answer for the sender, with the numbers of what the target has written.
    pub(super) async fn pass(
        &self,
        target: &Target,
        mut outbound: Outbound,
        found: &Found,
        rewritten: Option<Rewritten>,
    ) -> Result<(Response, Counts), Rejection> {
        let mut counts = found.counts;
        let mut fault = found.fault();
        let mut _permit = None;
        if let Some(rewritten) = rewritten {
            counts = rewritten.counts;
            if rewritten.histograms > 0 {
                counter!("metric_index_forward_dropped_histograms_total").increment(rewritten.histograms);
                fault.get_or_insert_with(|| no_histograms(rewritten.histograms));
            }
            if !outbound.rewrite(rewritten) {
                return Ok((verdict(fault), counts));
            }
            _permit = Some(self.take(outbound.len())?);
        }
        let version = outbound.version();
        match self.forward.pass(target, outbound).await {
            Passed::Answered(theirs) => {
                let counts = match version {
                    Version::V2 => answer::counts(&theirs.headers),
                    Version::V1 if theirs.status.is_success() => counts,
                    Version::V1 => Counts::default(),
                };
                match fault {
                    Some(_) if theirs.status.is_success() => Ok((verdict(fault), counts)),
                    _ => Ok((response(theirs), counts)),
                }
            }
            Passed::Spooled => Ok((verdict(fault), counts)),
            Passed::Failed(away) => {
                let mut answer = answer::busy(&away.text);
                if let Some(pause) = away.retry_after {
                    answer.headers_mut().insert(RETRY_AFTER, pause);
                }
                Ok((answer, Counts::default()))
            }
        }
    }
}

/// Returns the answer to a write that needs no answer of a target, or that the target has accepted.
pub(super) fn verdict(fault: Option<String>) -> Response {
    match fault {
        None => StatusCode::NO_CONTENT.into_response(),
        Some(text) => answer::plain(StatusCode::BAD_REQUEST, &text),
    }
}

fn no_histograms(count: u64) -> String {
    let (noun, verb) = if count == 1 { ("histogram", "was") } else { ("histograms", "were") };
    format!(
        "{count} native {noun} {verb} not written: the target takes remote write 1.0, where servers drop them silently; \
         if it takes 2.0, set remote.write.protocol to 2"
    )
}

fn response(answer: Answer) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
}
