//! Types of families, and the names of their series.

/// Suffixes of the series of histograms and summaries.
pub(crate) const SUFFIXES: [&str; 3] = ["_count", "_sum", "_bucket"];

/// Returns what two types must share to be one family: a gateway exposes both types of histograms alike and accepts both, and
/// Prometheus takes the samples of both.
pub(crate) fn class(kind: &str) -> &str {
    if kind == "GAUGE_HISTOGRAM" { "HISTOGRAM" } else { kind }
}

/// Returns the family that has the name of a series of this one, or of which this one has the name of a series, such as
/// `h_bucket` and the histogram `h`. `kinds` returns the types of the family with a name, none if there is no such family.
///
/// The rule is that of `checkSuffixCollisions` in prometheus/client_golang 1.23, which every scrape of a Pushgateway applies.
pub(crate) fn collision<'k, K: IntoIterator<Item = &'k str>>(
    name: &str,
    kind: &str,
    kinds: impl Fn(&str) -> K,
) -> Option<String> {
    let is_held = |name: &String| kinds(name).into_iter().next().is_some();
    let of_part = suffixes(kind).iter().map(|suffix| format!("{name}{suffix}")).find(is_held);
    let whole = |suffix: &&str| {
        let whole = name.strip_suffix(suffix)?;
        kinds(whole).into_iter().any(|kind| suffixes(kind).contains(suffix)).then(|| whole.to_owned())
    };
    of_part.or_else(|| SUFFIXES.iter().find_map(whole))
}

/// Returns the suffixes of the series of a type.
fn suffixes(kind: &str) -> &'static [&'static str] {
    match kind {
        "HISTOGRAM" => &SUFFIXES,
        "SUMMARY" => &["_count", "_sum"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_collides_with_the_series_of_another() {
        let held = |name: &str| match name {
            "h" => Some("HISTOGRAM"),
            "s" => Some("SUMMARY"),
            "c_count" | "g_bucket" => Some("GAUGE"),
            _ => None,
        };
        for (name, kind, other) in [
            ("h_bucket", "GAUGE", Some("h")),
            ("h_sum", "HISTOGRAM", Some("h")),
            ("h_total", "GAUGE", None),
            ("h", "GAUGE", None),
            ("s_count", "GAUGE", Some("s")),
            ("s_bucket", "GAUGE", None),
            ("c", "SUMMARY", Some("c_count")),
            ("c", "COUNTER", None),
            ("g", "HISTOGRAM", Some("g_bucket")),
            ("g", "SUMMARY", None),
        ] {
            assert_eq!(collision(name, kind, held).as_deref(), other, "{name} {kind}");
        }
    }
}
