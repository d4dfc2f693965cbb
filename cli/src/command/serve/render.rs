//! Writes all families of a fleet in one of the formats.

use std::collections::BTreeMap;

use prost::bytes::Bytes;
use prost::encoding::{DecodeContext, decode_key, skip_field};

use super::escape::{Escaping, is_legacy};
use super::format::Format;
use super::metric::{self, Label, Labels, Metric};
use super::own;
use super::prototext;
use super::text;
use super::view::FleetView;
use crate::gateway::exposition;

/// A family with the metrics of all groups.
pub(super) struct Family<'v> {
    pub(super) name: &'v str,
    pub(super) kind: &'static str,
    pub(super) help: Option<&'v str>,
    metrics: Vec<&'v Bytes>,
}

impl Family<'_> {
    /// Decodes the metrics, in the order of Go's library. Corrupt ones are left out.
    pub(super) fn decoded(&self) -> Vec<Metric> {
        let mut metrics: Vec<Metric> =
            self.metrics.iter().filter_map(|raw| metric::decode(raw).ok()).collect();
        metrics.sort_by(|a, b| metric::order(&a.labels, &b.labels));
        metrics
    }

    /// Returns the encoded metrics in the same order, with escaped names of labels.
    pub(super) fn encoded(&self, escaping: Escaping) -> Vec<Bytes> {
        let labels = |raw: &&Bytes| Some((metric::labels(raw).ok()?, (*raw).clone()));
        let mut metrics: Vec<_> = self.metrics.iter().filter_map(labels).collect();
        metrics.sort_by(|a, b| metric::order(&a.0, &b.0));
        metrics.into_iter().map(|(labels, raw)| escaped(&labels, raw, escaping)).collect()
    }
}

/// Writes all families that fit together, and the server's own.
pub(super) fn write(view: &FleetView, format: Format, escaping: Escaping) -> Vec<u8> {
    let own = own::families(view);
    let mut out = Vec::new();
    for family in families(view, &own).into_values() {
        if format == Format::Text {
            text::write(&mut out, &family, escaping);
            continue;
        }
        let (name, metrics) = (escaping.apply(family.name), family.encoded(escaping));
        let family = exposition::Family::new(&name, family.kind, family.help, metrics);
        let encoded = exposition::write(&Vec::from_iter(family));
        match format {
            Format::ProtoText => prototext::write(&mut out, &encoded, false),
            Format::CompactText => prototext::write(&mut out, &encoded, true),
            Format::Text | Format::Delimited => out.extend(encoded),
        }
    }
    out
}

/// Collects the metrics by family, sorted by name.
fn families<'v>(view: &'v FleetView, own: &'v [own::OwnFamily]) -> BTreeMap<&'v str, Family<'v>> {
    let mut families: BTreeMap<&str, Family<'_>> = BTreeMap::new();
    let mut helps: BTreeMap<&str, BTreeMap<Option<&str>, usize>> = BTreeMap::new();
    let mut kinds: BTreeMap<&str, BTreeMap<&'static str, usize>> = BTreeMap::new();
    let all = view.groups.iter().flat_map(|group| &group.families);
    for family in all.filter(|family| !family.conflicts && !family.metrics.is_empty()) {
        let merged = families.entry(&family.name).or_insert_with(|| Family {
            name: &family.name,
            kind: family.kind,
            help: None,
            metrics: Vec::new(),
        });
        merged.metrics.extend(&family.metrics);
        *helps.entry(&family.name).or_default().entry(family.help.as_deref()).or_default() += 1;
        *kinds.entry(&family.name).or_default().entry(family.kind).or_default() += 1;
    }
    for family in families.values_mut() {
        // A Pushgateway takes the text of any group; this takes that of most, so that it rarely changes.
        family.help = helps.get(family.name).and_then(most).flatten();
        family.kind = kinds.get(family.name).and_then(most).unwrap_or(family.kind);
    }
    for family in own {
        let merged = families.entry(family.name).or_insert_with(|| Family {
            name: family.name,
            kind: "GAUGE",
            help: None,
            metrics: Vec::new(),
        });
        merged.help = Some(family.help);
        merged.metrics.extend(&family.metrics);
    }
    families
}

fn most<T: Copy + Ord>(counts: &BTreeMap<T, usize>) -> Option<T> {
    counts.iter().max_by_key(|(_, count)| **count).map(|(value, _)| *value)
}

/// Replaces the names of labels in an encoded metric, and leaves the rest as it is.
fn escaped(labels: &[Label], raw: Bytes, escaping: Escaping) -> Bytes {
    let is_plain = |label: &Label| std::str::from_utf8(label.name()).is_ok_and(is_legacy);
    if escaping == Escaping::None || labels.iter().all(is_plain) {
        return raw;
    }
    let escape = |label: &Label| {
        let name = escaping.apply(&String::from_utf8_lossy(label.name())).into_owned();
        Label { name: Some(name.into()), value: label.value.clone() }
    };
    let mut out = prost::Message::encode_to_vec(&Labels { all: labels.iter().map(escape).collect() });
    let mut rest: &[u8] = &raw;
    while !rest.is_empty() {
        let field = rest;
        let Ok((tag, kind)) = decode_key(&mut rest) else { break };
        if skip_field(kind, tag, &mut rest, DecodeContext::default()).is_err() {
            break;
        }
        if tag != 1 {
            out.extend_from_slice(&field[..field.len() - rest.len()]);
        }
    }
    out.into()
}
