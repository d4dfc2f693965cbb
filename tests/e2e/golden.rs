//! The golden vectors of testdata/ through a real Envoy.

use std::collections::BTreeMap;

use pushring_harness::http::Client;
use pushring_harness::{Envoy, Layout, Mode, Ports};
use pushring_router::{Router, labels_to_path};
use serde_json::{Value, json};

use pushring_vectors as vectors;

/// An Envoy without Pushgateways: the test looks owners up and never pushes.
struct Ring {
    envoy: Envoy,
    layout: Layout,
    client: Client,
    _dir: tempfile::TempDir,
}

impl Ring {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::create(dir.path(), Mode::Cluster, Ports::default()).unwrap();
        layout.write_upstreams(&[]).unwrap();
        layout.write_ring(r#"{"members": [], "min_members": 0}"#).unwrap();
        let envoy = Envoy::start(&layout, 1).unwrap();
        let client = envoy.client().unwrap();
        Self { envoy, layout, client, _dir: dir }
    }

    /// Activates a set of members with further settings of the filter.
    fn load(&self, set: &vectors::Set, settings: &Value) {
        // Some names in the vectors are not addresses.
        let members: Vec<Value> = set.members.iter().enumerate().map(|(index, (name, weight))| {
            json!({ "name": name, "address": format!("127.0.0.1:{}", index + 1), "weight": weight })
        }).collect();
        let placement = match set.points {
            Some(points) => json!({ "type": "ring", "points": points }),
            None => json!({ "type": "dynamic-sharding" }),
        };
        let mut config = json!({ "members": members, "placement": placement, "status_path": "/-/pushring" });
        config.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let json = config.to_string();
        let digest = Router::parse(json.as_bytes()).unwrap().digest();
        self.layout.write_ring(&json).unwrap();
        pushring_harness::poll_until(&format!("the ring {} to be in force", set.name), || {
            (self.envoy.status().ok()?["digest"] == digest).then_some(())
        })
        .unwrap();
    }

    /// Returns owner and successors by name.
    fn lookup(&self, path: &str) -> (String, Vec<String>) {
        let answer = self.client.send("GET", path, &[("accept", "application/json")], "").unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        let json = answer.json().unwrap();
        let successors = serde_json::from_value(json["successors"].clone()).unwrap();
        (json["owner"]["name"].as_str().unwrap().to_owned(), successors)
    }
}

#[test]
fn every_path_gets_its_owner() {
    let mut cases: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for push in vectors::pushes() {
        // A poisonous push has no owner in the vectors; the settings of its row decide whether it is recognized.
        let set = if push.set.is_empty() { "ten" } else { push.set };
        cases.entry((set, push.prefix, push.utf8_names, push.route_by)).or_default().push(push);
    }
    let ring = Ring::start();
    for ((set, prefix, utf8_names, route_by), pushes) in cases {
        let settings = json!({ "path_prefix": prefix, "utf8_names": utf8_names, "route_by": route_by });
        ring.load(&vectors::set(set), &settings);
        for push in pushes {
            let context = format!("{} with {settings}", push.path);
            match push.outcome {
                "group" | "malformed" => assert_eq!(ring.lookup(push.path).0, push.owner, "{context}"),
                "poison" => {
                    let answer = ring.client.put(push.path, "x 1\n").unwrap();
                    assert_eq!(answer.status, 400, "{context}: {}", answer.text());
                    assert!(answer.text().starts_with("label "), "{context}: {}", answer.text());
                }
                "other" => assert_eq!(ring.client.put(push.path, "x 1\n").unwrap().status, 404, "{context}"),
                outcome => panic!("unknown outcome {outcome}"),
            }
        }
    }
}

#[test]
fn every_key_of_a_push_gets_its_owner_and_successors() {
    let ring = Ring::start();
    let mut loaded = Vec::new();
    for lookup in vectors::lookups() {
        let set = vectors::set(lookup.set);
        // Keys of `ring` are looked up as groups, keys of `dynamic-sharding` as paths.
        let (path, route_by) = match set.points {
            Some(_) => (group_path(&lookup.key), "group"),
            None => (plain_path(&lookup.key), "path"),
        };
        let Some(path) = path else { continue };
        if !loaded.contains(&lookup.set) {
            ring.load(&set, &json!({ "route_by": route_by }));
            loaded.push(lookup.set);
        }
        let expected = (lookup.owner.to_owned(), lookup.successors.iter().map(ToString::to_string).collect());
        assert_eq!(ring.lookup(&path), expected, "{} {path}", lookup.set);
    }
    assert_eq!(loaded.len(), vectors::sets().len(), "each set has keys of pushes: {loaded:?}");
}

/// Returns a path of the group with this key; `None` if the key has other bytes.
fn group_path(key: &[u8]) -> Option<String> {
    let parts: Vec<&[u8]> = key.split(|byte| *byte == 0xFF).collect();
    let (pairs, []) = parts.as_chunks::<2>() else { return None };
    let labels: Vec<(&[u8], &[u8])> = pairs.iter().map(|[name, value]| (*name, *value)).collect();
    let text = labels.iter().all(|(name, value)| {
        str::from_utf8(value).is_ok() && !name.is_empty() && name.iter().all(u8::is_ascii_lowercase)
    });
    if text { labels_to_path("", false, labels) } else { None }
}

/// Returns whether a key is a push path without escapes.
fn plain_path(key: &[u8]) -> Option<String> {
    let path = str::from_utf8(key).ok()?;
    let job = path.strip_prefix("/metrics/job/")?;
    (!job.is_empty() && job.chars().all(|c| c.is_ascii_alphanumeric())).then(|| path.to_owned())
}
