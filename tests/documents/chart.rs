//! The README of the Helm chart and the plain manifests agree with their sources, without Helm.

use std::collections::BTreeSet;
use std::fs;

use pushring_harness::tools;
use serde_json::Value;

/// Components with the same fields for their pods: `*` in the README.
const COMPONENTS: [&str; 4] = ["gateways", "envoy", "sweeper", "serve"];

#[test]
fn readme_has_each_value_with_its_default() {
    let values = yaml("deploy/helm/pushring/values.yaml");
    let mut documented = BTreeSet::new();
    for line in read("deploy/helm/pushring/README.md").lines().filter(|line| line.starts_with("| `")) {
        let mut cells = line.split(" | ").map(|cell| cell.trim_matches(['|', ' ']).trim_matches('`'));
        let (path, default) = (cells.next().unwrap(), cells.next().unwrap());
        let Ok(default) = serde_json::from_str::<Value>(default) else { continue };
        let paths: Vec<String> = match path.strip_prefix('*') {
            Some(rest) => COMPONENTS.iter().map(|component| format!("{component}{rest}")).collect(),
            None => vec![path.to_owned()],
        };
        for path in paths {
            let found = values.pointer(&format!("/{}", path.replace('.', "/")));
            assert_eq!(found, Some(&default), "README of the chart: {path}");
            documented.insert(path);
        }
    }
    let known = |path: &str| {
        let parents = path.match_indices('.').map(|(end, _)| &path[..end]);
        parents.chain([path]).any(|part| documented.contains(part))
            || path.starts_with("settings.filter.placement")
    };
    // Fields of every image that are explained once.
    let image = |path: &str| path.ends_with("image.digest") || path.ends_with("image.pullPolicy");
    let missing: Vec<String> =
        leaves(&values).into_iter().filter(|path| !known(path) && !image(path)).collect();
    assert!(missing.is_empty(), "README of the chart lacks {missing:?}");
}

#[test]
fn schema_knows_each_value() {
    let schema: Value = serde_json::from_str(&read("deploy/helm/pushring/values.schema.json")).unwrap();
    for path in leaves(&yaml("deploy/helm/pushring/values.yaml")) {
        let mut at = &schema;
        for name in path.split('.') {
            if let Some(reference) = at["$ref"].as_str() {
                at = schema.pointer(&reference[1..]).unwrap();
            }
            let free = at.get("properties").is_none() && at["type"] == "object";
            if free {
                break;
            }
            assert_eq!(at["additionalProperties"], false, "{path}");
            at = at["properties"].get(name).unwrap_or_else(|| panic!("no {name} in {path}"));
        }
    }
}

#[test]
fn chart_has_the_shipped_files() {
    for (copy, source) in [
        ("envoy/cluster.yaml", "envoy/cluster.yaml"),
        ("envoy/endpoint.yaml", "envoy/endpoint.yaml"),
        ("rules.yml", "monitoring/rules.yml"),
        ("dashboard.json", "monitoring/grafana/pushring.json"),
    ] {
        assert!(read(&format!("deploy/helm/pushring/files/{copy}")) == read(source), "{copy}");
    }
    let chart = yaml("deploy/helm/pushring/Chart.yaml");
    for field in ["version", "appVersion"] {
        assert_eq!(chart[field], env!("CARGO_PKG_VERSION"), "{field} of the chart");
    }
}

/// Suite `chart` renders the manifests again; this test needs no Helm.
#[test]
fn manifests_have_the_shipped_files() {
    for mode in ["cluster", "endpoint"] {
        let objects = manifests(mode);
        let data = &object(&objects, "ConfigMap", "pushring-envoy")["data"];
        let mut shipped = read(&format!("envoy/{mode}.yaml"));
        for (from, to) in [
            ("/etc/pushring/pushring_filter.wasm", "/etc/pushring/filter/plugin.wasm"),
            ("address: 0.0.0.0,", "address: \"0.0.0.0\","),
            ("max_heap_size_bytes: 2147483648", "max_heap_size_bytes: 268435456"),
            ("address: 127.0.0.1, port_value: 9093 ", "address: pushring-serve, port_value: 9093 "),
            (
                "name: pushring-serve\n    type: STATIC",
                "name: pushring-serve\n    type: STRICT_DNS\n    dns_lookup_family: ALL\n    \
                 # Pushes do not wait for it.\n    wait_for_warm_on_init: false",
            ),
        ] {
            assert!(shipped.contains(from), "envoy/{mode}.yaml lacks {from:?}, which the chart replaces");
            shipped = shipped.replace(from, to);
        }
        for replaced in [
            "max_active_downstream_connections: 10000",
            "replace(\":path\", \"/-/ready\")",
            "exact: /-/ready }",
        ] {
            assert!(
                shipped.contains(replaced),
                "envoy/{mode}.yaml lacks {replaced:?}, which the chart replaces"
            );
        }
        assert!(
            data["envoy.yaml"].as_str().unwrap().trim_end() == shipped.trim_end(),
            "{mode}: run `make manifests`"
        );
        let hook = read("deploy/helm/pushring/files/drain.sh");
        assert!(
            data["drain.sh"].as_str().unwrap().trim_end() == hook.trim_end(),
            "{mode}: run `make manifests`"
        );
    }
    let objects = manifests("components/monitoring");
    assert!(
        object(&objects, "PrometheusRule", "pushring")["spec"] == yaml("monitoring/rules.yml"),
        "rules: run `make manifests`"
    );
    let dashboard = &object(&objects, "ConfigMap", "pushring-dashboard")["data"]["pushring.json"];
    let shipped = read("monitoring/grafana/pushring.json");
    assert!(dashboard.as_str().unwrap().trim_end() == shipped.trim_end(), "dashboard: run `make manifests`");
}

fn manifests(folder: &str) -> Vec<Value> {
    let text = read(&format!("deploy/kubernetes/{folder}/rendered.yaml"));
    text.split("\n---\n").map(|one| serde_saphyr::from_str::<Value>(one).unwrap()).collect()
}

fn object<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let found = objects.iter().find(|one| one["kind"] == kind && one["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("no {kind} {name}"))
}

/// Returns the paths of all values that are no maps with entries.
fn leaves(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (key, value) in value.as_object().unwrap() {
        if value.as_object().is_some_and(|map| !map.is_empty()) {
            found.extend(leaves(value).into_iter().map(|path| format!("{key}.{path}")));
        } else {
            found.push(key.clone());
        }
    }
    found
}

fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&read(path)).unwrap()
}

fn read(path: &str) -> String {
    fs::read_to_string(tools::repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}
