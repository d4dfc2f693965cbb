//! A fleet with `pushring serve`, and one Pushgateway with the same groups.

use std::collections::BTreeMap;
use std::io::Read;
use std::net::SocketAddr;

use flate2::read::GzDecoder;
use pushring_harness::http::{Client, Response};
use pushring_harness::{GatewayFixture, Process, Pushgateway, command};
use serde_json::Value;

use crate::inputs::Input;

/// Starts of the names of metrics that describe one process.
const OWN: [&str; 5] = ["go_", "process_", "promhttp_", "pushgateway_", "pushring_serve_"];

pub(crate) struct Serve {
    process: Process,
    pub(crate) client: Client,
}

impl Serve {
    /// Starts the server for the members of a fixture.
    pub(crate) fn start(fleet: &GatewayFixture, flags: &[&str]) -> Self {
        let mut command = command::command().unwrap();
        command
            .arg("serve")
            .arg("--config")
            .arg(fleet.config_file())
            .args(["--listen", "127.0.0.1:0"])
            .args(flags);
        let log = tempfile::tempdir_in(fleet.dir.path()).unwrap().keep();
        let mut process = Process::start("serve", command, &log).unwrap();
        let address = process.wait_until("started", |process| address(&process.log())).unwrap();
        Self { process, client: Client::new(address).unwrap() }
    }

    pub(crate) fn log(&self) -> String {
        self.process.log()
    }

    /// Returns the text of `/metrics`.
    #[track_caller]
    pub(crate) fn metrics(&self) -> String {
        let answer = self.client.get("/metrics").unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.text()
    }

    /// Returns the groups of the API.
    #[track_caller]
    pub(crate) fn groups(&self) -> Vec<Value> {
        groups(&self.client)
    }
}

fn address(log: &str) -> Option<SocketAddr> {
    let (_, rest) = log.split_once(r#""url":"http://"#)?;
    rest.split_once('"')?.0.parse().ok()
}

/// Returns the groups of an API, sorted.
#[track_caller]
pub(crate) fn groups(client: &Client) -> Vec<Value> {
    let answer = client.get("/api/v1/metrics").unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let mut json = answer.json().unwrap();
    assert_eq!(json["status"], "success");
    let Value::Array(mut groups) = json["data"].take() else { panic!("no list: {json}") };
    groups.sort_by_key(|group| group["labels"].to_string());
    groups
}

/// Pushes a group to a gateway, which must accept it.
#[track_caller]
pub(crate) fn push(client: &Client, input: &Input) {
    let headers: &[(&str, &str)] = match input.is_text {
        true => &[],
        false => &[("content-type", pushring_harness::proto::CONTENT_TYPE)],
    };
    let answer = client.send("PUT", &input.path, headers, input.body.clone()).unwrap();
    assert_eq!(answer.status, 200, "{}: {}", input.path, answer.text());
}

/// Pushes each group to its owner and to one other gateway.
pub(crate) fn fill(fleet: &GatewayFixture, single: &Pushgateway, inputs: &[Input]) {
    let single = single.client().unwrap();
    for input in inputs {
        push(&fleet.client(fleet.owner(&input.path)), input);
        push(&single, input);
    }
}

/// Returns the families of a body in the text format, by name, without those that describe one process and without the
/// values of push times, which differ.
pub(crate) fn text_families(body: &str) -> BTreeMap<String, String> {
    let mut families: BTreeMap<String, String> = BTreeMap::new();
    let mut name = String::new();
    let mut order = Vec::new();
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# ") {
            let rest = rest.split_once(' ').unwrap().1;
            name = match rest.strip_prefix('"') {
                Some(quoted) => quoted.split('"').next().unwrap().to_owned(),
                None => rest.split(' ').next().unwrap().to_owned(),
            };
        }
        if order.last() != Some(&name) {
            order.push(name.clone());
        }
        let line = match line.starts_with("push_time_seconds{") {
            true => line.rsplit_once(' ').unwrap().0,
            false => line,
        };
        *families.entry(name.clone()).or_default() += &format!("{line}\n");
    }
    assert_eq!(order.len(), families.len(), "a family is in two places: {order:?}");
    families.retain(|name, _| !OWN.iter().any(|own| name.starts_with(own)));
    families
}

/// Returns the families of a body in delimited protobuf, in order: name and bytes. As for [`text_families`].
pub(crate) fn protobuf_families(body: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut families = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let length = varint(&mut rest);
        let (family, more) = rest.split_at(length);
        rest = more;
        let mut fields = family;
        assert_eq!(varint(&mut fields), 1 << 3 | 2, "the name comes first");
        let length = varint(&mut fields);
        let name = String::from_utf8(fields[..length].to_vec()).unwrap();
        let bytes = if name == "push_time_seconds" { Vec::new() } else { family.to_vec() };
        if !OWN.iter().any(|own| name.starts_with(own)) {
            families.push((name, bytes));
        }
    }
    families
}

/// Returns the families of a body in protobuf's text format, as for [`text_families`]; the number of spaces has no meaning.
pub(crate) fn prototext_families(body: &str) -> Vec<String> {
    let between = if body.contains("\n\n") { "\n\n" } else { "\n" };
    let families = body.split(between);
    let name = |family: &str| family.split('"').nth(1).unwrap_or_default().to_owned();
    let kept = families.filter(|family| {
        let name = name(family);
        name != "push_time_seconds" && !OWN.iter().any(|own| name.starts_with(own))
    });
    kept.map(|family| family.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

fn varint(bytes: &mut &[u8]) -> usize {
    let mut number = 0;
    for shift in (0..).step_by(7) {
        let (byte, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        number |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    number
}

/// Returns the body, decompressed.
pub(crate) fn body(answer: &Response) -> Vec<u8> {
    if answer.header("content-encoding") != Some("gzip") {
        return answer.body.to_vec();
    }
    let mut body = Vec::new();
    GzDecoder::new(&*answer.body).read_to_end(&mut body).unwrap();
    body
}
