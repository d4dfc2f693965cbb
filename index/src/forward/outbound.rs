//! A request for the target.

use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};
use hyper::body::Bytes;
use pushring_index::body::Encoding;
use pushring_index::convert::{self, ConvertError};
use pushring_index::wire::{Counts, v2};
use reqwest::Url;

use super::headers;
use crate::config::Limits;
use crate::gateway::Version;

/// Prometheus and vmagent name the version of remote write by these.
const VERSION: HeaderName = HeaderName::from_static("x-prometheus-remote-write-version");
const VM_VERSION: HeaderName = HeaderName::from_static("x-victoriametrics-remote-write-version");

/// A request for the target: the sender's, but with the URL of the target.
#[derive(Clone, Debug)]
pub(crate) struct Outbound {
    /// The tenant that the path of the sender names.
    pub(super) tenant: Option<String>,
    /// Such as `extra_label=a=b`, which VictoriaMetrics takes.
    pub(super) query: Option<String>,
    pub(super) headers: HeaderMap,
    pub(super) version: Version,
    pub(super) body: Bytes,
}

/// Another body than the sender's.
#[derive(Debug)]
pub(crate) struct Rewritten {
    /// Compressed with snappy; `None` if no series is left.
    body: Option<Vec<u8>>,
    version: Version,
    /// Numbers of the body.
    pub(crate) counts: Counts,
    /// Native histograms that the target would not write.
    pub(crate) histograms: u64,
}

impl Outbound {
    /// Takes the request of a sender.
    pub(crate) fn new(uri: &Uri, headers: &HeaderMap, version: Version, body: Bytes) -> Self {
        Self {
            tenant: tenant_of(uri.path()).map(str::to_owned),
            query: uri.query().map(str::to_owned),
            headers: headers::of_request(headers),
            version,
            body,
        }
    }

    /// Takes another body. Returns false if no series is left.
    pub(crate) fn rewrite(&mut self, rewritten: Rewritten) -> bool {
        let Some(body) = rewritten.body else { return false };
        self.body = body.into();
        self.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("snappy"));
        self.headers.remove(VM_VERSION);
        if self.version != rewritten.version {
            self.version = rewritten.version;
            self.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
            self.headers.insert(VERSION, HeaderValue::from_static("0.1.0"));
        }
        true
    }

    pub(crate) fn version(&self) -> Version {
        self.version
    }

    /// The compression that the headers name; a write with another one was rejected before.
    pub(super) fn encoding(&self) -> Encoding {
        let header = self.headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok());
        header.and_then(Encoding::of_write).unwrap_or(Encoding::Snappy)
    }

    pub(crate) fn len(&self) -> usize {
        self.body.len()
    }

    /// Returns the URL at a target: the tenant of the sender takes the place of the target's, and its query is added.
    pub(super) fn url(&self, target: &Url) -> Url {
        let mut url = target.clone();
        if let (Some(tenant), Some(own)) = (&self.tenant, tenant_of(target.path())) {
            let path = target.path().replacen(&format!("/insert/{own}/"), &format!("/insert/{tenant}/"), 1);
            url.set_path(&path);
        }
        if let Some(query) = &self.query {
            let own = target.query().map(|own| format!("{own}&")).unwrap_or_default();
            url.set_query(Some(&format!("{own}{query}")));
        }
        url
    }
}

/// Returns the tenant in `/insert/TENANT/…`.
fn tenant_of(path: &str) -> Option<&str> {
    path.split_once("/insert/")?.1.split_once('/').map(|(tenant, _)| tenant)
}

/// Makes another body if the target cannot take the sender's, or some of its series are bad: `bad` has their positions in
/// ascending order.
///
/// # Errors
/// If the converted body would be too long.
pub(crate) fn rewrite(
    (version, plain): (Version, &[u8]),
    (counts, bad): (Counts, &[usize]),
    protocol: u8,
    limits: &Limits,
) -> Result<Option<Rewritten>, ConvertError> {
    let mut rewritten = Rewritten { body: None, version, counts, histograms: 0 };
    let plain = match version {
        Version::V2 if protocol == 1 => {
            let request = v2::Request::new(plain)?;
            let converted = convert::to_v1(&request, bad, false, limits.max_labels, limits.max_plain_bytes)?;
            rewritten.version = Version::V1;
            rewritten.histograms = counts.histograms;
            rewritten.counts = converted.counts;
            converted.body
        }
        _ if bad.is_empty() => return Ok(None),
        Version::V1 => convert::without_v1(plain, bad)?,
        // Symbols alone are no request.
        Version::V2 if counts == Counts::default() => Vec::new(),
        Version::V2 => convert::without_v2(plain, bad)?,
    };
    if !plain.is_empty() {
        let compressed = snap::raw::Encoder::new().compress_vec(&plain);
        rewritten.body = Some(compressed.map_err(|_| ConvertError::TooLong { limit: u32::MAX as usize })?);
    }
    Ok(Some(rewritten))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_headers_of_another_body_are_its_own() {
        let mut headers = HeaderMap::new();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-protobuf;proto=io.prometheus.write.v2.Request"),
        );
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("zstd"));
        headers.insert(VERSION, HeaderValue::from_static("2.0.0"));
        headers.insert(VM_VERSION, HeaderValue::from_static("1"));
        headers.insert("x-scope-orgid", HeaderValue::from_static("a"));
        let mut outbound =
            Outbound::new(&Uri::from_static("/"), &headers, Version::V2, Bytes::from_static(b"2"));
        assert_eq!(outbound.encoding(), Encoding::Zstd);
        let of = |body| Rewritten { body, version: Version::V1, counts: Counts::default(), histograms: 0 };
        assert!(!outbound.rewrite(of(None)), "no series is left");
        assert!(outbound.rewrite(of(Some(b"1".to_vec()))));
        assert_eq!(
            (outbound.encoding(), outbound.version(), &outbound.body[..]),
            (Encoding::Snappy, Version::V1, &b"1"[..])
        );
        let found = |name: &HeaderName| outbound.headers.get(name).and_then(|value| value.to_str().ok());
        assert_eq!(found(&CONTENT_TYPE), Some("application/x-protobuf"));
        assert_eq!(
            (found(&CONTENT_ENCODING), found(&VERSION), found(&VM_VERSION)),
            (Some("snappy"), Some("0.1.0"), None)
        );
        assert_eq!(outbound.headers.len(), 4, "all others stay");
    }
}
