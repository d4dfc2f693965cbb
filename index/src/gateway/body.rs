//! Bodies, read within the limits of one and of all together.

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_LENGTH;
use http_body_util::BodyExt;
use hyper::body::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use super::Gateway;
use super::answer::Rejection;

/// A whole body, counted among those under way until it is dropped.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) bytes: Bytes,
    _permit: OwnedSemaphorePermit,
}

impl Gateway {
    /// Reads a body. Its length is checked before memory is taken for it.
    pub(super) async fn read(&self, headers: &HeaderMap, mut body: Body) -> Result<Whole, Rejection> {
        let limit = self.config().limits.max_compressed_bytes;
        let too_large = || {
            Rejection::bad(
                "too large",
                format!("the body has more than {limit} bytes: send smaller requests"),
            )
        };
        let declared =
            headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
        if declared.is_some_and(|declared| declared > limit) {
            return Err(too_large());
        }
        let mut permit = self.take(declared.unwrap_or_default())?;
        let mut whole = Vec::with_capacity(declared.unwrap_or_default());
        while let Some(frame) = body.frame().await {
            let frame = frame
                .map_err(|error| Rejection::bad("incomplete", format!("the body ends early: {error}")))?;
            let Ok(data) = frame.into_data() else { continue };
            if whole.len() + data.len() > limit {
                return Err(too_large());
            }
            whole.extend_from_slice(&data);
            if let Some(more) = whole.len().checked_sub(permit.num_permits()).filter(|more| *more > 0) {
                permit.merge(self.take(more)?);
            }
        }
        Ok(Whole { bytes: whole.into(), _permit: permit })
    }

    /// Counts bytes among those under way until the permit is dropped.
    pub(super) fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Rejection> {
        let busy = || Rejection::Busy("too many bytes are under way; try again".to_owned());
        let bytes = u32::try_from(bytes).map_err(|_| busy())?;
        self.bytes.clone().try_acquire_many_owned(bytes).map_err(|_| busy())
    }
}
