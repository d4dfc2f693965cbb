//! The formats that a Pushgateway negotiates for `/metrics`, by the rules of its libraries (`expfmt.Negotiate` of
//! prometheus/common, which sorts by munnerz/goautoneg, and promhttp of client_golang), quirks included.

use std::collections::HashMap;

use super::escape::Escaping;

/// How metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Version 0.0.4.
    Text,
    /// Protobuf, each family after its length.
    Delimited,
    /// Protobuf's text format, on several lines or on one for each family.
    ProtoText,
    CompactText,
}

const PROTOBUF: &str = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=";

/// Returns the format for an `Accept` header.
pub(super) fn negotiate(accept: &str) -> (Format, Escaping) {
    let mut escaping = Escaping::Underscores;
    for range in ranges(accept) {
        if let Some(wanted) = range.parameters.get("escaping").and_then(|name| Escaping::parse(name)) {
            escaping = wanted;
        }
        let parameter = |name| range.parameters.get(name).copied().unwrap_or_default();
        let is_protobuf = (range.kind, range.subkind) == ("application", "vnd.google.protobuf");
        if is_protobuf && parameter("proto") == "io.prometheus.client.MetricFamily" {
            match parameter("encoding") {
                "delimited" => return (Format::Delimited, escaping),
                "text" => return (Format::ProtoText, escaping),
                "compact-text" => return (Format::CompactText, escaping),
                _ => {}
            }
        }
        if (range.kind, range.subkind) == ("text", "plain") && ["", "0.0.4"].contains(&parameter("version")) {
            break;
        }
    }
    (Format::Text, escaping)
}

/// Returns the value of `Content-Type`.
pub(super) fn content_type(format: Format, escaping: Escaping) -> String {
    let escaping = escaping.name();
    match format {
        Format::Text => format!("text/plain; version=0.0.4; charset=utf-8; escaping={escaping}"),
        Format::Delimited => format!("{PROTOBUF}delimited; escaping={escaping}"),
        Format::ProtoText => format!("{PROTOBUF}text; escaping={escaping}"),
        Format::CompactText => format!("{PROTOBUF}compact-text; escaping={escaping}"),
    }
}

/// One range of an `Accept` header.
struct Range<'a> {
    kind: &'a str,
    subkind: &'a str,
    quality: f64,
    parameters: HashMap<&'a str, &'a str>,
}

fn ranges(accept: &str) -> Vec<Range<'_>> {
    let mut ranges: Vec<Range<'_>> = accept.split(',').filter_map(range).collect();
    // Go's sort of up to twelve elements; its comparison is no order, so that the algorithm decides.
    for end in 1..ranges.len() {
        let mut at = end;
        while at > 0 && is_less(&ranges[at], &ranges[at - 1]) {
            ranges.swap(at, at - 1);
            at -= 1;
        }
    }
    ranges
}

fn range(part: &str) -> Option<Range<'_>> {
    let mut pieces = part.split(';');
    let mut media = pieces.next()?.split('/');
    let kind = media.next()?.trim_matches(' ');
    let subkind = match media.next().filter(|subkind| !subkind.is_empty()) {
        Some(subkind) if media.next().is_none_or(str::is_empty) => subkind.trim_matches(' '),
        None if kind == "*" => "*",
        _ => return None,
    };
    let mut range = Range { kind, subkind, quality: 1.0, parameters: HashMap::new() };
    for piece in pieces {
        let mut sides = piece.split('=');
        let (Some(name), Some(value), None) = (sides.next(), sides.next(), sides.next()) else { continue };
        match (name.trim_matches(' '), value) {
            (_, "") => {}
            ("q", quality) => range.quality = quality.parse().unwrap_or_default(),
            (name, value) => drop(range.parameters.insert(name, value.trim_matches(' '))),
        }
    }
    Some(range)
}

fn is_less(a: &Range<'_>, b: &Range<'_>) -> bool {
    a.quality > b.quality || a.kind != "*" && b.kind == "*" || a.subkind != "*" && b.subkind == "*"
}

/// Returns whether the answer to a request with this `Accept-Encoding` is compressed by gzip, the only compression that a
/// Pushgateway has.
pub(super) fn wants_gzip(accept_encoding: &str) -> bool {
    let (mut best, mut gzip) = (-1.0, false);
    let all: Vec<(&str, f64)> = encodings(accept_encoding);
    for offer in ["identity", "gzip"] {
        for (name, quality) in &all {
            if *quality > best && (*name == "*" || *name == offer) {
                (best, gzip) = (*quality, offer == "gzip");
            }
        }
    }
    gzip && best > 0.0
}

fn encodings(header: &str) -> Vec<(&str, f64)> {
    let mut all = Vec::new();
    for part in header.split(',') {
        let (name, quality) = match part.split_once(';') {
            Some((name, quality)) => {
                (name, quality.trim().strip_prefix("q=").and_then(|quality| quality.parse().ok()))
            }
            None => (part, Some(1.0)),
        };
        // The library stops at the first part that it does not understand.
        let Some(quality) = quality.filter(|_| !name.trim().is_empty()) else { break };
        all.push((name.trim(), quality));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negotiates_as_a_pushgateway() {
        let delimited =
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
        for (accept, format, escaping) in [
            ("", Format::Text, Escaping::Underscores),
            ("*/*", Format::Text, Escaping::Underscores),
            ("text/plain;escaping=values", Format::Text, Escaping::Values),
            (delimited, Format::Delimited, Escaping::Underscores),
            (
                &format!("text/plain;q=0.5,{delimited};q=0.6;escaping=allow-utf-8"),
                Format::Delimited,
                Escaping::None,
            ),
            (&format!("{delimited};q=0.4,text/plain;q=0.5"), Format::Text, Escaping::Underscores),
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.3",
                Format::Text,
                Escaping::None,
            ),
            ("text/plain;version=0.0.5", Format::Text, Escaping::Underscores),
        ] {
            assert_eq!(negotiate(accept), (format, escaping), "{accept}");
        }
    }

    #[test]
    fn compresses_as_a_pushgateway() {
        for accepted in ["gzip", "deflate, gzip;q=0.5", "br, gzip"] {
            assert!(wants_gzip(accepted), "{accepted}");
        }
        for accepted in ["", "*", "gzip;q=0", "zstd", "identity, gzip", "gzip;level=9"] {
            assert!(!wants_gzip(accepted), "{accepted}");
        }
    }
}
