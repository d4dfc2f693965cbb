//! The text format, with the rules and the tolerance of `expfmt.TextParser`.

use std::collections::BTreeMap;

use super::family::{Family, Kind, Metric};
use super::{PushError, PushLimits};

/// Reads all families that have metrics.
pub(super) fn families(body: &[u8], limits: PushLimits) -> Result<Vec<Family>, PushError> {
    let mut parser = Parser { families: BTreeMap::new(), left: limits.series, limits };
    for (index, line) in body.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let failed = |reason: String| PushError::Text { line: index + 1, reason };
        // A line of blanks alone needs no end.
        let text = std::str::from_utf8(line).map_err(|_| failed("found bytes that are not UTF-8".into()))?;
        match text.strip_suffix('\n') {
            Some(text) => parser.line(text).map_err(|error| match error {
                Fault::Text(reason) => failed(reason),
                Fault::Push(error) => error,
            })?,
            None if text.trim_matches(BLANKS).is_empty() => {}
            None => return Err(failed("unexpected end, expected a line end".into())),
        }
    }
    let families = parser.families.into_values().map(|named| named.family);
    Ok(families.filter(|family| !family.metrics.is_empty()).collect())
}

const BLANKS: [char; 2] = [' ', '\t'];

enum Fault {
    Text(String),
    Push(PushError),
}

fn fault<T>(reason: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Text(reason.into()))
}

struct Parser {
    families: BTreeMap<String, Named>,
    /// Series that may still come.
    left: usize,
    limits: PushLimits,
}

/// A family while it is read.
struct Named {
    family: Family,
    has_type: bool,
    has_help: bool,
    /// Index of each histogram or summary by its sorted labels.
    metrics: BTreeMap<Vec<(String, String)>, usize>,
}

impl Parser {
    fn line(&mut self, line: &str) -> Result<(), Fault> {
        let line = line.trim_start_matches(BLANKS);
        match line.strip_prefix('#') {
            _ if line.is_empty() => Ok(()),
            Some(comment) => self.comment(comment.trim_start_matches(BLANKS)),
            None => self.sample(line),
        }
    }

    fn comment(&mut self, comment: &str) -> Result<(), Fault> {
        let (keyword, rest) = comment.split_once(BLANKS).unwrap_or((comment, ""));
        if keyword != "HELP" && keyword != "TYPE" {
            return Ok(());
        }
        let (name, rest) = name(rest.trim_start_matches(BLANKS))?;
        let text = rest.trim_start_matches(BLANKS);
        if name.is_empty() || text.is_empty() {
            return if rest.is_empty() { Ok(()) } else { fault("invalid metric name in comment") };
        }
        if text.len() == rest.len() {
            return fault("invalid metric name in comment");
        }
        let key = self.family(&name);
        let Some(named) = self.families.get_mut(&key) else { return Ok(()) };
        if keyword == "HELP" {
            if std::mem::replace(&mut named.has_help, true) {
                return fault(format!("second HELP line for metric name {key:?}"));
            }
            named.family.help = unescape(text)?;
            return Ok(());
        }
        if std::mem::replace(&mut named.has_type, true) {
            return fault(format!(
                "second TYPE line for metric name {key:?}, or TYPE reported after samples"
            ));
        }
        named.family.kind = match text.to_ascii_uppercase().as_str() {
            "COUNTER" => Kind::Counter,
            "GAUGE" => Kind::Gauge,
            "SUMMARY" => Kind::Summary,
            "UNTYPED" => Kind::Untyped,
            "HISTOGRAM" => Kind::Histogram,
            "GAUGE_HISTOGRAM" | "GAUGEHISTOGRAM" => Kind::GaugeHistogram,
            _ => return fault(format!("unknown metric type {text:?}")),
        };
        Ok(())
    }

    /// Returns the key of the family to which a name belongs: that of a summary or histogram if the name has its ending.
    fn family(&mut self, name: &str) -> String {
        if self.families.contains_key(name) {
            return name.to_owned();
        }
        let is = |base: &str, test: fn(Kind) -> bool| {
            self.families.get(base).is_some_and(|named| named.has_type && test(named.family.kind))
        };
        for ending in ["_count", "_sum", "_bucket"] {
            let Some(base) = name.strip_suffix(ending).filter(|base| !base.is_empty()) else { continue };
            let is_part =
                is(base, Kind::is_histogram) || ending != "_bucket" && is(base, |kind| kind == Kind::Summary);
            if is_part {
                return base.to_owned();
            }
        }
        let family = Family {
            name: name.to_owned(),
            kind: Kind::Untyped,
            help: String::new(),
            unit: String::new(),
            metrics: Vec::new(),
        };
        let named = Named { family, has_type: false, has_help: false, metrics: BTreeMap::new() };
        self.families.insert(name.to_owned(), named);
        name.to_owned()
    }

    fn sample(&mut self, line: &str) -> Result<(), Fault> {
        let is_inside = line.starts_with('{');
        let (mut metric, mut rest) = if is_inside { (String::new(), line) } else { name(line)? };
        let mut labels = Vec::new();
        rest = rest.trim_start_matches(BLANKS);
        if let Some(inside) = rest.strip_prefix('{') {
            rest = self.labels(inside, is_inside, &mut metric, &mut labels)?;
        } else if rest.len() + metric.len() == line.len() {
            return fault(format!("expected a blank after the metric name {metric:?}"));
        }
        if metric.is_empty() {
            return fault("invalid metric name");
        }
        let mut words = rest.split(BLANKS).filter(|word| !word.is_empty());
        let value = words.next().unwrap_or_default();
        if value.parse::<f64>().is_err() {
            return fault(format!("expected float as value, got {value:?}"));
        }
        if let Some(time) = words.next() {
            return match (time.parse::<i64>(), words.next()) {
                (Ok(_), None) => Err(Fault::Push(PushError::Timestamp { metric })),
                (Ok(_), Some(word)) => fault(format!("spurious string after timestamp: {word:?}")),
                (Err(_), _) => fault(format!("expected integer as timestamp, got {time:?}")),
            };
        }
        self.add(&metric, labels)
    }

