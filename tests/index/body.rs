//! Bodies of remote write 1.0, without any of the code under test.

use pushring_harness::proto::{bytes, double, int};

/// Returns a body with one sample for each series, which is a list of names and values.
pub(crate) fn body(series: &[&[(&str, &str)]]) -> Vec<u8> {
    snappy(&series.iter().flat_map(|labels| bytes(1, one(labels))).collect::<Vec<u8>>())
}

/// Returns one series.
pub(crate) fn one(labels: &[(&str, &str)]) -> Vec<u8> {
    let label = |(name, value): &(&str, &str)| bytes(1, [bytes(1, name), bytes(2, value)].concat());
    let labels = labels.iter().flat_map(label);
    labels.chain(bytes(2, [double(1, 1.0), int(2, 1_700_000_000_000)].concat())).collect()
}

/// Returns a block of snappy without any compression.
pub(crate) fn snappy(plain: &[u8]) -> Vec<u8> {
    let mut block = varint(plain.len());
    for part in plain.chunks(1 << 16) {
        // A literal whose length has two bytes.
        block.push(61 << 2);
        block.extend((part.len() as u16).wrapping_sub(1).to_le_bytes());
        block.extend(part);
    }
    block
}

/// Returns a block of snappy that says that it has this length.
pub(crate) fn varint(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}
