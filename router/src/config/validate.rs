//! Checks of settings that are text.

use super::address;
use super::error::ConfigError;
use crate::push::PushPath;

/// Accepts the token characters of RFC 9110 without upper case, as HTTP/2 requires for a header name.
pub(crate) fn header(header: String) -> Result<String, ConfigError> {
    let token = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&b);
    if header.is_empty() || header.len() > 128 || !header.bytes().all(token) || header == "host" {
        let allowed = "a lower-case header name of 1 to 128 bytes, no pseudo-header, not \"host\"";
        return Err(ConfigError::new("header", format!("{header:?}"), allowed));
    }
    Ok(header)
}

pub(crate) fn cluster_prefix(prefix: String) -> Result<String, ConfigError> {
    if !address::is_visible(&prefix) || prefix.contains(',') {
        let allowed = "visible ASCII without a comma";
        return Err(ConfigError::new("cluster_prefix", format!("{prefix:?}"), allowed));
    }
    Ok(prefix)
}

/// Trims slashes at both ends, as the Pushgateway does with its flag, so that the value can be copied.
pub(crate) fn path_prefix(prefix: &str) -> Result<String, ConfigError> {
    let trimmed = prefix.trim_matches('/');
    let segments_ok = trimmed.is_empty() || trimmed.split('/').all(|s| !matches!(s, "" | "." | ".."));
    if !address::is_visible(trimmed) || trimmed.contains(['?', '#', '%']) || !segments_ok {
        let allowed = "the Pushgateways' --web.route-prefix: visible ASCII without ? # % and without empty, . or .. segments";
        return Err(ConfigError::new("path_prefix", format!("{prefix:?}"), allowed));
    }
    Ok(if trimmed.is_empty() { String::new() } else { format!("/{trimmed}") })
}

/// Rejects a push path, because a push is recognized before the status path and would hide it.
pub(crate) fn status_path(path: String, path_prefix: &str) -> Result<String, ConfigError> {
    let ok = path.starts_with('/') && address::is_visible(&path) && !path.contains(['?', '#']);
    if !path.is_empty() && (!ok || PushPath::is(path.as_bytes(), path_prefix)) {
        let allowed = "empty (off), or a path that begins with /, has no ? or #, and is not a push path";
        return Err(ConfigError::new("status_path", format!("{path:?}"), allowed));
    }
    Ok(path)
}
