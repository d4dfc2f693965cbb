//! The schema rejects wrong values, and its message names the field.

use super::helm::{chart, render};

/// A value, and the field and the text that the message must contain.
const WRONG: &[(&str, &str)] = &[
    ("replicas=3", "at '': additional properties 'replicas' not allowed"),
    ("gateways.replica=3", "at '/gateways': additional properties 'replica' not allowed"),
    ("gateways.replicas=0", "at '/gateways/replicas': minimum"),
    ("gateways.replicas=1025", "at '/gateways/replicas': maximum"),
    ("gateways.replicas=three", "at '/gateways/replicas': got string, want integer"),
    ("gateways.persistence.size=big", "at '/gateways/persistence/size'"),
    ("gateways.persistence.whenScaled=Keep", "at '/gateways/persistence/whenScaled': value must be one of"),
    ("gateways.persistence.accessModes={ReadOnlyMany}", "at '/gateways/persistence/accessModes/0'"),
    ("gateways.persistence.interval=5", "at '/gateways/persistence/interval'"),
    ("gateways.existing.service=A_B", "at '/gateways/existing/service'"),
    ("gateways.existing.port=9091", "at '/gateways/existing/port'"),
    ("gateways.antiAffinity=always", "at '/gateways/antiAffinity': value must be one of"),
    ("gateways.image.repository=Prom/Pushgateway", "at '/gateways/image/repository'"),
    ("gateways.image.tag=v1:2", "at '/gateways/image/tag'"),
    ("gateways.extraEnv[0].value=x", "at '/gateways/extraEnv/0': missing property 'name'"),
    ("mode=redirect", "at '/mode': value must be one of 'cluster', 'endpoint'"),
    ("settings.min_members_share=2", "at '/settings/min_members_share': maximum"),
    ("settings.members=1", "at '/settings': additional properties 'members' not allowed"),
    ("settings.consul.service=x", "at '/settings': additional properties 'consul' not allowed"),
    ("settings.filter.mode=cluster", "at '/settings/filter': additional properties 'mode' not allowed"),
    ("settings.filter.health=false", "at '/settings/filter': additional properties 'health' not allowed"),
    ("settings.filter.placement.points=5000", "at '/settings/filter/placement/points': maximum"),
    ("settings.filter.placement.type=maglev", "at '/settings/filter/placement/type': value must be one of"),
    ("settings.filter.route_by=instance", "at '/settings/filter/route_by': value must be one of"),
    // The sweeper would not start.
    ("settings.filter.route_by=path", "at '/settings/filter/route_by': value must be one of 'group', 'job'"),
    (
        "settings.filter.mirror=sometimes",
        "at '/settings/filter/mirror': value must be one of 'none', 'deletes', 'all'",
    ),
    (
        "settings.filter.mirror_deletes=sometimes",
        "at '/settings/filter/mirror_deletes': got string, want bool",
    ),
    ("settings.filter.path_prefix=pg/", "at '/settings/filter/path_prefix'"),
    ("settings.filter.status_path=status", "at '/settings/filter/status_path'"),
    ("settings.filter.lookup=on", "at '/settings/filter/lookup': value must be one of"),
    ("settings.filter.successors=-1", "at '/settings/filter/successors': minimum"),
    ("settings.gateways.ca_file=ca.pem", "at '/settings/gateways/ca_file'"),
    ("settings.gateways.cert_file=/a", "at '/settings/gateways': properties 'key_file' required"),
    ("image.digest=sha256:0", "at '/image/digest'"),
    ("image.pullPolicy=Sometimes", "at '/image/pullPolicy': value must be one of"),
    ("filter.from=url", "at '/filter/from': value must be one of"),
    ("filter.from=configMap", "at '/filter/configMap': minLength"),
    ("envoy.concurrency=0", "at '/envoy/concurrency': minimum"),
    ("envoy.maxHeapBytes=256Mi", "at '/envoy/maxHeapBytes': got string, want integer"),
    ("envoy.bindAddress=localhost", "at '/envoy/bindAddress'"),
    ("envoy.drain.by=hope", "at '/envoy/drain/by': value must be one of"),
    ("envoy.service.type=ExternalName", "at '/envoy/service/type': value must be one of"),
    ("envoy.service.port=0", "at '/envoy/service/port': minimum"),
    ("envoy.service.loadBalancerSourceRanges={10.0.0.1}", "at '/envoy/service/loadBalancerSourceRanges/0'"),
    ("envoy.podDisruptionBudget.maxUnavailable=200%", "at '/envoy/podDisruptionBudget/maxUnavailable'"),
    ("envoy.autoscaling.targetCPU=0", "at '/envoy/autoscaling/targetCPU': minimum"),
    ("envoy.resources.limits.memory=512MB", "at '/envoy/resources/limits/memory'"),
    ("envoy.resources.memory=1Gi", "at '/envoy/resources': additional properties 'memory' not allowed"),
    ("envoy.tolerations=x", "at '/envoy/tolerations': got string, want array"),
    ("discover.hold=60", "at '/discover/hold': got number, want string"),
    ("discover.hold=1w", "at '/discover/hold'"),
    ("sweeper.interval=500ms", "at '/sweeper/interval'"),
    ("sweeper.envoy=pushring:9091", "at '/sweeper/envoy'"),
    ("sweeper.orphansAfter=0s", "at '/sweeper/orphansAfter'"),
    ("drain.gateways={0}", "at '/drain/gateways/0': minimum"),
    (
        "drain.gateways={3},gateways.persistence.enabled=false",
        "drain.gateways: found gateways, expected none",
    ),
    (
        "envoy.autoscaling.enabled=true,envoy.autoscaling.maxReplicas=1",
        "envoy.autoscaling.maxReplicas: found 1, expected minReplicas (2) or more",
    ),
    (
        "envoy.drain.seconds=90",
        "envoy.terminationGracePeriodSeconds: found 90, expected more than drain.seconds (90)",
    ),
    (
        "settings.filter.mirror=all,settings.filter.mirror_deletes=true",
        "settings.filter.mirror_deletes: found together with mirror, expected one of them",
    ),
    ("drain.gateways={2}", "drain.gateways: found 2, expected the number of a gateway that was scaled in"),
    ("serviceAccount.create=false", "at '/serviceAccount/name': minLength"),
    ("fullnameOverride=Push_ring", "at '/fullnameOverride'"),
    ("ingress.enabled=true", "at '/ingress/hosts': minItems"),
    ("httpRoute.enabled=true", "at '/httpRoute/parentRefs': minItems"),
    ("networkPolicy.from[0]=x", "at '/networkPolicy': additional properties 'from' not allowed"),
    ("monitoring.monitors.interval=15", "at '/monitoring/monitors/interval': got number, want string"),
    ("monitoring.dashboard.labels.a=b c", "at '/monitoring/dashboard/labels/a'"),
];

