//! The kubelet of the tests runs what manifests say, so that its pods prove something.

use pushring_harness::http::Client;
use pushring_harness::machine::isolated;
use pushring_harness::poll_until;

use super::cluster::Cluster;

/// A gateway with a volume, after an init container that fails without its ConfigMap and a sidecar that must be ready first.
const MANIFESTS: &str = r#"
apiVersion: v1
kind: Service
metadata: {name: gateway}
spec: {clusterIP: None, selector: {app: gateway}, ports: [{name: http, port: 9091}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: gateway}
spec:
  serviceName: gateway
  replicas: 2
  podManagementPolicy: Parallel
  selector: {matchLabels: {app: gateway}}
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
  template:
    metadata: {labels: {app: gateway}}
    spec:
      terminationGracePeriodSeconds: 30
      initContainers:
      - name: check
        image: registry.example.com/pushring/pushring:1
        command: [sh, -ec]
        args: ['test "$(NAME)" = "$HOSTNAME"; test "$(cat /etc/settings/a)" = 1; ! touch /etc/settings/b; ! touch /x; echo x >/data/touched']
        env: [{name: NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
        securityContext: {readOnlyRootFilesystem: true}
        volumeMounts: [{name: settings, mountPath: /etc/settings, readOnly: true}, {name: data, mountPath: /data}]
      - name: sidecar
        image: prom/pushgateway:v1
        restartPolicy: Always
        args: ["--web.listen-address=:9092"]
        startupProbe: {httpGet: {path: /-/ready, port: 9092}, periodSeconds: 1, failureThreshold: 60}
      containers:
      - name: gateway
        image: prom/pushgateway:v1
        args: ["--web.listen-address=:9091", --persistence.file=/data/groups]
        ports: [{name: http, containerPort: 9091}]
        readinessProbe: {httpGet: {path: /-/ready, port: http}, periodSeconds: 1}
        lifecycle: {preStop: {exec: {command: [sh, -c, "echo stopped >/data/stopped"]}}}
        volumeMounts: [{name: data, mountPath: /data}]
      volumes:
      - {name: settings, configMap: {name: settings}}
"#;

#[test]
fn pods_run_as_their_manifest_says() {
    isolated("pods::pods_run_as_their_manifest_says", || {
        let cluster = Cluster::start();
        cluster.apply(MANIFESTS);
        let reason = || {
            let pod = cluster.get(&["pods"])["items"][0].clone();
            let state = &pod["status"]["initContainerStatuses"][0]["state"]["waiting"]["message"];
            state.as_str().filter(|message| message.contains("no configmaps settings")).map(drop)
        };
        poll_until("the problem of the pod", reason).unwrap();
        assert!(cluster.ready("gateway").is_empty());
        cluster.kubectl(&["create", "configmap", "settings", "--from-literal=a=1"]);
        cluster.kubectl(&["rollout", "status", "statefulset/gateway", "--timeout=3m"]);
        let before =
            poll_until("two endpoints", || Some(cluster.ready("gateway")).filter(|all| all.len() == 2))
                .unwrap();

        // Deleted, it comes back with its data and another address.
        let client = Client::new(before["gateway-0"]).unwrap();
        assert_eq!(client.put("/metrics/job/a", "a 1\n").unwrap().status, 200);
        cluster.kubectl(&["delete", "pod", "gateway-0"]);
        cluster.kubectl(&["rollout", "status", "statefulset/gateway", "--timeout=3m"]);
        let after =
            poll_until("two endpoints", || Some(cluster.ready("gateway")).filter(|all| all.len() == 2))
                .unwrap();
        assert_ne!(before["gateway-0"], after["gateway-0"]);
        assert_eq!(before["gateway-1"], after["gateway-1"]);
        let metrics = Client::new(after["gateway-0"]).unwrap().get("/metrics").unwrap().text();
        assert!(metrics.contains("a{instance=\"\",job=\"a\"} 1"), "{metrics}");

        cluster.kubectl(&["delete", "statefulset/gateway", "service/gateway"]);
        let none = || cluster.get(&["pods"])["items"].as_array().unwrap().is_empty().then_some(());
        poll_until("no pods", none).unwrap();
    });
}
