//! Just enough protobuf to write families and compare metrics, without any of the code under test.

use std::collections::BTreeMap;

/// Numbers of `MetricType`.
pub(crate) const COUNTER: u64 = 0;
pub(crate) const GAUGE: u64 = 1;
pub(crate) const SUMMARY: u64 = 2;
pub(crate) const UNTYPED: u64 = 3;
pub(crate) const HISTOGRAM: u64 = 4;
pub(crate) const GAUGE_HISTOGRAM: u64 = 5;

fn varint(mut number: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
    out
}

/// Encodes a number field.
pub(crate) fn number(tag: u64, value: u64) -> Vec<u8> {
    [varint(tag << 3), varint(value)].concat()
}

/// Encodes a signed number field, as `sint32` and `sint64` do.
pub(crate) fn signed(tag: u64, value: i64) -> Vec<u8> {
    number(tag, ((value << 1) ^ (value >> 63)) as u64)
}

/// Encodes a double field.
pub(crate) fn double(tag: u64, value: f64) -> Vec<u8> {
    [varint(tag << 3 | 1), value.to_le_bytes().to_vec()].concat()
}

/// Encodes a message field of these parts.
pub(crate) fn message(tag: u64, parts: &[Vec<u8>]) -> Vec<u8> {
    bytes(tag, &parts.concat())
}

/// Encodes a text field.
pub(crate) fn bytes(tag: u64, value: &[u8]) -> Vec<u8> {
    [varint(tag << 3 | 2), varint(value.len() as u64), value.to_vec()].concat()
}

/// Encodes a label of a metric or an exemplar (field 1 of both).
pub(crate) fn label(name: &str, value: &str) -> Vec<u8> {
    message(1, &[bytes(1, name.as_bytes()), bytes(2, value.as_bytes())])
}

/// Encodes a `Metric`.
pub(crate) fn metric(parts: &[Vec<u8>]) -> Vec<u8> {
    message(4, parts)
}

/// Encodes a `MetricFamily` after its length, as in a push.
pub(crate) fn family(name: &str, kind: u64, metrics: &[Vec<u8>]) -> Vec<u8> {
    let head = [bytes(1, name.as_bytes()), bytes(2, format!("Help of {name}.").as_bytes()), number(3, kind)];
    let family = [head.concat(), metrics.concat()].concat();
    [varint(family.len() as u64), family].concat()
}

/// The exposition of the pushed groups: type and help of each family, and the bytes of each metric.
pub(crate) type Exposed = BTreeMap<String, (u64, Vec<u8>, Vec<Vec<u8>>)>;

/// Parses an exposition without the gateway's own metrics and push times. The metrics are sorted.
pub(crate) fn exposed(mut body: &[u8]) -> Exposed {
    let mut all = Exposed::new();
    while !body.is_empty() {
        let length = read_varint(&mut body) as usize;
        let (mut family, rest) = body.split_at(length);
        body = rest;
        let (mut name, mut kind, mut help, mut metrics) = (String::new(), 0, Vec::new(), Vec::new());
        while let Some((tag, number, bytes)) = read_field(&mut family) {
            match tag {
                1 => name = String::from_utf8(bytes.to_vec()).unwrap(),
                2 => help = bytes.to_vec(),
                3 => kind = number,
                // Only pushed metrics have a job.
                4 if bytes.windows(5).any(|part| part == b"\x0a\x03job") => metrics.push(bytes.to_vec()),
                4 => {}
                _ => panic!("field {tag} of {name}"),
            }
        }
        metrics.sort();
        if !metrics.is_empty() && !["push_time_seconds", "push_failure_time_seconds"].contains(&name.as_str())
        {
            all.insert(name, (kind, help, metrics));
        }
    }
    all
}

fn read_varint(from: &mut &[u8]) -> u64 {
    let mut number = 0;
    for shift in (0..).step_by(7) {
        let byte = from[0];
        *from = &from[1..];
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    number
}

/// Reads a tag and its value, a number or bytes. Families use no other types.
fn read_field<'b>(from: &mut &'b [u8]) -> Option<(u64, u64, &'b [u8])> {
    if from.is_empty() {
        return None;
    }
    let key = read_varint(from);
    let number = read_varint(from);
    if key & 7 == 0 {
        return Some((key >> 3, number, &[]));
    }
    assert_eq!(key & 7, 2);
    let (bytes, rest) = from.split_at(number as usize);
    *from = rest;
    Some((key >> 3, 0, bytes))
}
