//! Paths below the `path_prefix` of the ring, which a Pushgateway with `--web.route-prefix` has.

use hyper::Uri;
use hyper::http::uri::PathAndQuery;

/// Returns a request target without the prefix; `None` if it is not below it.
pub(super) fn without(prefix: &str, target: &Uri) -> Option<Uri> {
    let rest = target.path_and_query()?.as_str().strip_prefix(prefix)?;
    let rest = match rest.chars().next() {
        Some('/') => rest.to_owned(),
        None | Some('?') => format!("/{rest}"),
        Some(_) => return None,
    };
    let mut parts = target.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(rest).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_segments_are_a_prefix() {
        for (target, expected) in [
            ("/pg/metrics", Some("/metrics")),
            ("/pg/api/v1/status?a=b", Some("/api/v1/status?a=b")),
            ("/pg", Some("/")),
            ("/pg/", Some("/")),
            ("/pg?q=a", Some("/?q=a")),
            ("/pgs/metrics", None),
            ("/metrics", None),
            ("http://a/pg/metrics", Some("http://a/metrics")),
            ("*", None),
        ] {
            let found = without("/pg", &target.parse().unwrap());
            assert_eq!(found.map(|uri| uri.to_string()).as_deref(), expected, "{target}");
        }
    }
}
