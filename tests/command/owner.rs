//! `pushring owner` answers as Envoy does: 10,000 paths in every spelling, mode and placement.

use std::fs::File;
use std::process::Stdio;

use arbitrary::Unstructured;
use pushring_harness::http::Client;
use pushring_harness::{Mode, command};
use serde_json::{Value, json};

use crate::spelling::{Labels, odd_path};
use pushring_harness::envoy_fixture::{EnvoyFixture, Group};

/// Number of paths in each fleet; six fleets make 10,200.
const PATHS: usize = 1700;
/// Number of these paths that are pushed.
const PUSHED: usize = 60;

#[test]
fn cluster_by_group() {
    agrees(Mode::Cluster, &json!({}));
}

#[test]
fn cluster_by_path_on_the_ring_of_dynamic_sharding() {
    agrees(Mode::Cluster, &json!({"route_by": "path", "placement": {"type": "dynamic-sharding"}}));
}

#[test]
fn endpoint_by_job() {
    agrees(Mode::Endpoint, &json!({"route_by": "job", "successors": 3}));
}

#[test]
fn endpoint_by_group_on_the_ring_of_dynamic_sharding() {
    agrees(Mode::Endpoint, &json!({"placement": {"type": "dynamic-sharding"}}));
}

#[test]
fn redirect_by_group_with_utf8_names() {
    agrees(Mode::Redirect, &json!({"utf8_names": true, "redirect_scheme": "https"}));
}

#[test]
fn redirect_by_path() {
    agrees(Mode::Redirect, &json!({"route_by": "path", "placement": {"type": "ring", "points": 7}}));
}

fn agrees(mode: Mode, settings: &Value) {
    let fleet = EnvoyFixture::with(mode, 5, |config| {
        config.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    });
    let utf8_names = fleet.config["utf8_names"] == true;
    let paths = paths(fleet.config.to_string().len() as u64, utf8_names);
    let answers = ask(&fleet, &paths);
    let client = fleet.envoy.client().unwrap();
    let mut seen = [0; 4];
    for (path, answer) in paths.iter().zip(&answers) {
        let found = envoy(&client, path);
        let answered = json!({
            "labels": answer["labels"], "owner": answer["owner"], "successors": answer["successors"],
            "url": answer["url"],
        });
        match answer["verdict"].as_str().unwrap() {
            "push" => seen[0] += 1,
            "malformed" | "poison" => seen[1] += 1,
            "unclean" => seen[2] += 1,
            "no-push" => seen[3] += 1,
            other => panic!("{path}: {other}"),
        }
        if answer["verdict"] == "no-push" {
            assert_eq!(found, None, "{path}");
            assert!(
                answered.as_object().unwrap().values().all(|value| value.is_null() || *value == json!([]))
            );
        } else {
            assert_eq!(found, Some(answered), "{path}: {answer}");
        }
    }
    assert!(seen.iter().all(|&count| count > PATHS / 100), "too few of a kind: {seen:?}");
    if !utf8_names {
        lands(&fleet, &client, &paths, &answers);
    }
}

/// Returns paths, half of them groups in random spellings and half of them odd, without bytes that no client sends.
fn paths(seed: u64, utf8_names: bool) -> Vec<String> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut paths = Vec::new();
    while paths.len() < PATHS {
        let bytes: Vec<u8> = (0..400).map(|_| random.u8(..)).collect();
        let u = &mut Unstructured::new(&bytes);
        let path = match paths.len() % 2 {
            0 => Labels::arbitrary(u, utf8_names).unwrap().spell(u, "", utf8_names).unwrap(),
            _ => odd_path(u).unwrap(),
        };
        let sent = |b: &u8| b.is_ascii_graphic() && !b"#\"<>\\^`{|}".contains(b);
        if path.starts_with(b"/") && path.iter().all(sent) {
            paths.push(String::from_utf8(path).unwrap());
        }
    }
    paths
}

