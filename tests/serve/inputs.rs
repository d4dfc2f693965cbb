//! Groups with everything that a Pushgateway accepts.

use pushring_harness::proto::{
    COUNTER, GAUGE, GAUGE_HISTOGRAM, HISTOGRAM, SUMMARY, UNTYPED, bytes, double, int, message, sint,
};

/// A group, and the body of its push.
pub(crate) struct Input {
    pub(crate) path: String,
    pub(crate) body: Vec<u8>,
    pub(crate) is_text: bool,
}

pub(crate) fn text(path: &str, body: &str) -> Input {
    Input { path: path.to_owned(), body: body.as_bytes().to_vec(), is_text: true }
}

fn protobuf(path: &str, families: &[Vec<u8>]) -> Input {
    // Each family after its length, as a field of a message is.
    let body = families.iter().flat_map(|family| bytes(0, family).split_off(1)).collect();
    Input { path: path.to_owned(), body, is_text: false }
}

fn label(name: &str, value: &str) -> Vec<u8> {
    message(1, &[bytes(1, name), bytes(2, value)])
}

fn family(name: &str, help: Option<&str>, kind: i64, metrics: &[Vec<Vec<u8>>]) -> Vec<u8> {
    let help = help.map(|help| bytes(2, help)).unwrap_or_default();
    let metrics = metrics.iter().flat_map(|metric| message(4, metric));
    [bytes(1, name), help, int(3, kind), metrics.collect()].concat()
}

/// A time, as exemplars and created timestamps have it.
fn time(field: i64) -> Vec<u8> {
    message(field, &[int(1, 1_700_000_000), int(2, 5)])
}

fn exemplar(field: i64) -> Vec<u8> {
    message(field, &[label("trace", "x"), double(2, 0.25), time(3)])
}

/// Returns groups that one Pushgateway accepts together.
pub(crate) fn all() -> Vec<Input> {
    let many = |job: usize| {
        text(
            &format!("/metrics/job/many{job}/zone/z{}", job % 3),
            &format!("many{{n=\"{}\"}} {job}\n", job % 7),
        )
    };
    let mut inputs: Vec<Input> = (0..30).map(many).collect();
    inputs.extend([
        text("/metrics/job/numbers", NUMBERS),
        text("/metrics/job/texts/path@base64/L3Zhci90bXA", "# HELP texts A \\\\ and a\\nline \"quoted\"\n# TYPE texts gauge\ntexts{v=\"a\\\\b\\\"c\\nd é\"} 1\n# HELP empty_help \n# TYPE empty_help counter\nempty_help 1\n"),
        text("/metrics/job/types", TYPES),
        text("/metrics/job/odd/empty@base64/=/instance/i1", "odd{a=\"\",le=\"7\"} 1\nodd_two{instance=\"mine\"} 2\n"),
        text("/metrics/job/nothing", ""),
        text("/metrics/job/outer", "nested{instance=\"x\",k=\"1\"} 1\n"),
        text("/metrics/job/outer/instance/x", "nested{k=\"2\"} 2\n"),
        // Names of the gateway's own families and of the API's fields.
        text("/metrics/job/own", "# TYPE go_goroutines gauge\ngo_goroutines 5\n# TYPE labels gauge\ngateway 1\n"),
        text("/metrics/job/%F0%9F%8E%89/dot%2Eted/1", "{\"my.metric\",\"my.label\"=\"v\"} 1\n{\"über\"} 2\n"),
        protobuf(
            "/metrics/job/kinds",
            &[
                family("kind_counter", Some("Counter."), COUNTER, &[
                    vec![label("a", "1"), message(3, &[double(1, 3.0), exemplar(2), time(3)])],
                    vec![label("a", "2"), message(3, &[double(1, 0.1)])],
                ]),
                family("kind_gauge", None, GAUGE, &[vec![message(2, &[double(1, -0.0)])]]),
                family("kind_untyped", Some(""), UNTYPED, &[vec![message(5, &[double(1, f64::NAN)])]]),
                family("kind_summary", Some("S"), SUMMARY, &[vec![message(
                    4,
                    &[int(1, 4), double(2, 9.5), message(3, &[double(1, 0.5), double(2, f64::INFINITY)]), time(4)],
                )]]),
                family("kind_native", Some("N"), HISTOGRAM, &[vec![message(7, &native())]]),
                family("kind_both", Some("B"), HISTOGRAM, &[vec![message(
                    7,
                    &[native(), vec![message(3, &[int(1, 2), double(2, 1.0), exemplar(3)]), message(3, &[int(1, 6), double(2, 4.0)])]].concat(),
                )]]),
                family("kind_gauge_histogram", None, GAUGE_HISTOGRAM, &[vec![message(
                    7,
                    &[int(1, 3), double(2, 1.5), message(3, &[int(1, 1), double(2, 0.5)]), message(3, &[int(1, 3), double(2, f64::INFINITY)])],
                )]]),
                family("kind_float_histogram", None, HISTOGRAM, &[vec![message(
                    7,
                    &[double(4, 2.5), double(2, 1.0), message(3, &[double(4, 1.5), double(2, 1.0)])],
                )]]),
            ],
        ),
    ]);
    inputs
}

/// A native histogram of six observations.
fn native() -> Vec<Vec<u8>> {
    vec![
        int(1, 6),
        double(2, 12.5),
        sint(5, 3),
        double(6, 0.001),
        int(7, 1),
        message(12, &[sint(1, 0), int(2, 2)]),
        sint(13, 2),
        sint(13, 1),
        time(15),
    ]
}

const NUMBERS: &str = "\
number{n=\"1\"} 0
number{n=\"2\"} -0
number{n=\"3\"} NaN
number{n=\"4\"} +Inf
number{n=\"5\"} -Inf
number{n=\"6\"} 123456
number{n=\"7\"} 1234567
number{n=\"8\"} 0.0001
number{n=\"9\"} 0.00001
number{n=\"10\"} 1e21
number{n=\"11\"} 5e-324
number{n=\"12\"} 1.7976931348623157e308
number{n=\"13\"} 0.1
number{n=\"14\"} 1763735668.5549216
number{n=\"15\"} -1
number{n=\"16\"} 9007199254740993
";

const TYPES: &str = "\
# TYPE lists histogram
lists_bucket{le=\"0.1\"} 1
lists_bucket{le=\"1e6\"} 3
lists_bucket{le=\"+Inf\"} 4
lists_sum 5.5
lists_count 4
# HELP requests Requests.
# TYPE requests summary
requests{quantile=\"0.5\"} 0.25
requests{quantile=\"0.99\"} NaN
requests_sum 17.5
requests_count 40
# TYPE done counter
done{code=\"200\"} 10
done{code=\"500\",why=\"x\"} 1
done 2
";
