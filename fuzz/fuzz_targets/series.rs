//! Reads arbitrary bytes as every kind of request that metric-index takes, and checks that conversions agree.
#![no_main]

use libfuzzer_sys::fuzz_target;

use pushring_index::convert::{PutLimits, read_puts, to_v1};
use pushring_index::matcher::Selector;
use pushring_index::pushed::{Paths, PushLimits, series};
use pushring_index::wire::{Counts, LabelSet, Tenant, v1, v2};
use pushring_index::{Key, Labels};

const PROTOBUF: &str =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

fuzz_target!(|data: &[u8]| {
    let Some((&kind, data)) = data.split_last() else { return };
    match kind % 7 {
        0 => write_v1(data),
        1 => write_v2(data),
        2 => push(data, PROTOBUF),
        3 => push(data, "text/plain"),
        4 => puts(data),
        5 => drop(std::str::from_utf8(data).map(str::parse::<Selector>)),
        _ => path(data),
    }
});

/// Borrowed and owned labels have one key; equal raw labels have equal labels.
fn write_v1(data: &[u8]) {
    let (mut tenant, mut labels) = (Tenant::new("t"), LabelSet::new(64));
    for entry in v1::entries(data) {
        let Ok(v1::Entry::Series(series)) = entry else { continue };
        if series.labels(&mut labels).is_ok() {
            let owned = labels.to_labels().map(|labels| Key::new("t", &labels));
            assert_eq!(tenant.key(&mut labels), owned);
        }
        assert!(series.samples().count() <= series.counts().samples as usize);
    }
}

/// A converted request has as many values as it says, and keeps the keys of its series.
fn write_v2(data: &[u8]) {
    let Ok(request) = v2::Request::new(data) else { return };
    let Ok(converted) = to_v1(&request, &[], true, 64, 1 << 20) else { return };
    let (mut tenant, mut labels) = (Tenant::new(""), LabelSet::new(64));
    let mut counts = Counts::default();
    for entry in v1::entries(&converted.body) {
        if let v1::Entry::Series(series) = entry.expect("a conversion writes protobuf") {
            counts += series.counts();
            series.labels(&mut labels).expect("a conversion writes good labels");
            tenant.key(&mut labels).expect("a conversion writes good labels");
        }
    }
    assert_eq!(counts, converted.counts);
}

fn push(data: &[u8], content_type: &str) {
    let paths = Paths::new("", false).expect("a valid prefix");
    let group = paths.group(b"/metrics/job/a/b/c").expect("a group");
    if let Ok(series) = series(&group, content_type, data, PushLimits { series: 1_000, labels: 64 }) {
        assert!(
            series.iter().all(|(labels, _)| labels.get("job") == Some("a") && labels.get("b") == Some("c"))
        );
    }
}

fn puts(data: &[u8]) {
    for put in read_puts(data, PutLimits { puts: 1_000, labels: 64, name: 1_024 }).unwrap_or_default().puts {
        let metric = put.labels().map(|labels: Labels| labels.metric().to_owned());
        assert_eq!(metric.as_ref(), Ok(&put.metric));
        let _ = put.milliseconds();
    }
}

fn path(data: &[u8]) {
    for utf8_names in [false, true] {
        let paths = Paths::new("", utf8_names).expect("a valid prefix");
        assert!(paths.group(data).is_err() || !paths.group(data).expect("a group").job().is_empty());
    }
}