/// Returns the command's answers for arguments; those for lines of standard input must be the same in both formats.
fn ask(fleet: &EnvoyFixture, paths: &[String]) -> Vec<Value> {
    let config = fleet.layout.live().join("ring.yaml");
    let config = config.to_str().unwrap();
    let output = command::pushring(
        ["owner", "--config", config, "--output", "json"].into_iter().chain(paths.iter().map(String::as_str)),
    );
    let output = output.unwrap();
    assert_eq!(output.code, 1, "some are not pushes: {}", output.stderr);
    let Value::Array(answers) = output.json().unwrap() else { panic!("a list") };
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, paths.join("\n").as_bytes()).unwrap();
    for output in ["json", "table"] {
        let mut command = command::command().unwrap();
        command.args(["owner", "--config", config, "--output", output]);
        let ran = command.stdin(File::open(file.path()).unwrap()).stderr(Stdio::inherit()).output().unwrap();
        assert_eq!(ran.status.code(), Some(1));
        let text = String::from_utf8(ran.stdout).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines.len(), answers.len()), (paths.len(), paths.len()));
        for ((line, answer), path) in lines.into_iter().zip(&answers).zip(paths) {
            let (name, address) = (&answer["owner"]["name"], &answer["owner"]["address"]);
            let verdict = &answer["verdict"];
            if output == "json" {
                let answered: Value = serde_json::from_str(line).unwrap();
                let wanted = json!({"path": path, "verdict": verdict, "owner": name, "address": address});
                assert_eq!(answered, wanted);
            } else {
                let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
                assert_eq!(line, [text(name), text(address), text(verdict), path.clone()].join("\t"));
            }
        }
    }
    answers
}

/// Returns the filter's lookup after its redirects to clean paths; `None` if the filter ignores the path.
fn envoy(client: &Client, path: &str) -> Option<Value> {
    let answer = client.send("GET", path, &[("accept", "application/json")], "").unwrap();
    match (answer.status, answer.header("location")) {
        (200, _) => answer.json().ok(),
        (307, Some(clean)) => envoy(client, clean),
        (404, _) => None,
        (status, _) => panic!("{path}: {status} {}", answer.text()),
    }
}

/// Checks that pushes reach the owner that the command named, and that rejected pushes reach none.
fn lands(fleet: &EnvoyFixture, client: &Client, paths: &[String], answers: &[Value]) {
    let stored = answers.iter().enumerate().filter(|(_, answer)| answer["verdict"] == "push");
    let mut expected: Vec<(Group, String)> = Vec::new();
    for (index, answer) in stored.take(PUSHED) {
        assert_eq!(push(client, &paths[index]), 200, "{}", paths[index]);
        let group = serde_json::from_value(answer["labels"].clone()).unwrap();
        expected.push((group, answer["owner"]["address"].as_str().unwrap().to_owned()));
    }
    let holders = fleet.holders();
    for (group, owner) in &expected {
        let index = fleet.gateways.iter().position(|g| g.address.to_string() == *owner).unwrap();
        assert!(holders[group].contains(&index), "{group:?} is not at {owner}, but at {:?}", holders[group]);
    }
    let groups: std::collections::BTreeSet<_> = expected.iter().collect();
    assert_eq!(
        holders.values().map(|at| at.len()).sum::<usize>(),
        groups.len(),
        "no group is stored elsewhere"
    );
    for refused in ["malformed", "poison"] {
        let index = answers.iter().position(|answer| answer["verdict"] == refused).expect(refused);
        assert_eq!(push(client, &paths[index]), 400, "{refused}: {}", paths[index]);
    }
}

/// Returns the status of a push by a client that follows redirects.
fn push(client: &Client, path: &str) -> u16 {
    let answer = client.put(path, "x 1\n").unwrap();
    let Some(url) = answer.header("location") else { return answer.status };
    match url.strip_prefix("http://").and_then(|rest| rest.split_once('/')) {
        Some((address, path)) => {
            Client::new(address.parse().unwrap()).unwrap().put(&format!("/{path}"), "x 1\n").unwrap().status
        }
        None => push(client, url),
    }
}
