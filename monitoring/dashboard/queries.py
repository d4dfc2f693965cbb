"""The queries that several panels use. All metrics and labels are those of docs/operations.md.

`gateway` is the address of a Pushgateway, in the series of Envoy as in those of the Pushgateways.
"""

DC = 'dc=~"$dc"'
# Clusters of members: one each in cluster mode, one for all in endpoint mode. The others are for DELETE and operators.
MEMBERS = 'envoy_cluster_name=~"pushgateway.*",envoy_cluster_name!~"pushgateway-(mirror|operator)"'
RING = "envoy_extension_config_discovery_http_filter_pushring"
PUSH = f'envoy_http_conn_manager_prefix="push",{DC}'


def by_gateway(expr, label):
    """Sums by gateway, whose address is in `label`."""
    return f'sum by (gateway) (label_join({expr}, "gateway", "", "{label}"))'


def at_member(counter, window="$__rate_interval", gateway="$gateway"):
    """The rate of one of Envoy's counters for each gateway, the same in both modes."""
    series = f'envoy_cluster_endpoint_{counter}{{{MEMBERS},{DC},envoy_endpoint_address=~"{gateway}"}}'
    return by_gateway(f"rate({series}[{window}])" if window else series, "envoy_endpoint_address")


def in_gateway(expr):
    """Sums a series of the gateways themselves, whose target is the gateway."""
    return by_gateway(expr, "instance")


def own(metric):
    """A series of the Pushgateway itself, not one that was pushed."""
    return f'{metric}{{job="pushgateway",{DC},instance=~"$gateway"}}'


def answers(digit):
    return f'sum(rate(envoy_http_downstream_rq_xx{{{PUSH},envoy_response_code_class="{digit}"}}[$__rate_interval]))'


def or_none(expr, label, text):
    """A row that says so, instead of an empty answer."""
    return f'{expr} or on () label_replace(vector(0), "{label}", "{text}", "", "")'


def total(series):
    return f"sum(increase({series}[$__rate_interval]))"


UP = own("up")
GATEWAY_UP = f'max by (gateway) (label_join({UP}, "gateway", "", "instance"))'
# 0: neither Envoy nor Prometheus gets an answer, 1: only Envoy, 2: only Prometheus, 3: both.
STATE = f"""2 * ({GATEWAY_UP} == bool 1)
  + on (gateway) (({at_member("rq_success")} > bool 0) or 0 * {GATEWAY_UP})"""
GROUPS = f'count by (gateway) (push_time_seconds{{{DC},gateway=~"$gateway"}})'
ON_TWO = f"count without (gateway) (push_time_seconds{{{DC}}}) > 1"
COPIES = f"""topk(40, time() - (push_time_seconds{{{DC}}} and ignoring (gateway) ({ON_TWO})))"""
SHARE = f"""max by (gateway) (label_join(pushring_member_share{{{DC}}}
  * on (job, instance, member) group_left (address) pushring_member_info{{{DC},address=~"$gateway"}},
  "gateway", "", "address"))"""
# Of the pushes in five minutes: the part that a gateway gets, divided by the part of the groups that the ring gives it.
LOAD = f"""{at_member("rq_total", "5m")} / scalar(sum({at_member("rq_total", "5m", ".*")}))
  / on (gateway) {SHARE}"""
# The pushes that a gateway received, without those that the Envoys sent to it.
RECEIVED = f'sum by (gateway) (rate(pushgateway_http_requests_total{{handler="push",{DC},gateway=~"$gateway"}}[5m]))'
PAST = f"""clamp_min({RECEIVED}
  - on (gateway) ({at_member("rq_total", "5m")} or 0 * {RECEIVED}), 0)"""
MEAN = f"""sum by (gateway) (rate(pushgateway_http_push_duration_seconds_sum{{{DC},gateway=~"$gateway"}}[$__rate_interval]))
  / sum by (gateway) (rate(pushgateway_http_push_duration_seconds_count{{{DC},gateway=~"$gateway"}}[$__rate_interval]))"""
P99 = f"""histogram_quantile(0.99, sum by (le) (rate(envoy_http_downstream_rq_time_bucket{{{PUSH}}}[$__rate_interval])))
  / 1000"""


def failures():
    """Attempts that failed, by gateway and kind, without the zeros."""
    kinds = {"cx_connect_fail": "no connection", "rq_error": "error", "rq_timeout": "timeout"}
    parts = (f'label_replace({at_member(counter)}, "kind", "{kind}", "", "")' for counter, kind in kinds.items())
    return or_none("(" + " or ".join(parts) + ") > 0", "gateway", "none")
