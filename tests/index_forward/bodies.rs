//! Remote writes, made without the code under test.

use pushring_harness::proto;

pub(crate) type Label<'l> = (&'l str, &'l str);

/// A float sample, in either version.
pub(crate) fn sample(value: f64, at: i64) -> Vec<u8> {
    proto::message(2, &[proto::double(1, value), proto::int(2, at)])
}

/// A native histogram without observations: field 4 in 1.0, 3 in 2.0.
pub(crate) fn histogram(field: i64, at: i64) -> Vec<u8> {
    proto::message(field, &[proto::int(1, 0), proto::double(3, 0.0), proto::int(6, 0), proto::int(15, at)])
}

/// A series of 1.0 with the encoded values.
pub(crate) fn v1_series(labels: &[Label<'_>], values: &[Vec<u8>]) -> Vec<u8> {
    let labels = labels.iter().map(|(name, value)| proto::label(name, value));
    proto::message(1, &labels.chain(values.iter().cloned()).collect::<Vec<_>>())
}

/// A series of 2.0: names and values in turn, and the encoded values.
pub(crate) type SeriesV2 = (Vec<String>, Vec<u8>);

pub(crate) fn series_v2(labels: &[Label<'_>], values: &[Vec<u8>]) -> SeriesV2 {
    (
        labels.iter().flat_map(|(name, value)| [(*name).to_owned(), (*value).to_owned()]).collect(),
        values.concat(),
    )
}

/// A request of 2.0. The symbols 1, 2, … are the names and values in the order of the series, repeated ones too.
pub(crate) fn v2(series: &[SeriesV2]) -> Vec<u8> {
    let texts = || series.iter().flat_map(|(labels, _)| labels);
    let mut body = proto::bytes(4, "");
    body.extend(texts().flat_map(|text| proto::bytes(4, text)));
    let mut next = 1_u8;
    for (labels, values) in series {
        let after = next + u8::try_from(labels.len()).unwrap();
        let references: Vec<u8> = (next..after).collect();
        body.extend(proto::message(5, &[proto::bytes(1, references), values.clone()]));
        next = after;
    }
    body
}

pub(crate) fn snappy(plain: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(plain).unwrap()
}

pub(crate) fn plain(snappy: &[u8]) -> Vec<u8> {
    snap::raw::Decoder::new().decompress_vec(snappy).unwrap()
}
