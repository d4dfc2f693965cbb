//! Prometheus' text format 0.0.4, as `expfmt.MetricFamilyToText` of prometheus/common writes it.

use super::escape::{Escaping, is_legacy};
use super::metric::{Histogram, Label, Metric, Summary};
use super::number;
use super::render::Family;

/// Appends a family. A metric without the value that its type requires is left out.
pub(super) fn write(out: &mut Vec<u8>, family: &Family<'_>, escaping: Escaping) {
    let name = escaping.apply(family.name);
    if let Some(help) = family.help {
        out.extend_from_slice(b"# HELP ");
        write_name(out, &name);
        out.push(b' ');
        write_escaped(out, help.as_bytes(), false);
        out.push(b'\n');
    }
    out.extend_from_slice(b"# TYPE ");
    write_name(out, &name);
    let kind: &[u8] = match family.kind {
        "COUNTER" => b" counter\n",
        "GAUGE" => b" gauge\n",
        "SUMMARY" => b" summary\n",
        "HISTOGRAM" | "GAUGE_HISTOGRAM" => b" histogram\n",
        _ => b" untyped\n",
    };
    out.extend_from_slice(kind);
    for metric in family.decoded() {
        let mut sample = Sample { out, name: &name, metric: &metric, escaping };
        let value = match family.kind {
            "COUNTER" => metric.counter,
            "GAUGE" => metric.gauge,
            "UNTYPED" => metric.untyped,
            _ => None,
        };
        match family.kind {
            "SUMMARY" => metric.summary.iter().for_each(|summary| sample.summary(summary)),
            "HISTOGRAM" | "GAUGE_HISTOGRAM" => {
                metric.histogram.iter().for_each(|histogram| sample.histogram(histogram));
            }
            _ => value.iter().for_each(|value| sample.write("", None, value.value())),
        }
    }
}

struct Sample<'s> {
    out: &'s mut Vec<u8>,
    name: &'s str,
    metric: &'s Metric,
    escaping: Escaping,
}

impl Sample<'_> {
    #[allow(clippy::cast_precision_loss)]
    fn summary(&mut self, summary: &Summary) {
        for quantile in &summary.quantiles {
            let part = ("quantile", quantile.quantile());
            self.write("", Some(part), quantile.value());
        }
        self.write("_sum", None, summary.sum());
        self.write("_count", None, summary.count() as f64);
    }

    fn histogram(&mut self, histogram: &Histogram) {
        for bucket in &histogram.buckets {
            self.write("_bucket", Some(("le", bucket.upper_bound())), bucket.observations());
        }
        if !histogram.buckets.iter().any(|bucket| bucket.upper_bound() == f64::INFINITY) {
            self.write("_bucket", Some(("le", f64::INFINITY)), histogram.observations());
        }
        self.write("_sum", None, histogram.sum());
        self.write("_count", None, histogram.observations());
    }

    /// Writes one line. `part` is the label that the format adds.
    fn write(&mut self, suffix: &str, part: Option<(&str, f64)>, value: f64) {
        let mut separator = b'{';
        let is_legacy = is_legacy(self.name);
        if is_legacy {
            self.out.extend_from_slice(self.name.as_bytes());
            self.out.extend_from_slice(suffix.as_bytes());
        } else {
            self.out.push(separator);
            separator = b',';
            write_name(self.out, &format!("{}{suffix}", self.name));
        }
        for label in &self.metric.labels {
            self.out.push(separator);
            separator = b',';
            write_name(self.out, &self.escaping.apply(&name_of(label)));
            self.out.extend_from_slice(b"=\"");
            write_escaped(self.out, label.value(), true);
            self.out.push(b'"');
        }
        if let Some((name, bound)) = part {
            self.out.push(separator);
            separator = b',';
            self.out.extend_from_slice(name.as_bytes());
            self.out.extend_from_slice(b"=\"");
            self.out.extend_from_slice(number::exposed(bound).as_bytes());
            self.out.push(b'"');
        }
        if separator == b',' {
            self.out.push(b'}');
        }
        self.out.push(b' ');
        self.out.extend_from_slice(number::exposed(value).as_bytes());
        if let Some(time) = self.metric.timestamp_ms {
            self.out.extend_from_slice(format!(" {time}").as_bytes());
        }
        self.out.push(b'\n');
    }
}

fn name_of(label: &Label) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(label.name())
}

/// Quotes a name that is not of the old form.
fn write_name(out: &mut Vec<u8>, name: &str) {
    if is_legacy(name) {
        out.extend_from_slice(name.as_bytes());
        return;
    }
    out.push(b'"');
    write_escaped(out, name.as_bytes(), true);
    out.push(b'"');
}

fn write_escaped(out: &mut Vec<u8>, text: &[u8], quotes: bool) {
    for &byte in text {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'"' if quotes => out.extend_from_slice(b"\\\""),
            byte => out.push(byte),
        }
    }
}