#[test]
fn the_schema_rejects_wrong_values_and_names_the_field() {
    let mut failures = Vec::new();
    for (value, expected) in WRONG {
        match render(&["--set", value]) {
            Err(message) if message.contains(expected) => {}
            Err(message) => failures.push(format!("{value}: {message}")),
            Ok(_) => failures.push(format!("{value}: accepted")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(chart().join("values.schema.json").exists());
}

#[test]
fn the_schema_accepts_the_limits_of_each_field() {
    for value in [
        "gateways.replicas=1024",
        "settings.filter.placement.points=4096",
        "settings.filter.path_prefix=/a/b.c",
        "settings.filter.successors=0",
        "settings.filter.mirror=all",
        "settings.filter.mirror_deletes=false",
        "envoy.podDisruptionBudget.maxUnavailable=0",
        "envoy.podDisruptionBudget.maxUnavailable=100%",
        "envoy.bindAddress=2001:db8::1",
        "envoy.service.nodePort=30000",
        "gateways.resources.limits.cpu=2",
        "discover.hold=0s",
        "settings.gateways.server_name=gateway",
        "global.anything=1",
    ] {
        let rendered = render(&["--set", value]);
        assert!(rendered.is_ok(), "{value}: {rendered:?}");
    }
    // Without the sweeper, a ring by paths is possible.
    assert!(render(&["--set", "sweeper.enabled=false,settings.filter.route_by=path"]).is_ok());
}
