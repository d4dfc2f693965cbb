use crate::wire::{Counts, LabelSet, SeriesError, v1, v2};
use crate::{Labels, LabelsError};

use super::*;

fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, bytes.len() as u8][..], bytes].concat()
}

/// Symbols 0 to 8.
fn request(series: &[Vec<u8>]) -> Vec<u8> {
    let symbols = ["", "__name__", "h_bucket", "job", "a", "trace_id", "x", "Help.", "s"];
    let symbols = symbols.iter().flat_map(|symbol| field(4, symbol.as_bytes()));
    symbols.chain(series.iter().flat_map(|series| field(5, series))).collect()
}

const SAMPLE: &[u8] = b"\x09\x00\x00\x00\x00\x00\x00\xf0\x3f\x10\x07\x18\x01";
const EXEMPLAR: &[u8] = b"\x0a\x02\x05\x06\x11\x00\x00\x00\x00\x00\x00\xf0\x3f\x18\x07";

fn convert(body: &[u8], histograms: bool) -> Converted {
    to_v1(&v2::Request::new(body).unwrap(), &[], histograms, 64, 10_000).unwrap()
}

#[test]
fn version_2_becomes_version_1_with_honest_counts() {
    let series = [
        field(1, &[1, 2, 3, 4]),
        field(2, SAMPLE),
        field(3, b"\x08\x01"),
        field(4, EXEMPLAR),
        field(4, b"\x0a\x02\x05\x63"),
        field(5, b"\x08\x03\x18\x07\x20\x08"),
    ]
    .concat();
    let bad = field(1, &[3, 4]);
    let body = request(&[series.clone(), bad, series]);
    let converted = convert(&body, true);
    assert_eq!(
        converted.counts,
        Counts { samples: 2, histograms: 2, exemplars: 2 },
        "the exemplar with symbol 99 is out"
    );
    assert_eq!((converted.bad, converted.first), (1, Some(SeriesError::Labels(LabelsError::NoMetricName))));
    let mut labels = LabelSet::new(64);
    let entries: Vec<_> = v1::entries(&converted.body).map(Result::unwrap).collect();
    let [v1::Entry::Series(first), v1::Entry::Series(_), v1::Entry::Metadata(facts)] = entries[..] else {
        panic!("{entries:?}")
    };
    first.labels(&mut labels).unwrap();
    assert_eq!(labels.to_labels().unwrap().to_string(), r#"h_bucket{job="a"}"#);
    assert_eq!(first.counts(), Counts { samples: 1, histograms: 1, exemplars: 1 });
    assert_eq!(first.samples().collect::<Vec<_>>(), [Ok((7, 1.0))]);
    assert_eq!(facts.family(), "h", "one entry for the family");
    let metadata = facts.metadata();
    assert_eq!((&*metadata.kind, &*metadata.help, &*metadata.unit), ("histogram", "Help.", "s"));
    let exemplar =
        [field(1, &[field(1, b"trace_id"), field(2, b"x")].concat()), EXEMPLAR[4..].to_vec()].concat();
    assert!(first.message().windows(exemplar.len()).any(|part| part == exemplar));
}

#[test]
fn a_target_without_histograms_gets_none_and_no_empty_series() {
    let series = [field(1, &[1, 2]), field(3, b"\x08\x01")].concat();
    let converted = convert(&request(&[series]), false);
    assert_eq!((converted.body.len(), converted.counts, converted.bad), (0, Counts::default(), 0));
}

#[test]
fn a_symbol_that_many_series_repeat_does_not_fill_the_memory() {
    let long = "x".repeat(100);
    let mut body = request(&[]);
    body.extend(field(4, long.as_bytes()));
    let series = [field(1, &[1, 9]), field(2, SAMPLE)].concat();
    (0..1_000).for_each(|_| body.extend(field(5, &series)));
    let request = v2::Request::new(&body).unwrap();
    assert_eq!(to_v1(&request, &[], true, 64, 10_000).unwrap_err(), ConvertError::TooLong { limit: 10_000 });
}

#[test]
fn samples_become_puts() {
    let labels = |pairs: &[(&str, &str)]| {
        Labels::new(pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()).unwrap()
    };
    let all = [Ok((1_700_000_000_123, 1.5)), Ok((2, f64::NAN)), Ok((3, f64::INFINITY))];
    let mut puts = Puts::new(Charset::Victoria);
    puts.add(&labels(&[("__name__", "a:b"), ("job", "x y")]), all, 2).unwrap();
    let (list, dropped) = puts.finish();
    assert_eq!(dropped, Dropped { not_finite: 2, histograms: 2, tags: 0 });
    let bodies: Vec<_> = put_bodies(&list).collect();
    let json = r#"[{"metric":"a:b","timestamp":1700000000123,"value":1.5,"tags":{"job":"x y"}}]"#;
    assert_eq!(bodies, [json.as_bytes()]);
    assert_eq!(read_puts(&bodies[0], LIMITS).unwrap().puts, list);

    let mut puts = Puts::new(Charset::Strict);
    puts.add(&labels(&[("__name__", "a:b"), ("job", "x é/")]), [Ok((1, 1.0))], 0).unwrap();
    puts.add(&labels(&[("__name__", "alone")]), [Ok((1, 1.0))], 0).unwrap();
    let nine: Vec<_> =
        (0..9).map(|i| (format!("l{i}"), "1".to_owned())).chain([("__name__".into(), "m".into())]).collect();
    puts.add(&Labels::new(nine).unwrap(), [Ok((1, 1.0))], 0).unwrap();
    let (list, dropped) = puts.finish();
    assert_eq!(dropped.tags, 1);
    let texts: Vec<_> = list.iter().map(|put| format!("{} {:?}", put.metric, put.tags)).collect();
    assert_eq!(texts, [r#"a_b {"job": "x__/"}"#, r#"alone {"source": "prometheus"}"#]);
    let many = vec![list[0].clone(); MAX_PUTS + 1];
    assert_eq!(put_bodies(&many).count(), 2);
}

const LIMITS: PutLimits = PutLimits { puts: 2, labels: 3, name: 9 };

#[test]
fn puts_become_series() {
    for body in [
        r#"{"metric":"m","timestamp":1,"value":"1.5","tags":{"a":"b"},"other":[1]}"#,
        r#" [{"metric":"m","timestamp":"1","value":1.5,"tags":{"a":"b"}}]"#,
        r#"{"timeseries":[{"metric":"m","timestamp":1,"value":1.5,"tags":{"a":"b"}}]}"#,
    ] {
        let read = read_puts(body.as_bytes(), LIMITS).unwrap();
        assert_eq!(read.reasons, []);
        let puts = read.puts;
        assert_eq!(puts[0].labels().unwrap().to_string(), r#"m{a="b"}"#, "{body}");
        assert_eq!((puts[0].milliseconds(), puts[0].value), (1_000, 1.5));
    }
    let late = read_puts(br#"{"metric":"m","timestamp":1700000000123,"value":-1}"#, LIMITS).unwrap();
    assert_eq!(late.puts[0].milliseconds(), 1_700_000_000_123);
}

#[test]
fn a_wrong_put_is_named_with_its_field_and_the_others_are_read() {
    let good = r#"{"metric":"m","timestamp":1,"value":1}"#;
    for (bad, reason) in [
        ("5", "put 1: expected an object with each field once, found 5"),
        (r#"{"timestamp":1,"value":1}"#, "put 1: metric: expected a name of 1 to 9 bytes, found nothing"),
        (
            r#"{"metric":"","timestamp":1,"value":1}"#,
            "put 1: metric: expected a name of 1 to 9 bytes, found \"\"",
        ),
        (r#"{"metric":"0123456789","timestamp":1,"value":1}"#, "put 1: metric: "),
        (r#"{"metric":{"a":1},"timestamp":1,"value":1}"#, "put 1: metric: "),
        (
            r#"{"metric":"m","timestamp":1.5,"value":1}"#,
            "put 1: timestamp: expected seconds or milliseconds since 1970, found 1.5",
        ),
        (r#"{"metric":"m","timestamp":-1,"value":1}"#, "put 1: timestamp: "),
        (
            r#"{"metric":"m","timestamp":1,"value":"NaN"}"#,
            "put 1: value: expected a finite number, found \"NaN\"",
        ),
        (r#"{"metric":"m","timestamp":1,"value":1e999}"#, "put 1: value: "),
        (r#"{"metric":"m","timestamp":1,"value":null}"#, "put 1: value: "),
        (
            r#"{"metric":"m","timestamp":1,"value":1,"value":2}"#,
            "put 1: expected an object with each field once",
        ),
        (r#"{"metric":"m","timestamp":1,"value":1,"tags":[]}"#, "put 1: tags: expected an object, found []"),
        (r#"{"metric":"m","timestamp":1,"value":1,"tags":{"a":1}}"#, "put 1: tags.a: expected text, found 1"),
        (r#"{"metric":"m","timestamp":1,"value":1,"tags":{"":"1"}}"#, "put 1: tags.: expected a name"),
        (r#"{"metric":"m","timestamp":1,"value":1,"tags":{"__name__":"1"}}"#, "put 1: tags.__name__: "),
        (
            r#"{"metric":"m","timestamp":1,"value":1,"tags":{"a":"1","b":"1","c":"1"}}"#,
            "put 1: tags: expected at most 2 tags, found 3",
        ),
    ] {
        let read = read_puts(format!("[{good},{bad}]").as_bytes(), LIMITS).unwrap();
        assert_eq!((read.puts.len(), read.bad), (1, 1), "{bad}");
        let found = read.reasons[0].to_string();
        assert!(found.starts_with(reason), "{found}");
    }
}

#[test]
fn a_thousand_wrong_puts_have_ten_reasons() {
    let body = format!("[{}]", vec!["{}"; 1_000].join(","));
    let read = read_puts(body.as_bytes(), PutLimits { puts: 1_000, ..LIMITS }).unwrap();
    assert_eq!((read.puts.len(), read.bad, read.reasons.len()), (0, 1_000, 10));
}

#[test]
fn a_body_of_another_form_is_an_error() {
    let put = r#"{"metric":"m","timestamp":1,"value":1}"#;
    for (body, part) in [
        ("[", "EOF"),
        ("1", "expected a put"),
        (r#"{"timeseries":5}"#, "an array of up to 2 puts"),
        (&format!("[{put},{put},{put}]"), "up to 2 puts"),
        ("[] x", "trailing"),
        ("[\"\u{0}\"]", "control character"),
        (&"[".repeat(100_000), ""),
    ] {
        let error = read_puts(body.as_bytes(), LIMITS).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    assert!(read_puts(b"[\"\xff\"]", LIMITS).is_err());
}
