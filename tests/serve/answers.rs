//! Every answer is that of one Pushgateway with the same groups, byte for byte.

use std::collections::BTreeMap;

use pushring_harness::http::Client;
use pushring_harness::{GatewayFixture, Pushgateway};
use pushring_router::labels_to_path;
use serde_json::{Value, json};

use crate::fixture::{Serve, body, fill, groups, protobuf_families, prototext_families, text_families};
use crate::inputs;

const UTF8: &[&str] = &["--push.enable-utf8-names"];
const PROTOBUF: &str =
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";

fn start() -> (GatewayFixture, Pushgateway, Serve) {
    let mut fleet = GatewayFixture::with_flags(3, UTF8);
    fleet.configure(json!({"utf8_names": true}));
    let single = Pushgateway::start(fleet.dir.path(), UTF8).unwrap();
    fill(&fleet, &single, &inputs::all());
    let serve = Serve::start(&fleet, &[]);
    (fleet, single, serve)
}

/// The formats that scrapers ask for.
fn accepts() -> Vec<String> {
    let mut accepts: Vec<String> = [
        "",
        "*/*",
        "text/plain",
        "text/plain;version=0.0.4;q=0.3, */*;q=0.2",
        "text/plain;version=0.0.5",
        "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5",
        "text/html,application/xhtml+xml,*/*;q=0.8",
    ]
    .map(str::to_owned)
    .to_vec();
    for escaping in ["allow-utf-8", "underscores", "dots", "values", "unknown"] {
        accepts.push(format!("text/plain;escaping={escaping}"));
        accepts.push(format!("text/plain;q=0.5,{PROTOBUF};escaping={escaping};q=0.6"));
        for encoding in ["text", "compact-text"] {
            accepts.push(format!("{PROTOBUF};escaping={escaping}").replace("delimited", encoding));
        }
    }
    accepts
}

#[test]
fn formats_are_those_of_one_pushgateway() {
    let (_fleet, single, serve) = start();
    let single = single.client().unwrap();
    for accept in accepts() {
        for encoding in ["", "gzip", "deflate, gzip;q=0.5", "zstd", "*", "gzip;q=0"] {
            let headers = [("accept", &*accept), ("accept-encoding", encoding)];
            let [want, got] =
                [&single, &serve.client].map(|client| client.send("GET", "/metrics", &headers, "").unwrap());
            assert_eq!((got.status, want.status), (200, 200), "{accept}: {}", got.text());
            for name in ["content-type", "content-encoding", "vary"] {
                assert_eq!(got.header(name), want.header(name), "{accept:?} {encoding:?}: {name}");
            }
            let kind = got.header("content-type").unwrap();
            let (is_text, is_delimited) = (kind.starts_with("text/plain"), kind.contains("=delimited"));
            let [want, got] = [&want, &got].map(body);
            if is_text {
                let [want, got] = [want, got].map(|body| text_families(&String::from_utf8(body).unwrap()));
                assert!(want.len() > 20, "{want:?}");
                assert_same(&want, &got, &accept);
            } else if !is_delimited {
                let [want, got] =
                    [want, got].map(|body| prototext_families(&String::from_utf8(body).unwrap()));
                assert_eq!(got, want, "{accept}");
            } else {
                let [want, got] = [want, got].map(|body| protobuf_families(&body));
                assert_eq!(got, want, "{accept}");
            }
        }
    }
}

#[track_caller]
fn assert_same(want: &BTreeMap<String, String>, got: &BTreeMap<String, String>, case: &str) {
    for (name, want) in want {
        assert_eq!(got.get(name), Some(want), "{case}: {name}");
    }
    assert_eq!(got.len(), want.len(), "{case}: {:?}", got.keys());
}

#[test]
fn api_is_that_of_one_pushgateway() {
    let (fleet, single, serve) = start();
    let want = groups(&single.client().unwrap());
    let mut got = serve.groups();
    assert_eq!(got.len(), want.len());
    for (mut want, got) in want.into_iter().zip(&mut got) {
        // One group has a family of this name.
        if let Some(on) = got["gateway"].as_str().map(str::to_owned) {
            let labels = got["labels"].as_object().unwrap().iter();
            let labels = labels.map(|(name, value)| (name.as_bytes(), value.as_str().unwrap().as_bytes()));
            let path = labels_to_path("", true, labels).unwrap();
            assert_eq!(on, format!("g{}", fleet.owner(&path)), "{path}");
            got.as_object_mut().unwrap().remove("gateway");
        }
        for group in [&mut want, got] {
            for family in
                group.as_object_mut().unwrap().values_mut().filter(|family| family["time_stamp"].is_string())
            {
                let time = family["time_stamp"].take();
                assert!(time.as_str().unwrap().ends_with('Z'), "{time}");
            }
            group["push_time_seconds"]["metrics"][0]["value"] = Value::Null;
        }
        assert_eq!(*got, want);
    }
    let [want, got] = [single.client().unwrap(), serve.client].map(|client| {
        let status = client.get("/api/v1/status").unwrap();
        let json = status.json().unwrap();
        let fields = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert!(json["data"]["flags"].as_object().unwrap().values().all(Value::is_string), "{json}");
        (
            json["status"].clone(),
            fields(&json["data"]["build_information"]),
            json["data"]["start_time"].is_string(),
        )
    });
    assert_eq!(got, want);
}

/// Status, headers and body, except what names a process.
fn answer(client: &Client, method: &str, path: &str) -> (u16, Vec<(String, String)>, String) {
    let answer = client.send(method, path, &[], "").unwrap();
    let mut headers: Vec<_> = answer
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .filter(|(name, _)| {
            !["date", "content-length", "transfer-encoding"].contains(&&**name)
                && !name.starts_with("x-envoy")
        })
        .collect();
    headers.sort();
    let is_short = answer.body.len() < 100;
    (answer.status, headers, if is_short { answer.text() } else { String::new() })
}

#[test]
fn methods_and_paths_are_those_of_one_pushgateway() {
    let (_fleet, single, serve) = start();
    let single = single.client().unwrap();
    let paths = [
        "/metrics",
        "/api/v1/metrics",
        "/api/v1/status",
        "/-/healthy",
        "/-/ready",
        "/nowhere",
        "/api/v1/nowhere",
    ];
    for path in paths {
        for method in ["GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH"] {
            // Its router answers OPTIONS of any path of the API, and its multiplexer no other path.
            assert_eq!(answer(&serve.client, method, path), answer(&single, method, path), "{method} {path}");
        }
    }
    for method in ["GET", "PUT", "POST"] {
        let path = "/api/v1/admin/wipe";
        assert_eq!(answer(&serve.client, method, path), answer(&single, method, path), "{method}");
    }
    for method in ["PUT", "POST", "DELETE"] {
        let (status, _, text) = answer(&serve.client, method, "/metrics/job/direct");
        assert_eq!(status, 405);
        assert!(text.contains("through Envoy"), "{text}");
    }
}
