//! URLs of servers as operators give them. They may contain a user and a password, which are sent but never shown.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::Duration;
use std::{fmt, io, thread};

use reqwest::Url;

use crate::error::BadInput;

/// The base URL of a server. Its `Display` and `Debug` show neither user nor password nor query.
#[derive(Clone)]
pub(crate) struct ServerUrl(Url);

impl ServerUrl {
    /// Parses the value of a flag that accepts `http://` and `https://`.
    ///
    /// # Errors
    /// [`BadInput`] with the flag, without the password.
    pub(crate) fn parse(flag: &str, text: &str) -> Result<Self, BadInput> {
        let found = |reason: &str| {
            let shown = without_credentials(text);
            BadInput(format!(
                "{flag}: found {shown:?}, expected http://host:port or https://host:port{reason}"
            ))
        };
        let url = Url::parse(text).map_err(|error| found(&format!(" ({error})")))?;
        if !["http", "https"].contains(&url.scheme()) || !url.has_host() {
            return Err(found(""));
        }
        // A password with an unencoded `/`, `?` or `#` ends the host early; its rest would be shown.
        let rest = [Some(url.path()), url.query(), url.fragment()];
        if rest.into_iter().flatten().any(|part| part.contains('@')) {
            return Err(found(" (percent-encode reserved characters of a password)"));
        }
        Ok(Self(url))
    }

    /// Returns the URL of a path on this server, below the path of the base; each segment is percent-encoded.
    pub(crate) fn at(&self, segments: &[&str]) -> Url {
        let mut url = self.0.clone();
        url.set_query(None);
        url.set_fragment(None);
        // An http URL always has a path.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    /// Returns the host: a name, or an address (IPv6 in brackets).
    pub(crate) fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// Returns all addresses of the host, at least one: of IPv4 if there are any, because a name such as `localhost` has both
    /// of one server.
    ///
    /// # Errors
    /// The name has none, or is not resolved in this time.
    pub(crate) fn addresses(&self, limit: Duration) -> io::Result<Vec<SocketAddr>> {
        let (sender, receiver) = mpsc::channel();
        let url = self.0.clone();
        // The resolver of the system has no limit that a caller can set; a thread that it holds ends with it.
        thread::spawn(move || sender.send(url.socket_addrs(|| None)));
        let found = receiver.recv_timeout(limit).map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?;
        let found: BTreeSet<SocketAddr> = found?.into_iter().collect();
        let (old, new): (Vec<_>, Vec<_>) = found.into_iter().partition(SocketAddr::is_ipv4);
        let addresses = if old.is_empty() { new } else { old };
        if addresses.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "no address"));
        }
        Ok(addresses)
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut url = self.0.clone();
        // Both fail only without a host.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        // A query is not sent either, and may contain a token.
        url.set_query(None);
        url.set_fragment(None);
        f.write_str(url.as_str().trim_end_matches('/'))
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Replaces everything between the scheme and the last `@` of a text that may be a URL. A password may contain any
/// character, so a text that is no URL is cut at the last one, too.
pub(crate) fn without_credentials(text: &str) -> String {
    let Some((before, rest)) = text.rsplit_once('@') else { return text.to_owned() };
    let scheme = before.split_once("://").map_or("", |(scheme, _)| scheme);
    if scheme.is_empty() { format!("***@{rest}") } else { format!("{scheme}://***@{rest}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_no_user_and_no_password() {
        for (text, shown) in [
            ("http://10.0.0.1:8500/", "http://10.0.0.1:8500"),
            ("http://ops:s3cret@10.0.0.1:8500", "http://10.0.0.1:8500"),
            ("https://ops:s3%40cret@[::1]:8500/consul/", "https://[::1]:8500/consul"),
            ("http://s3cret@consul", "http://consul"),
            ("http://consul/?token=s3cret", "http://consul"),
        ] {
            let url = ServerUrl::parse("--consul", text).unwrap();
            assert_eq!((url.to_string().as_str(), format!("{url:?}").as_str()), (shown, shown));
        }
        for text in [
            "http://ops:s3cret@",
            "http://ops:s3cret@host:99999",
            "ftp://ops:s3cret@host",
            "ops:s3cret@host:8500",
            "http://ops:s3/cret@host:x",
            "http://ops:s3@cret@host:x",
            "://ops:s3cret@host",
            "http://ops:12/s3cret@host",
            "http://ops:12?s3cret@host",
            "http://ops:12#s3cret@host",
        ] {
            let error = ServerUrl::parse("--consul", text).unwrap_err().to_string();
            assert!(error.starts_with("--consul: found ") && !error.contains("s3"), "{error}");
            assert!(!error.contains("ops") && !error.contains("cret"), "{error}");
        }
    }

    #[test]
    fn appends_encoded_segments() {
        let url = ServerUrl::parse("--consul", "http://a:b@host:1/base/?x=1").unwrap();
        assert_eq!(url.at(&["v1", "a/b?c"]).as_str(), "http://a:b@host:1/base/v1/a%2Fb%3Fc");
    }
}
