"""The queries that several panels use, over the series of the scrape configurations next to this folder.

`gateway` is the address of a Pushgateway, in the series of Envoy as in those of the Pushgateways. Only the latter can have
a datacenter, so the variable `gateway` lists those of the chosen one and selects by address.
"""

GATEWAY = 'gateway=~"$gateway"'
# Clusters of members: one each in cluster mode, one for all in endpoint mode. The others are for DELETE and operators.
ALL_CLUSTERS = 'envoy_cluster_name=~"pushgateway.*"'
MEMBERS = f'{ALL_CLUSTERS},envoy_cluster_name!~"pushgateway-(mirror|operator)"'
RING = "envoy_extension_config_discovery_http_filter_pushring"
PUSH = 'envoy_http_conn_manager_prefix="push"'
WINDOW = "$__rate_interval"


def by_gateway(expr, label, function="sum"):
    """Aggregates by gateway, whose address is in `label`."""
    return f'{function} by (gateway) (label_join({expr}, "gateway", "", "{label}"))'


def of_envoy(metric, window=WINDOW, clusters=MEMBERS, gateways="$gateway"):
    """One of Envoy's statistics for each gateway, the same in both modes: its rate, or without a window its value."""
    series = f'envoy_cluster_endpoint_{metric}{{{clusters},envoy_endpoint_address=~"{gateways}"}}'
    return by_gateway(f"rate({series}[{window}])" if window else series, "envoy_endpoint_address")


def own(metric):
    """A series of the Pushgateway itself, not one that was pushed."""
    return f'{metric}{{job="pushgateway",instance=~"$gateway"}}'


def of_gateway(expr):
    """Aggregates own series by gateway."""
    return by_gateway(expr, "instance", "max")


def answers(digit):
    return f'sum(rate(envoy_http_downstream_rq_xx{{{PUSH},envoy_response_code_class="{digit}"}}[{WINDOW}]))'


def replies(kind):
    """Pushes that the filter itself answered."""
    return f"sum(rate(pushring_replies_{kind}[{WINDOW}]))"


def or_none(expr, label):
    """A row that says so, instead of an empty answer."""
    return f'{expr} or on () label_replace(vector(0), "{label}", "none", "", "")'


ALL_ANSWERS = f"sum(rate(envoy_http_downstream_rq_completed{{{PUSH}}}[{WINDOW}]))"
# 4xx that are no answers of the filter.
REJECTED_BY_GATEWAYS = f"clamp_min({answers(4)} - {replies('poison')} - {replies('not_allowed')}, 0)"
# Ring files that Envoy did not accept since the ring in force, as the alert PushringRingRefused counts them; in the first minute
# of a ring, all of five minutes.
RING_REFUSED = f"""{RING}_config_fail - min_over_time((
    {RING}_config_fail and on (job, instance) ({RING}_update_time == on (job, instance) {RING}_update_time @ end())
  )[1d:1m])
  or increase({RING}_config_fail[5m])"""
FIRING = 'ALERTS{alertstate="firing",alertname=~"Pushring.*"}'
UP = of_gateway(own("up"))
# 0: neither Envoy nor Prometheus gets an answer, 1: only Envoy, 2: only Prometheus, 3: both.
STATE = f"""2 * ({UP} == bool 1)
  + on (gateway) (({of_envoy("rq_success", clusters=ALL_CLUSTERS)} > bool 0) or 0 * {UP})"""
GROUPS = f"count by (gateway) (push_time_seconds{{{GATEWAY}}})"
ON_TWO = "count without (gateway) (push_time_seconds) > 1"
COPIES = f"topk(40, time() - (push_time_seconds and ignoring (gateway) ({ON_TWO})))"
SHARE = by_gateway(
    """max by (member) (pushring_member_share)
  * on (member) group_left (address) max by (member, address) (pushring_member_info{address=~"$gateway"})""",
    "address",
    "max",
)
# Of the pushes in two minutes: the part that a gateway gets, divided by the part of the groups that the ring gives it.
LOAD = f"""{of_envoy("rq_total", "2m")} / scalar(sum({of_envoy("rq_total", "2m", gateways=".*")}))
  / on (gateway) {SHARE}"""
# The pushes that a gateway received, without those that the Envoys sent to it, if these are clearly fewer: the two are scraped
# at different times.
RECEIVED = f'sum by (gateway) (rate(pushgateway_http_requests_total{{handler="push",{GATEWAY}}}[5m]))'
SENT = f"({of_envoy('rq_total', '5m', clusters=ALL_CLUSTERS)} or 0 * {RECEIVED})"
PAST = f"{RECEIVED} - on (gateway) ({SENT} < on (gateway) 0.95 * {RECEIVED} - 0.02) or 0 * {RECEIVED}"
MEAN = " / ".join(
    f"sum by (gateway) (rate(pushgateway_http_push_duration_seconds_{part}{{{GATEWAY}}}[{WINDOW}]))"
    for part in ("sum", "count")
)
P99 = f"histogram_quantile(0.99, sum by (le) (rate(envoy_http_downstream_rq_time_bucket{{{PUSH}}}[{WINDOW}]))) / 1000"
# Addresses of gateways; of a Prometheus that scrapes `pushring serve` in place of them, those to which the Envoys connect.
ADDRESSES = """max by (gateway) (label_join(up{job="pushgateway",dc=~"$dc"}, "gateway", "", "instance"))
  or on () max by (gateway) (label_join(envoy_cluster_endpoint_rq_total{%s}, "gateway", "", "envoy_endpoint_address"))""" % MEMBERS
# Gateways that cannot be read: by Prometheus, or by `pushring serve` in its place.
UNREAD = f"sum({own('up')} == bool 0) or sum(min by (gateway) (pushring_serve_gateway_up) == bool 0)"
# 0: down, 1: poisoned, 2: read. By the name of the member, which may be another one than the address.
SERVED = """min by (gateway) (pushring_serve_gateway_up)
  * on (gateway) (2 - max by (gateway) (pushring_serve_gateway_poisoned))"""
# Share of the CPUs that the gateway may use.
CPU = of_gateway(
    f"""rate({own("process_cpu_seconds_total")}[{WINDOW}])
  / on (instance) group_left () ({own("go_sched_gomaxprocs_threads")} or on (instance) (0 * {own("up")} + 1))"""
)


def failures():
    """Attempts that failed, by gateway and kind, without the zeros. Envoy counts a failed connection and a timeout as errors, too."""
    connect, timeout, error = (of_envoy(name) for name in ("cx_connect_fail", "rq_timeout", "rq_error"))
    kinds = {"no connection": connect, "timeout": timeout, "error": f"{error} - {connect} - {timeout}"}
    parts = (f'label_replace({expr}, "kind", "{kind}", "", "") > 0.001' for kind, expr in kinds.items())
    return or_none(" or ".join(parts), "gateway")
