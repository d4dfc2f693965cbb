//! Just enough protobuf to compare what Pushgateways expose, without any of the code under test.

use std::collections::BTreeMap;

use crate::Pushgateway;

const ACCEPT: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;\
                      escaping=allow-utf-8";

/// The exposition of the pushed groups: type and help of each family, and the bytes of each metric.
pub type Exposed = BTreeMap<String, (u64, Vec<u8>, Vec<Vec<u8>>)>;

/// Returns the exposition of the pushed groups of a gateway.
///
/// # Panics
/// If it does not answer as a Pushgateway does.
#[must_use]
pub fn exposed(gateway: &Pushgateway) -> Exposed {
    let answer = gateway.client().unwrap().send("GET", "/metrics", &[("accept", ACCEPT)], "").unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    parse(&answer.body)
}

/// Parses an exposition without the gateway's own metrics and push times. The metrics are sorted.
fn parse(mut body: &[u8]) -> Exposed {
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
