use super::*;

const LIMITS: PushLimits = PushLimits { series: 1_000, labels: 20 };
const PROTOBUF: &str =
    r#"application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding="delimited""#;

fn group(path: &str) -> Group {
    Paths::new("", false).unwrap().group(path.as_bytes()).unwrap()
}

/// The series without those that every group has.
fn shown(content_type: &str, body: &[u8]) -> Result<Vec<String>, PushError> {
    let series = series(&group("/metrics/job/a"), content_type, body, LIMITS)?;
    let mut texts: Vec<_> =
        series.iter().map(|(labels, _)| labels.to_string().replace(",job=\"a\"", "")).collect();
    texts.truncate(texts.len() - 2);
    texts.sort();
    Ok(texts)
}

fn text(body: &str) -> Result<Vec<String>, PushError> {
    shown("text/plain", body.as_bytes())
}

#[track_caller]
fn fault(body: &str, line: usize, part: &str) {
    match text(body) {
        Err(PushError::Text { line: found, reason }) if found == line && reason.contains(part) => {}
        other => panic!("{body:?}: {other:?}"),
    }
}

#[test]
fn paths_are_read_as_by_the_filter() {
    assert_eq!(group("/metrics/job/a/instance/b/a/c").to_string(), r#"job="a",a="c",instance="b""#);
    assert_eq!(group("/metrics//job@base64/YS9i?x=1").job(), "a/b");
    let paths = Paths::new("/push", true).unwrap();
    assert_eq!(paths.group(b"/push/metrics/job/a/U__x_2e_y/1").unwrap().to_string(), r#"job="a",x.y="1""#);
    assert_eq!(paths.group(b"/metrics/job/a"), Err(PathError::NotPush));
    assert_eq!(paths.group(b"/push/metrics/job/a/b"), Err(PathError::Rejected));
    assert_eq!(paths.group(b"/push/metrics/job/a/b@base64/_w"), Err(PathError::Poison));
    assert_eq!(group("/metrics/job/a/instance@base64/=").to_string(), r#"job="a",instance="""#);
}

#[test]
fn a_group_has_the_times_of_its_pushes_and_its_labels_win() {
    let group = group("/metrics/job/a/zone/eu");
    let body = b"# HELP m Help \\\\ \\n.\n# TYPE m counter\nm{job=\"mine\",x=\"1\"} 1\n";
    let series = series(&group, "", body, LIMITS).unwrap();
    let texts: Vec<_> = series.iter().map(|(labels, _)| labels.to_string()).collect();
    assert_eq!(
        texts,
        [
            r#"m{job="a",x="1",zone="eu"}"#,
            r#"push_time_seconds{job="a",zone="eu"}"#,
            r#"push_failure_time_seconds{job="a",zone="eu"}"#,
        ]
    );
    assert_eq!(
        series[0].1,
        Metadata { kind: "counter".into(), unit: String::new(), help: "Help \\ \n.".into() }
    );
}

#[test]
fn text_gives_the_series_of_the_next_scrape() {
    let body = "\
# a comment
\t
# TYPE h histogram
h_bucket{x=\"1\",le=\"0.50\"} 1
h_bucket{x=\"1\",le=\"1e6\"} 1
h_count{x=\"1\"} 1
# TYPE s summary
s{quantile=\"0.9\"} 1
s_sum 1
plain 1e3
{\"quoted.name\", \"a b\"=\"c\"}  NaN \t
not_h_bucket{le=\"1\"} +Inf
";
    let expected = [
        r#"h_bucket{job="a",le="+Inf",x="1"}"#,
        r#"h_bucket{job="a",le="0.5",x="1"}"#,
        r#"h_bucket{job="a",le="1e+06",x="1"}"#,
        r#"h_count{job="a",x="1"}"#,
        r#"h_sum{job="a",x="1"}"#,
        r#"not_h_bucket{job="a",le="1"}"#,
        r#"plain{job="a"}"#,
        r#"quoted.name{a b="c"}"#,
        r#"s_count{job="a"}"#,
        r#"s_sum{job="a"}"#,
        r#"s{job="a",quantile="0.9"}"#,
    ];
    assert_eq!(text(body).unwrap(), expected);
    assert_eq!(text("").unwrap(), [""; 0]);
}

#[test]
fn refuses_what_a_pushgateway_refuses() {
    fault("a 1\nb 1", 2, "unexpected end");
    fault("a\n", 1, "expected");
    fault("a{b=\"1\"\n", 1, "expected ','");
    fault("a{b=1} 1\n", 1, "start of the value");
    fault("a{b=\"1\",b=\"2\"} 1\n", 1, "duplicate");
    fault("a{__name__=\"1\"} 1\n", 1, "reserved");
    fault("a{b=\"\\x\"} 1\n", 1, "escape");
    fault("a one\n", 1, "float");
    fault("9a 1\n", 1, "expected");
    fault("# TYPE a thing\n", 1, "unknown metric type");
    fault("a 1\n# TYPE a gauge\n", 2, "second TYPE");
    fault("# TYPE h histogram\nh_bucket{le=\"x\"} 1\n", 2, "le");
    fault("a 1 x\n", 1, "timestamp");
    assert_eq!(text("a 1 123\n"), Err(PushError::Timestamp { metric: "a".into() }));
    assert!(matches!(shown("", b"a{b=\"\xff\"} 1\n"), Err(PushError::Text { line: 1, .. })));
}

#[test]
fn limits_bound_the_memory_of_a_push() {
    let many = "a 1\n".repeat(1_001);
    assert_eq!(text(&many), Err(PushError::TooManySeries { limit: 1_000 }));
    let labels: String = (0..21).map(|i| format!("l{i}=\"\",")).collect();
    assert_eq!(text(&format!("a{{{labels}}} 1\n")), Err(PushError::TooManyLabels { limit: 20 }));
    let empty_metrics = [&[0xd0, 0x0f][..], &b"\x22\x00".repeat(1_000)].concat();
    assert_eq!(
        shown(PROTOBUF, &empty_metrics),
        Err(PushError::Labels { metric: String::new(), error: LabelsError::NoMetricName })
    );
    let empty_metrics = [&[0xd2, 0x0f][..], &b"\x22\x00".repeat(1_001)].concat();
    assert_eq!(shown(PROTOBUF, &empty_metrics), Err(PushError::TooManySeries { limit: 1_000 }));
}

#[test]
fn a_long_group_or_help_is_not_multiplied() {
    let group = group(&format!("/metrics/job/{}", "x".repeat(200_000)));
    let help = "h".repeat(100_000);
    let body: String =
        format!("# HELP m0 {help}\n") + &(0..900).map(|i| format!("m{i} 1\n")).collect::<String>();
    assert_eq!(series(&group, "", body.as_bytes(), LIMITS), Err(PushError::TooLong));
    let small = series(&group, "", format!("# HELP m0 {help}\nm0 1\n").as_bytes(), LIMITS).unwrap();
    assert_eq!(small[0].1.help.len(), MAX_HELP);
}

#[test]
fn protobuf_gives_the_same_and_native_histograms_are_one_series() {
    fn message(parts: &[&[u8]]) -> Vec<u8> {
        let body = parts.concat();
        [&[body.len() as u8][..], &body].concat()
    }
    let field = |number: u8, parts: &[&[u8]]| [&[number << 3 | 2][..], &message(parts)].concat();
    let bound = |value: f64| field(3, &[&[0x11], &value.to_le_bytes()]);
    let label = field(1, &[b"\x0a\x01x\x12\x011"]);
    let span = field(12, &[b"\x08\x00\x10\x01"]);
    let family = |name: &str, histogram: &[&[u8]]| {
        message(&[&field(1, &[name.as_bytes()]), b"\x18\x04", &field(4, &[&label, &field(7, histogram)])])
    };
    let body = [
        family("classic", &[&bound(0.5)]),
        family("native", &[&span]),
        family("both", &[&span, &bound(1.0)]),
    ];
    let expected = [
        r#"both_bucket{job="a",le="+Inf",x="1"}"#,
        r#"both_bucket{job="a",le="1",x="1"}"#,
        r#"both_count{job="a",x="1"}"#,
        r#"both_sum{job="a",x="1"}"#,
        r#"both{job="a",x="1"}"#,
        r#"classic_bucket{job="a",le="+Inf",x="1"}"#,
        r#"classic_bucket{job="a",le="0.5",x="1"}"#,
        r#"classic_count{job="a",x="1"}"#,
        r#"classic_sum{job="a",x="1"}"#,
        r#"native{job="a",x="1"}"#,
    ];
    assert_eq!(shown(PROTOBUF, &body.concat()).unwrap(), expected);
    let whole = family("classic", &[&bound(0.5)]);
    for end in 1..whole.len() {
        assert!(matches!(shown(PROTOBUF, &whole[..end]), Err(PushError::Wire(_))), "{end}");
    }
    let timed = message(&[&field(1, &[b"m"]), &field(4, &[b"\x30\x01"])]);
    assert_eq!(shown(PROTOBUF, &timed), Err(PushError::Timestamp { metric: "m".into() }));
}

#[test]
fn any_bytes_are_an_answer() {
    arbtest::arbtest(|u| {
        let mut body: Vec<u8> = u.arbitrary()?;
        let _ = shown(PROTOBUF, &body);
        for byte in &mut body {
            *byte = b"# TYPEHL\nam_bucket{}\"\\=,.1 histogram"[usize::from(*byte) % 36];
        }
        let _ = shown("", &body);
        Ok(())
    });
}

#[test]
fn the_format_follows_the_content_type() {
    assert!(is_protobuf(PROTOBUF));
    assert!(!is_protobuf(
        "application/vnd.google.protobuf; encoding=text; proto=io.prometheus.client.MetricFamily"
    ));
    assert!(!is_protobuf("application/vnd.google.protobuf"));
    assert!(!is_protobuf(""));
}
