//! A request as bytes: the key of the rest, the length of the head, the head as JSON, the body.

use anyhow::Context;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use hyper::body::Bytes;
use pushring_index::Key;
use serde::{Deserialize, Serialize};

use crate::forward::Outbound;
use crate::gateway::Version;

/// Bytes of a [`Key`].
const KEY: usize = 16;

#[derive(Serialize, Deserialize)]
struct Head {
    version: Version,
    tenant: Option<String>,
    query: Option<String>,
    /// The value of a header is bytes: each is one character here.
    headers: Vec<(String, String)>,
}

pub(super) fn write(outbound: &Outbound) -> anyhow::Result<Vec<u8>> {
    let text = |value: &HeaderValue| value.as_bytes().iter().map(|byte| char::from(*byte)).collect();
    let head = Head {
        version: outbound.version,
        tenant: outbound.tenant.clone(),
        query: outbound.query.clone(),
        headers: outbound.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
    };
    let head = serde_json::to_vec(&head).context("the head of a request")?;
    let length = u32::try_from(head.len()).context("the head of a request")?;
    let rest = [&length.to_le_bytes()[..], &head, &outbound.body].concat();
    Ok([&Key::of_bytes(&rest).to_bytes()[..], &rest].concat())
}

/// Returns `None` for bytes that are not those of a whole record.
pub(super) fn read(record: &[u8]) -> Option<Outbound> {
    let (key, rest) = record.split_at_checked(KEY)?;
    if Key::of_bytes(rest).to_bytes() != *key {
        return None;
    }
    let (length, rest) = rest.split_first_chunk()?;
    let (head, body) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    let head: Head = serde_json::from_slice(head).ok()?;
    let mut headers = HeaderMap::new();
    for (name, text) in head.headers {
        let bytes: Option<Vec<u8>> = text.chars().map(|char| u8::try_from(char).ok()).collect();
        headers.append(HeaderName::try_from(name).ok()?, HeaderValue::from_bytes(&bytes?).ok()?);
    }
    let (tenant, query, version) = (head.tenant, head.query, head.version);
    Some(Outbound { tenant, query, headers, version, body: Bytes::copy_from_slice(body) })
}
