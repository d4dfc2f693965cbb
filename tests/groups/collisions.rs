//! Inputs whose names collide with other names: those of the series of a histogram, and names that a gateway escapes.

use pushring_harness::proto::{
    GAUGE, GAUGE_HISTOGRAM, HISTOGRAM, SUMMARY, gauge, histogram, label, native, one, summary,
};

use crate::inputs::{Input, Push, TEXT_HISTOGRAM, UNCHECKED, UTF8_NAMES, of, proto, protos, text};

pub(crate) fn all() -> Vec<Input> {
    suffixes().into_iter().chain(escaped()).collect()
}

fn gauge_with(name: &str, labels: &[Vec<u8>]) -> Vec<u8> {
    one(name, GAUGE, &[labels, &[gauge(7.0)]].concat())
}

/// A gateway rejects such a family next to a histogram or summary, but not next to a gauge histogram.
fn suffixes() -> Vec<Input> {
    let mut inputs = Vec::new();
    let kind = "family with the name of a series of a histogram or summary";
    let gauges = |value: Vec<u8>| one("m", GAUGE_HISTOGRAM, &[value]);
    let classic = || gauges(histogram(&[1.0], &[]));
    for name in ["m_count", "m_sum"] {
        inputs.extend(protos(kind, vec![[classic(), gauge_with(name, &[])].concat()]));
    }
    for (bound, text) in
        [(1.0, "1"), (1.0, "1.0"), (0.25, "0.25"), (1e6, "1e+06"), (-0.0, "0.0"), (f64::NAN, "+Inf")]
    {
        let both = [gauges(histogram(&[bound], &[])), gauge_with("m_bucket", &[label("le", text)])];
        inputs.extend(protos(kind, vec![both.concat()]));
    }
    inputs.extend(protos(
        kind,
        vec![[gauges(native(0, &[(0, 2)], &[1, 1])), gauge_with("m_sum", &[])].concat()],
    ));
    // Only with native histograms: the one is classic, the other is native.
    let natives = one("m_count", HISTOGRAM, &[native(0, &[(0, 2)], &[1, 1])]);
    inputs.extend(protos(kind, vec![[classic(), natives].concat()]));
    let labeled = one("m", GAUGE_HISTOGRAM, &[label("a", "1"), histogram(&[1.0], &[])]);
    for name in ["m_bucket", "m_count"] {
        let le = if name == "m_bucket" { vec![label("le", "1.0")] } else { Vec::new() };
        let other = gauge_with(name, &le);
        inputs.push(of(
            kind,
            &[],
            vec![proto(labeled.clone()), Push { path: "/metrics/job/bad/a/1".to_owned(), ..proto(other) }],
        ));
    }
    inputs.push(of(
        kind,
        UNCHECKED,
        vec![text("/bad", TEXT_HISTOGRAM), text("/bad/a/1", "# TYPE m_bucket gauge\nm_bucket 1\n")],
    ));
    // The gateway rejects it only if it visits the histogram before the gauge histogram.
    inputs.push(of(
        kind,
        UNCHECKED,
        vec![
            proto(classic()),
            text("/bad/a/1", TEXT_HISTOGRAM),
            text("/bad/b/1", "# TYPE m_count gauge\nm_count 1\n"),
        ],
    ));
    let valid = "unusual, but valid";
    for (name, labels) in [
        ("m_gcount", vec![]),
        ("m_gsum", vec![]),
        ("m_bucket", vec![]),
        ("m_bucket", vec![label("le", "1"), label("z", "1")]),
        ("m_count", vec![label("a", "1")]),
    ] {
        inputs.extend(protos(valid, vec![[classic(), gauge_with(name, &labels)].concat()]));
    }
    inputs
}

/// A gateway escapes names for scrapers that do not ask for UTF-8, and with native histograms.
fn escaped() -> Vec<Input> {
    let kind = "names that are equal or invalid after the gateway escapes them";
    let mut inputs: Vec<Input> = [
        "{\"m.x\"} 1\nm_x 2\n",
        "{\"m.x\"} 1\n{\"m-x\"} 2\n",
        "m{\"l.x\"=\"1\",l_x=\"2\"} 1\n",
        "m{\"..name..\"=\"1\"} 1\n",
        "m{\"a.b:c\"=\"1\"} 1\n",
        "{\"m.x\"} 1\nm_dot_x 2\n",
        "{\"m.x\"} 1\nU__m_2e_x 2\n",
    ]
    .map(|body| of(kind, UTF8_NAMES, vec![text("/bad", body)]))
    .into();
    let paths = [
        (["/bad", "/bad/a/1"], ["{\"m.x\",a=\"1\"} 1\n", "m_x 1\n"]),
        (["/bad/U__l_2e_x/1", "/bad/l_x/1"], ["m 1\n", "n 1\n"]),
    ];
    for (paths, bodies) in paths {
        let pushes = paths.into_iter().zip(bodies).map(|(path, body)| text(path, body)).collect();
        inputs.push(of(kind, UTF8_NAMES, pushes));
    }
    let bucket = gauge_with("m_x_bucket", &[label("le", "1.0")]);
    let bodies = vec![
        [one("m.x", HISTOGRAM, &[histogram(&[1.0], &[])]), bucket].concat(),
        [one("m.x", HISTOGRAM, &[native(0, &[(0, 2)], &[1, 1])]), gauge_with("m_x", &[])].concat(),
        [one("m.x", SUMMARY, &[summary(&[0.5])]), gauge_with("m_x", &[label("quantile", "0.5")])].concat(),
    ];
    inputs.extend(protos(kind, bodies));
    inputs.extend(protos(
        "unusual, but valid",
        vec![[gauge_with("m.x", &[]), gauge_with("m_y", &[])].concat()],
    ));
    inputs
}