    /// Reads labels up to the closing brace, and the name of the metric among them; returns the rest of the line.
    fn labels<'l>(
        &self,
        mut rest: &'l str,
        is_inside: bool,
        metric: &mut String,
        labels: &mut Vec<(String, String)>,
    ) -> Result<&'l str, Fault> {
        loop {
            rest = rest.trim_start_matches(BLANKS);
            if let Some(after) = rest.strip_prefix('}') {
                return Ok(after);
            }
            let (label, after) = name(rest)?;
            rest = after.trim_start_matches(BLANKS);
            if label.is_empty() {
                return fault(format!("invalid label name for metric {metric:?}"));
            }
            if let Some(after) = rest.strip_prefix('=') {
                let after = after.trim_start_matches(BLANKS);
                if !after.starts_with('"') {
                    return fault(format!("expected '\"' at start of the value of label {label:?}"));
                }
                let (value, after) = quoted(after)?;
                rest = after.trim_start_matches(BLANKS);
                if label == crate::METRIC_NAME {
                    return fault(format!("label name {label:?} is reserved"));
                }
                if labels.iter().any(|(name, _)| *name == label) {
                    return fault(format!("duplicate label names for metric {metric:?}"));
                }
                if labels.len() >= self.limits.labels {
                    return Err(Fault::Push(PushError::TooManyLabels { limit: self.limits.labels }));
                }
                labels.push((label, value));
            } else if is_inside && metric.is_empty() && labels.is_empty() {
                *metric = label;
            } else {
                return fault(format!("expected '=' after label name {label:?}"));
            }
            match rest.strip_prefix(',') {
                Some(after) => rest = after,
                None if rest.starts_with('}') => {}
                None => return fault("expected ',' or '}' after a label"),
            }
        }
    }

    /// Adds a sample to its family.
    fn add(&mut self, metric: &str, mut labels: Vec<(String, String)>) -> Result<(), Fault> {
        self.left = self
            .left
            .checked_sub(1)
            .ok_or(Fault::Push(PushError::TooManySeries { limit: self.limits.series }))?;
        let key = self.family(metric);
        let Some(named) = self.families.get_mut(&key) else { return Ok(()) };
        named.has_type = true;
        let part_label = match named.family.kind {
            Kind::Summary => "quantile",
            Kind::Histogram | Kind::GaugeHistogram => "le",
            _ => {
                named.family.metrics.push(Metric { labels, ..Metric::default() });
                return Ok(());
            }
        };
        let mut part = None;
        if let Some(at) = labels.iter().position(|(name, _)| name == part_label) {
            let (_, value) = labels.remove(at);
            part = Some(value.parse::<f64>().map_err(|_| {
                Fault::Text(format!("expected float as value for {part_label:?} label, got {value:?}"))
            })?);
        }
        labels.sort();
        let metrics = &mut named.family.metrics;
        let index = *named.metrics.entry(labels).or_insert_with_key(|labels| {
            metrics.push(Metric { labels: labels.clone(), ..Metric::default() });
            metrics.len() - 1
        });
        let is_part = !metric.ends_with("_count") && !metric.ends_with("_sum") || metric == key;
        if let (Some(metric), Some(part), true) =
            (metrics.get_mut(index), part.filter(|part| !part.is_nan()), is_part)
        {
            metric.parts.push(part);
        }
        Ok(())
    }
}

/// Reads a name, quoted or not; an empty one if there is none.
fn name(text: &str) -> Result<(String, &str), Fault> {
    if text.starts_with('"') {
        return quoted(text);
    }
    let is_first = |letter: char| letter.is_ascii_alphabetic() || "_:".contains(letter);
    let end = text
        .char_indices()
        .find(|(at, letter)| !(is_first(*letter) || *at > 0 && letter.is_ascii_digit()))
        .map_or(text.len(), |(at, _)| at);
    let (name, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    Ok((name.to_owned(), rest))
}

/// Reads a quoted text and returns what is behind it.
fn quoted(text: &str) -> Result<(String, &str), Fault> {
    let mut out = String::new();
    let mut letters = text.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Ok((out, text.get(at + 1..).unwrap_or_default())),
            '\\' => out.push(escaped(letters.next().map(|(_, letter)| letter))?),
            letter => out.push(letter),
        }
    }
    fault("a quoted text has no end on its line")
}

/// Reads a help text.
fn unescape(text: &str) -> Result<String, Fault> {
    let mut out = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        out.push(if letter == '\\' { escaped(letters.next())? } else { letter });
    }
    Ok(out)
}

fn escaped(letter: Option<char>) -> Result<char, Fault> {
    match letter {
        Some(letter @ ('"' | '\\')) => Ok(letter),
        Some('n') => Ok('\n'),
        Some(letter) => fault(format!("invalid escape sequence '\\{letter}'")),
        None => fault("a line ends within an escape sequence"),
    }
}
