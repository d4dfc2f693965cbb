//! Both versions against prost as referee, and against hostile bytes.

use prost::Message;

use crate::{Key, Metadata};

use super::*;

/// The messages as the published .proto files have them; what this library does not parse is bytes.
mod referee {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct WriteRequest {
        #[prost(message, repeated, tag = "1")]
        pub(super) timeseries: Vec<TimeSeries>,
        #[prost(message, repeated, tag = "3")]
        pub(super) metadata: Vec<MetricMetadata>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct TimeSeries {
        #[prost(message, repeated, tag = "1")]
        pub(super) labels: Vec<Label>,
        #[prost(message, repeated, tag = "2")]
        pub(super) samples: Vec<Sample>,
        #[prost(bytes = "vec", repeated, tag = "3")]
        pub(super) exemplars: Vec<Vec<u8>>,
        #[prost(bytes = "vec", repeated, tag = "4")]
        pub(super) histograms: Vec<Vec<u8>>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Label {
        #[prost(string, tag = "1")]
        pub(super) name: String,
        #[prost(string, tag = "2")]
        pub(super) value: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Sample {
        #[prost(double, tag = "1")]
        pub(super) value: f64,
        #[prost(int64, tag = "2")]
        pub(super) timestamp: i64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct MetricMetadata {
        #[prost(int32, tag = "1")]
        pub(super) kind: i32,
        #[prost(string, tag = "2")]
        pub(super) metric_family_name: String,
        #[prost(string, tag = "4")]
        pub(super) help: String,
        #[prost(string, tag = "5")]
        pub(super) unit: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Request {
        #[prost(string, repeated, tag = "4")]
        pub(super) symbols: Vec<String>,
        #[prost(message, repeated, tag = "5")]
        pub(super) timeseries: Vec<TimeSeries2>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct TimeSeries2 {
        #[prost(uint32, repeated, tag = "1")]
        pub(super) labels_refs: Vec<u32>,
        #[prost(message, repeated, tag = "2")]
        pub(super) samples: Vec<Sample>,
        #[prost(bytes = "vec", repeated, tag = "3")]
        pub(super) histograms: Vec<Vec<u8>>,
        #[prost(bytes = "vec", repeated, tag = "4")]
        pub(super) exemplars: Vec<Vec<u8>>,
        #[prost(message, optional, tag = "5")]
        pub(super) metadata: Option<Metadata2>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Metadata2 {
        #[prost(int32, tag = "1")]
        pub(super) kind: i32,
        #[prost(uint32, tag = "3")]
        pub(super) help_ref: u32,
        #[prost(uint32, tag = "4")]
        pub(super) unit_ref: u32,
    }
}

/// A series, as far as a test compares it.
#[derive(Debug, PartialEq)]
struct Seen {
    labels: Vec<(String, String)>,
    counts: Counts,
    samples: Vec<(i64, u64)>,
    metadata: Metadata,
}

fn owned(labels: &LabelSet<'_>) -> Vec<(String, String)> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn bits(
    samples: impl Iterator<Item = Result<(i64, f64), WireError>>,
) -> Result<Vec<(i64, u64)>, SeriesError> {
    samples.map(|sample| Ok(sample.map(|(time, value)| (time, value.to_bits()))?)).collect()
}

type Families = Vec<(String, Metadata)>;

fn read_v1(body: &[u8]) -> Result<(Vec<Seen>, Families), SeriesError> {
    let (mut series, mut families) = (Vec::new(), Vec::new());
    let mut labels = LabelSet::new(usize::MAX);
    for entry in v1::entries(body) {
        match entry? {
            v1::Entry::Series(one) => {
                one.labels(&mut labels)?;
                let samples = bits(one.samples())?;
                let metadata = Metadata::default();
                series.push(Seen { labels: owned(&labels), counts: one.counts(), samples, metadata });
            }
            v1::Entry::Metadata(metadata) => families.push((metadata.family(), metadata.metadata())),
        }
    }
    Ok((series, families))
}

fn read_v2(body: &[u8]) -> Result<Vec<Seen>, SeriesError> {
    let request = v2::Request::new(body)?;
    let mut labels = LabelSet::new(usize::MAX);
    let mut series = Vec::new();
    for one in request.series() {
        let one = one?;
        one.labels(&request, &mut labels)?;
        let samples = bits(one.samples())?;
        series.push(Seen {
            labels: owned(&labels),
            counts: one.counts(),
            samples,
            metadata: one.metadata(&request)?,
        });
    }
    Ok(series)
}

fn counts(samples: usize, histograms: usize, exemplars: usize) -> Counts {
    Counts { samples: samples as u64, histograms: histograms as u64, exemplars: exemplars as u64 }
}

fn kind(number: i32) -> String {
    type_name(number as u32).to_owned()
}

fn sample_bits(samples: &[referee::Sample]) -> Vec<(i64, u64)> {
    samples.iter().map(|sample| (sample.timestamp, sample.value.to_bits())).collect()
}

fn referee_v1(body: &[u8]) -> Option<(Vec<Seen>, Families)> {
    let request = referee::WriteRequest::decode(body).ok()?;
    let series = request.timeseries.into_iter().map(|series| Seen {
        counts: counts(series.samples.len(), series.histograms.len(), series.exemplars.len()),
        samples: sample_bits(&series.samples),
        labels: series.labels.into_iter().map(|label| (label.name, label.value)).collect(),
        metadata: Metadata::default(),
    });
    let families = request.metadata.into_iter().map(|metadata| {
        let facts = Metadata { kind: kind(metadata.kind), unit: metadata.unit, help: metadata.help };
        (metadata.metric_family_name, facts)
    });
    Some((series.collect(), families.collect()))
}

/// `None` also if a reference leads nowhere, which is no error of protobuf.
fn referee_v2(body: &[u8]) -> Option<Vec<Seen>> {
    let request = referee::Request::decode(body).ok()?;
    let symbol = |reference: &u32| request.symbols.get(*reference as usize).cloned();
    let series = request.timeseries.iter().map(|series| {
        let labels = series.labels_refs.chunks(2).map(|pair| match pair {
            [name, value] => Some((symbol(name)?, symbol(value)?)),
            _ => None,
        });
        let metadata = series.metadata.clone().unwrap_or_default();
        let text = |reference: u32| symbol(&reference).unwrap_or_default();
        Some(Seen {
            labels: labels.collect::<Option<_>>()?,
            counts: counts(series.samples.len(), series.histograms.len(), series.exemplars.len()),
            samples: sample_bits(&series.samples),
            metadata: Metadata {
                kind: kind(metadata.kind),
                help: if metadata.help_ref == 0 { String::new() } else { text(metadata.help_ref) },
                unit: if metadata.unit_ref == 0 { String::new() } else { text(metadata.unit_ref) },
            },
        })
    });
    series.collect()
}

mod generate {
    use arbtest::arbitrary::{Result, Unstructured};

    use super::referee::*;

    const TEXTS: [&str; 8] = [
        "",
        "__name__",
        "up",
        "job",
        "a",
        "é",
        "Zone",
        "a much longer text, of more than one byte of length, is written with two: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    ];

    fn list<T>(
        u: &mut Unstructured<'_>,
        most: usize,
        mut one: impl FnMut(&mut Unstructured<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        (0..u.int_in_range(0..=most)?).map(|_| one(u)).collect()
    }

    fn text(u: &mut Unstructured<'_>) -> Result<String> {
        Ok((*u.choose(&TEXTS)?).to_owned())
    }

    fn sample(u: &mut Unstructured<'_>) -> Result<Sample> {
        Ok(Sample { value: u.arbitrary()?, timestamp: u.arbitrary()? })
    }

    fn bytes(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
        list(u, 3, |u| u.arbitrary())
    }

    pub(super) fn write_request(u: &mut Unstructured<'_>) -> Result<WriteRequest> {
        let label = |u: &mut Unstructured<'_>| Ok(Label { name: text(u)?, value: text(u)? });
        let series = |u: &mut Unstructured<'_>| {
            Ok(TimeSeries {
                labels: list(u, 4, label)?,
                samples: list(u, 2, sample)?,
                exemplars: list(u, 2, bytes)?,
                histograms: list(u, 2, bytes)?,
            })
        };
        let metadata = |u: &mut Unstructured<'_>| {
            let kind = u.int_in_range(-1..=9)?;
            Ok(MetricMetadata { kind, metric_family_name: text(u)?, help: text(u)?, unit: text(u)? })
        };
        Ok(WriteRequest { timeseries: list(u, 4, series)?, metadata: list(u, 2, metadata)? })
    }

    pub(super) fn request(u: &mut Unstructured<'_>) -> Result<Request> {
        let reference = |u: &mut Unstructured<'_>| u.int_in_range(0..=7_u32);
        let series = |u: &mut Unstructured<'_>| {
            let kind = u.int_in_range(-1..=9)?;
            let metadata = Metadata2 { kind, help_ref: reference(u)?, unit_ref: reference(u)? };
            Ok(TimeSeries2 {
                labels_refs: list(u, 8, reference)?,
                samples: list(u, 2, sample)?,
                histograms: list(u, 2, bytes)?,
                exemplars: list(u, 2, bytes)?,
                metadata: u.arbitrary::<bool>()?.then_some(metadata),
            })
        };
        let symbols = TEXTS.map(str::to_owned).to_vec();
        Ok(Request { symbols, timeseries: list(u, 4, series)? })
    }

    /// Changes some bytes, which makes most messages corrupt and some surprising.
    pub(super) fn damage(u: &mut Unstructured<'_>, body: &mut [u8]) -> Result<()> {
        for _ in 0..u.int_in_range(0..=3)? {
            if let Some(last) = body.len().checked_sub(1) {
                let at = u.int_in_range(0..=last)?;
                body[at] = u.arbitrary()?;
            }
        }
        Ok(())
    }
}

/// Groups and the fields of the other version are the things that prost reads and this library does not.
fn is_refused(error: &SeriesError) -> bool {
    matches!(error, SeriesError::Wire(WireError::WireType(3 | 4) | WireError::OtherVersion(_)))
}

fn has_bad_symbol(body: &[u8]) -> bool {
    let mut fields = Fields::new(body);
    while let Ok(Some((number, field))) = fields.next() {
        if matches!((number, field), (4, Field::Bytes(symbol)) if std::str::from_utf8(symbol).is_err()) {
            return true;
        }
    }
    false
}

#[test]
fn version_1_is_read_as_prost_reads_it() {
    arbtest::arbtest(|u| {
        let mut body = generate::write_request(u)?.encode_to_vec();
        generate::damage(u, &mut body)?;
        match (read_v1(&body), referee_v1(&body)) {
            (Ok(read), Some(referee)) => assert_eq!(read, referee, "{body:?}"),
            (Ok((_, families)), None) => {
                let is_lossy = format!("{families:?}").contains('\u{fffd}');
                assert!(is_lossy, "only text of metadata may be bad: {families:?} {body:?}");
            }
            (Err(error), Some(_)) => assert!(is_refused(&error), "{error} {body:?}"),
            (Err(_), None) => {}
        }
        Ok(())
    });
}

#[test]
fn version_2_is_read_as_prost_reads_it() {
    arbtest::arbtest(|u| {
        let mut body = generate::request(u)?.encode_to_vec();
        generate::damage(u, &mut body)?;
        match (read_v2(&body), referee_v2(&body)) {
            (Ok(read), Some(referee)) => assert_eq!(read, referee, "{body:?}"),
            (Ok(read), None) => {
                assert!(has_bad_symbol(&body), "only text that no label uses may be bad: {read:?} {body:?}");
            }
            (Err(error), Some(_)) => assert!(is_refused(&error), "{error} {body:?}"),
            (Err(_), None) => {}
        }
        Ok(())
    });
}

#[test]
fn both_versions_give_the_key_of_the_owned_labels() {
    arbtest::arbtest(|u| {
        let request = generate::request(u)?;
        let body = request.encode_to_vec();
        let (mut tenant, mut labels) = (Tenant::new("a"), LabelSet::new(64));
        let request = v2::Request::new(&body).unwrap();
        for series in request.series() {
            if series.unwrap().labels(&request, &mut labels).is_err() {
                continue;
            }
            let owned = labels.to_labels();
            let first = referee::TimeSeries {
                labels: labels
                    .iter()
                    .map(|(name, value)| referee::Label { name: name.into(), value: value.into() })
                    .collect(),
                ..Default::default()
            };
            let expected = owned.as_ref().map(|labels| Key::new("a", labels)).map_err(Clone::clone);
            assert_eq!(tenant.key(&mut labels), expected, "{owned:?}");
            let body =
                referee::WriteRequest { timeseries: vec![first], metadata: Vec::new() }.encode_to_vec();
            let mut labels = LabelSet::new(64);
            let Some(Ok(v1::Entry::Series(series))) = v1::entries(&body).next() else { panic!("one series") };
            series.labels(&mut labels).unwrap();
            assert_eq!(tenant.key(&mut labels), expected);
            assert_eq!(labels.to_labels(), owned);
        }
        Ok(())
    });
}

#[test]
fn raw_labels_decide_the_labels_even_with_other_fields_between() {
    let label = |name: &str, value: &str| referee::Label { name: name.into(), value: value.into() };
    let part =
        |labels, samples| referee::TimeSeries { labels, samples, ..Default::default() }.encode_to_vec();
    let sample = referee::Sample { value: 1.0, timestamp: 7 };
    let message = [
        part(vec![], vec![sample.clone()]),
        part(vec![label("__name__", "up")], vec![sample.clone()]),
        part(vec![label("job", "a")], vec![sample.clone()]),
    ]
    .concat();
    let mut body = vec![0x0a];
    write_varint(message.len() as u64, &mut body);
    body.extend_from_slice(&message);
    let Some(Ok(v1::Entry::Series(series))) = v1::entries(&body).next() else { panic!("one series") };
    let mut labels = LabelSet::new(2);
    series.labels(&mut labels).unwrap();
    assert_eq!(owned(&labels), [("__name__".into(), "up".into()), ("job".into(), "a".into())]);
    assert_eq!(series.counts(), counts(3, 0, 0));
    assert!(series.raw_labels().starts_with(b"\x0a\x0e\x0a\x08__name__"));
    assert!(series.raw_labels().ends_with(b"job\x12\x01a"));
    let (a, b) = (Tenant::new("a"), Tenant::new("b"));
    assert_ne!(a.raw_key(series.raw_labels()), b.raw_key(series.raw_labels()), "each tenant has its own");
}

#[test]
fn the_fault_of_one_series_has_a_name() {
    let request = |symbols: &[&str], labels_refs: &[u32]| {
        let series = referee::TimeSeries2 { labels_refs: labels_refs.to_vec(), ..Default::default() };
        let symbols = symbols.iter().map(|&symbol| symbol.to_owned()).collect();
        referee::Request { symbols, timeseries: vec![series] }.encode_to_vec()
    };
    let labels = |body: &[u8], limit| {
        let request = v2::Request::new(body).unwrap();
        let series = request.series().next().unwrap().unwrap();
        series.labels(&request, &mut LabelSet::new(limit))
    };
    let body = request(&["", "__name__", "up"], &[1, 2, 1]);
    assert_eq!(labels(&body, 9), Err(SeriesError::OddReferences));
    let body = request(&["", "__name__", "up"], &[1, 3]);
    assert_eq!(labels(&body, 9), Err(SeriesError::NoSymbol { reference: 3, symbols: 3 }));
    let body = request(&["", "a", "b"], &[1, 2, 1, 2, 1, 2]);
    assert_eq!(labels(&body, 2), Err(SeriesError::TooManyLabels { limit: 2 }));
    let mut body = request(&["", "~", "b"], &[1, 2]);
    let at = body.iter().position(|byte| *byte == b'~').unwrap();
    body[at] = 0xff;
    assert_eq!(labels(&body, 2), Err(SeriesError::NotUtf8));
    let long = "x".repeat(100_000);
    let body = request(&["", "a", &long], &[1, 2, 1, 2, 1, 2]);
    assert_eq!(labels(&body, 9), Err(SeriesError::TooLong), "references multiply a symbol");
    let unpacked = b"\x22\x00\x22\x01a\x2a\x04\x08\x01\x08\x00";
    assert_eq!(labels(unpacked, 1), Ok(()), "references one by one are good protobuf");
}

#[test]
fn a_million_labels_are_one_error_and_little_memory() {
    let one = b"\x0a\x03\x0a\x01a";
    let message = one.repeat(1_000_000);
    let mut body = vec![0x0a];
    write_varint(message.len() as u64, &mut body);
    body.extend_from_slice(&message);
    let Some(Ok(v1::Entry::Series(series))) = v1::entries(&body).next() else { panic!("one series") };
    let mut labels = LabelSet::new(64);
    assert_eq!(series.labels(&mut labels), Err(SeriesError::TooManyLabels { limit: 64 }));
    assert_eq!(labels.iter().count(), 64);
}

#[test]
fn too_many_symbols_are_an_error() {
    let body = b"\x22\x00".repeat(v2::MAX_SYMBOLS + 1);
    assert_eq!(v2::Request::new(&body).unwrap_err(), WireError::TooManySymbols(v2::MAX_SYMBOLS));
}

#[test]
fn a_body_of_the_other_version_is_an_error() {
    let [series, metadata, symbol, series_2] =
        [b"\x0a\x00", b"\x1a\x00", b"\x22\x00", b"\x2a\x00"].map(|field| field.as_slice());
    for (body, number) in [(symbol, 4), (series_2, 5)] {
        let body = [series, body].concat();
        let error = v1::entries(&body).find_map(Result::err);
        assert_eq!(error, Some(WireError::OtherVersion(number)), "{body:?}");
    }
    for (body, number) in [(series, 1), (metadata, 3)] {
        let body = [symbol, series_2, body].concat();
        assert_eq!(v2::Request::new(&body).unwrap_err(), WireError::OtherVersion(number), "{body:?}");
    }
    // Cortex writes the origin of a request of 1.0 into field 2; the field of a later version says nothing.
    assert!(v1::entries(b"\x10\x01\x0a\x00\x32\x00").all(|entry| entry.is_ok()));
    assert!(v2::Request::new(b"\x22\x00\x32\x00").is_ok());
}

#[test]
fn the_iterators_end_after_an_error() {
    let truncated = b"\x0a\x00\x0a\x05\x0a";
    let mut entries = v1::entries(truncated);
    assert!(entries.next().unwrap().is_ok());
    assert_eq!(entries.next().unwrap().unwrap_err(), WireError::Truncated);
    assert!(entries.next().is_none());
}

#[test]
fn lengths_and_numbers_beyond_the_body_are_errors() {
    for (body, error) in [
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01".as_slice(), WireError::Truncated),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", WireError::LongVarint),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", WireError::LongVarint),
        (b"\x0a", WireError::Truncated),
        (b"\x02\x00", WireError::FieldNumber),
        (b"\x0b", WireError::WireType(3)),
        (b"\x08\x00", WireError::WrongType(1)),
        (b"\x19\x00", WireError::Truncated),
    ] {
        assert_eq!(v1::entries(body).next().unwrap().unwrap_err(), error, "{body:?}");
    }
}
