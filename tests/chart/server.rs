//! A real API server accepts everything that the chart renders, and a namespace of restricted pods all pods.

use pushring_harness::machine::isolated;
use pushring_harness::{process, tools};
use serde_json::{Value, json};

use super::cluster::Cluster;
use super::helm::{examples, helm, objects, render};

#[test]
fn helm_lints_the_chart_with_all_examples() {
    let chart = super::helm::chart();
    for (name, path) in examples() {
        let output = helm(&[
            "lint",
            "--strict",
            chart.to_str().unwrap(),
            "--values",
            path.to_str().unwrap(),
            "--namespace",
            "monitoring",
        ]);
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn a_real_api_server_accepts_all_examples() {
    isolated("server::a_real_api_server_accepts_all_examples", || {
        let cluster = Cluster::start();
        let mut kinds: Vec<String> = Vec::new();
        for (name, path) in examples() {
            let text = render(&["--values", path.to_str().unwrap()]).unwrap();
            assert_eq!(cluster.complaints(&text), "", "{name}");
            kinds.extend(objects(&text).iter().map(|one| one["kind"].as_str().unwrap().to_owned()));
            for pod in pods(&text) {
                assert_eq!(cluster.complaints(&pod.to_string()), "", "{name}");
            }
        }
        kinds.sort();
        kinds.dedup();
        let all = "ConfigMap Deployment HTTPRoute HorizontalPodAutoscaler Ingress Job Lease NetworkPolicy PodDisruptionBudget PodMonitor \
                   PrometheusRule Role RoleBinding Service ServiceAccount ServiceMonitor StatefulSet";
        assert_eq!(kinds.join(" "), all);

        // The checks can fail: a field that does not exist, a wrong value, a pod with too many rights.
        let text = render(&[]).unwrap();
        for (from, to, complaint) in [
            ("topologyKey: kubernetes.io/hostname", "topologyKeys: x", "unknown field"),
            ("restartPolicy: Always", "restartPolicy: Sometimes", "restartPolicy"),
            ("pullPolicy: IfNotPresent", "pullPolicy: Perhaps", "pullPolicy"),
            (
                "allowPrivilegeEscalation: false",
                "allowPrivilegeEscalation: true",
                "would violate PodSecurity",
            ),
        ] {
            assert!(text.contains(from), "{from}");
            let complaints = cluster.complaints(&text.replace(from, to));
            assert!(complaints.contains(complaint), "{to}: {complaints}");
        }
        let values = ["--set", "securityContext.capabilities.add={NET_ADMIN}"];
        for pod in pods(&render(&values).unwrap()) {
            let complaints = cluster.complaints(&pod.to_string());
            assert!(complaints.contains("violates PodSecurity"), "{complaints}");
        }
    });
}

#[test]
fn kustomize_builds_manifests_that_the_api_server_accepts() {
    isolated("server::kustomize_builds_manifests_that_the_api_server_accepts", || {
        let cluster = Cluster::start();
        for overlay in super::package::overlays() {
            let text = kustomize(&overlay);
            assert_eq!(cluster.complaints(&text), "", "{overlay}");
            assert!(!pods(&text).is_empty(), "{overlay}");
        }
    });
}

/// Returns what `kubectl kustomize` builds from a folder of the repository.
fn kustomize(folder: &str) -> String {
    let mut command = process::command(&tools::find("kubectl").unwrap());
    let output = command.args(["kustomize", folder]).current_dir(tools::repository()).output().unwrap();
    assert!(output.status.success(), "{folder}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Returns a pod for each template of one: Pod Security only warns about a workload, and rejects a pod.
fn pods(text: &str) -> Vec<Value> {
    let workloads = objects(text).into_iter().filter(|one| !one["spec"]["template"]["spec"].is_null());
    let pod = |(index, mut workload): (usize, Value)| {
        let mut spec = workload["spec"]["template"]["spec"].take();
        if let Some(claims) = workload["spec"]["volumeClaimTemplates"].as_array() {
            let claim = |claim: &Value| {
                let name = &claim["metadata"]["name"];
                json!({"name": name, "persistentVolumeClaim": {"claimName": name}})
            };
            let mut volumes: Vec<Value> = spec["volumes"].as_array().cloned().unwrap_or_default();
            volumes.extend(claims.iter().map(claim));
            spec["volumes"] = volumes.into();
        }
        // The admission of priorities looks for the class, which no test creates.
        spec.as_object_mut().unwrap().remove("priorityClassName");
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": format!("pod-{index}")}, "spec": spec})
    };
    workloads.enumerate().map(pod).collect()
}
