//! Delimited protobuf: messages `io.prometheus.client.MetricFamily`, each after its length.

use std::collections::BTreeMap;

use crate::wire::{Fields, WireError, label_bytes, varint};

use super::family::{Family, Kind, Metric};
use super::{PushError, PushLimits};

/// Reads all families; of those with one name, the last counts.
pub(super) fn families(mut body: &[u8], limits: PushLimits) -> Result<Vec<Family>, PushError> {
    let mut families = BTreeMap::new();
    // Bounds the memory before the series are made, since a metric has at least one.
    let mut left = limits.series;
    while !body.is_empty() {
        let length = usize::try_from(varint(&mut body)?).map_err(|_| WireError::Truncated)?;
        let (message, rest) = body.split_at_checked(length).ok_or(WireError::Truncated)?;
        body = rest;
        let family = family(message, limits, &mut left)?;
        families.insert(family.name.clone(), family);
    }
    Ok(families.into_values().collect())
}

fn family(message: &[u8], limits: PushLimits, left: &mut usize) -> Result<Family, PushError> {
    let mut fields = Fields::new(message);
    let mut family = Family {
        name: String::new(),
        kind: Kind::Counter,
        help: String::new(),
        unit: String::new(),
        metrics: Vec::new(),
    };
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => family.name = text(field.bytes(number)?)?,
            2 => family.help = text(field.bytes(number)?)?,
            3 => {
                let kind = Kind::from_number(field.varint(number)?);
                family.kind = kind.unwrap_or(Kind::Untyped);
            }
            4 => {
                *left = left.checked_sub(1).ok_or(PushError::TooManySeries { limit: limits.series })?;
                let metric = metric(field.bytes(number)?, limits, left)?;
                family
                    .metrics
                    .push(metric.ok_or_else(|| PushError::Timestamp { metric: family.name.clone() })?);
            }
            5 => family.unit = text(field.bytes(number)?)?,
            _ => {}
        }
    }
    Ok(family)
}

/// Returns `None` for a metric with a time.
fn metric(message: &[u8], limits: PushLimits, left: &mut usize) -> Result<Option<Metric>, PushError> {
    let mut fields = Fields::new(message);
    let mut metric = Metric::default();
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => {
                if metric.labels.len() >= limits.labels {
                    return Err(PushError::TooManyLabels { limit: limits.labels });
                }
                metric.labels.push(label(field.bytes(number)?)?);
            }
            4 | 7 => parts(field.bytes(number)?, number == 7, &mut metric, limits, left)?,
            6 => return Ok(None),
            _ => {}
        }
    }
    Ok(Some(metric))
}

fn label(message: &[u8]) -> Result<(String, String), PushError> {
    let (name, value) = label_bytes(message)?;
    Ok((text(name)?, text(value)?))
}

/// Reads the quantiles of a summary, or the bounds of a histogram and whether it is a native one.
fn parts(
    message: &[u8],
    is_histogram: bool,
    metric: &mut Metric,
    limits: PushLimits,
    left: &mut usize,
) -> Result<(), PushError> {
    let mut fields = Fields::new(message);
    while let Some((number, field)) = fields.next()? {
        match number {
            3 => {
                *left = left.checked_sub(1).ok_or(PushError::TooManySeries { limit: limits.series })?;
                let place = if is_histogram { 2 } else { 1 };
                metric.parts.push(double(field.bytes(number)?, place)?);
            }
            // The test of Prometheus: spans, or a zero bucket.
            6 | 8 if is_histogram => metric.is_native |= field.double(number)? > 0.0,
            7 if is_histogram => metric.is_native |= field.varint(number)? > 0,
            9 | 12 if is_histogram => metric.is_native = true,
            _ => {}
        }
    }
    Ok(())
}

/// The float in one field of a message.
fn double(message: &[u8], place: u32) -> Result<f64, WireError> {
    let mut fields = Fields::new(message);
    let mut value = 0.0;
    while let Some((number, field)) = fields.next()? {
        if number == place {
            value = field.double(number)?;
        }
    }
    Ok(value)
}

fn text(bytes: &[u8]) -> Result<String, PushError> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| PushError::NotUtf8)
}
