"""The panels: a row for each question that an operator has, the most important first."""

import queries as q
from panels import BAD, GOOD, NEUTRAL, WARNING, chart, in_unit, in_words, number, rows


def runbook(*alerts):
    """Names the sections of the runbook."""
    return "Runbook: " + ", ".join(f"`docs/runbook.md#{alert.lower()}`" for alert in alerts)


def now():
    """The answers in short, without a title: the top of the dashboard."""
    severities = {"critical": ("critical", BAD), "warning": ("warning", WARNING), "info": ("info", NEUTRAL)}
    return [
        number(
            "Pushes that fail",
            4,
            f"({q.answers(5)} / (sum(rate(envoy_http_downstream_rq_completed{{{q.PUSH}}}[$__rate_interval])) > 0)) or vector(0)",
            "Share of pushes that Envoy answered with 5xx: their clients have to retry. " + runbook("PushringPushesFail"),
            unit="percentunit",
            decimals=2,
            steps=[(0.0001, WARNING), (0.001, BAD)],
        ),
        number(
            "Groups on two gateways",
            4,
            f"count({q.ON_TWO}) or vector(0)",
            "Prometheus reads two values of these groups. Some are normal for minutes after a change of members: the sweeper "
            "deletes the older copy. If they stay or grow, a client pushes past the ring. " + runbook("PushringGroupOnTwoGateways"),
            steps=[(1, WARNING), (20, BAD)],
        ),
        number(
            "Gateways not scraped",
            4,
            f"sum({q.UP} == bool 0) or vector(0)",
            "Prometheus cannot read these gateways, so their groups are missing. The column State of the table Gateways says "
            "whether one is down or poisoned. " + runbook("PushringGatewayDown", "PushringGatewayPoisoned"),
            steps=[(1, BAD)],
        ),
        number(
            "Rings in force",
            4,
            f'count(count_values("version", {q.RING}_version{{{q.DC}}}))',
            "More than 1: the Envoys route by different rings, and a group can reach two gateways. Compare the column Ring of "
            "the table Envoys. " + runbook("PushringEnvoysDisagree", "PushringRingRefused"),
            steps=[(2, BAD)],
        ),
        number(
            "Busiest gateway: load / share",
            4,
            f"(max({q.LOAD}) >= 0) or vector(0)",
            "Part of the pushes that the busiest gateway gets, divided by the part of the groups that the ring gives it. 1 is "
            "even; much more means that few groups get most pushes, or that one client pushes too often. " + runbook("PushringLoadUneven"),
            decimals=1,
            steps=[(2, WARNING), (3, BAD)],
        ),
        number(
            "Since the ring changed",
            4,
            f"time() - max({q.RING}_update_time{{{q.DC}}}) / 1000",
            "Time since an Envoy last received a ring. A recent change explains groups on two gateways and failed attempts.",
            unit="s",
            steps=None,
        ),
        rows(
            "Alerts that fire",
            10,
            6,
            [q.or_none('sum by (severity, alertname) (ALERTS{alertstate="firing",alertname=~"Pushring.*"})', "alertname", "none")],
            {"severity": "Severity", "alertname": "Alert", "Value": "Count"},
            "Start here. Each alert is a section of `docs/runbook.md`, with its meaning, its impact and the commands that mend it.",
            overrides=[("Severity", in_words(severities)), ("Count", {"custom.width": 80})],
            sort=("Severity", False),
        ),
        chart(
            "Alerts over time",
            14,
            6,
            [(q.or_none('sum by (alertname) (ALERTS{alertstate="firing",alertname=~"Pushring.*"})', "alertname", "none"), "{{alertname}}")],
            "The first alert is usually the cause, the others follow from it.",
            stack=True,
        ),
    ]


def taken():
    def replies(kind):
        return f"sum(rate(pushring_replies_{kind}{{{q.DC}}}[$__rate_interval]))"

    return [
        chart(
            "Answers to pushes, per second",
            12,
            7,
            [
                (q.answers(2), "2xx accepted", "good"),
                (q.answers(3), "3xx redirected", "other"),
                (q.answers(4), "4xx rejected", "warning"),
                (q.answers(5), "5xx failed", "bad"),
            ],
            "5xx: no gateway accepted the push. 4xx: the push itself is wrong, or its gateway is poisoned and rejects every push. "
            + runbook("PushringPushesFail", "PushringGatewayPoisoned"),
            unit="reqps",
            stack=True,
        ),
        chart(
            "Rejected pushes, per second",
            12,
            7,
            [
                (f"clamp_min({q.answers(4)} - {replies('poison')} - {replies('not_allowed')}, 0)", "by a gateway", "bad"),
                (replies("poison"), "by the filter: labels that poison", "warning"),
                (replies("not_allowed"), "by the filter: GET or HEAD", "other"),
                (replies("no_members"), "by the filter: no members", "quiet"),
            ],
            "A gateway rejects wrong bodies and paths; a gateway that is poisoned rejects every push. Envoy's access log names "
            "client, path and reason. " + runbook("PushringGatewayPoisoned", "PushringPoisonRefused", "PushringNoMembers"),
            unit="reqps",
        ),
    ]


def placed():
    return [
        chart(
            "Pushes past the ring, by gateway, per second",
            12,
            7,
            [(q.PAST, "{{gateway}}")],
            "Pushes that a gateway received, without those that came from an Envoy. A client pushes to its address: find it in "
            "the gateway's connections and give it the address of Envoy. A few percent of the load are noise between two "
            "scrapes. " + runbook("PushringGroupOnTwoGateways"),
            unit="reqps",
        ),
        rows(
            "Groups on two gateways",
            12,
            7,
            [q.or_none(q.COPIES, "job", "none")],
            {"job": "Job", "instance": "Instance", "gateway": "Gateway", "Value": "Pushed ago"},
            "Each copy with the time since its last push, at most 40. The sweeper deletes an older copy as soon as the owner has all "
            "of it; `pushring groups` names the owner. " + runbook("PushringGroupOnTwoGateways", "PushringCopiesKept"),
            overrides=[("Pushed ago", in_unit("s"))],
            sort=("Job", False),
            hidden=["dc"],
        ),
    ]


def agreed():
    def each(expr, by="sum"):
        return f"{by} by (instance) ({expr})"

    def recent(name):
        return each(f"increase({name}{{{q.DC}}}[1h])")

    ring = f"{q.RING}_version{{{q.DC}}}"
    return [
        chart(
            "Members",
            9,
            7,
            [
                (f"max(pushring_discover_registered{{{q.DC}}})", "registered", "quiet"),
                (f"max(pushring_discover_on_ring{{{q.DC}}})", "passing", "good"),
                (f"min(pushring_members{{{q.DC}}})", "on the ring, fewest of any Envoy", "bad"),
                (f"sum({q.UP})", "scraped", "other"),
            ],
            "Lines that differ for long are a fault. Registered above passing: a gateway is down. Passing above the ring: an Envoy "
            "rejected a ring, or the ring is held. " + runbook("PushringMemberLost", "PushringRingRefused"),
        ),
        rows(
            "Envoys",
            15,
            7,
            [
                each(f'up{{job="envoy",{q.DC}}}', "max"),
                each(f"pushring_members{{{q.DC}}}", "max"),
                each(f"floor({ring} / 4096) % 10000", "max"),
                each(f"time() - {q.RING}_update_time{{{q.DC}}} / 1000", "min"),
                f"{recent(f'{q.RING}_update_rejected')} + {recent(f'{q.RING}_config_fail')}",
                recent("envoy_wasm_pushring_vm_reload"),
                each(f"rate(envoy_http_downstream_rq_completed{{{q.PUSH}}}[$__rate_interval])"),
            ],
            {
                "instance": "Envoy",
                "Value #A": "State",
                "Value #B": "Members",
                "Value #C": "Ring",
                "Value #D": "Received ago",
                "Value #E": "Rings rejected in 1 h",
                "Value #F": "Filter restarts in 1 h",
                "Value #G": "Pushes per second",
            },
            "Ring is four digits of the ring's digest: equal on all Envoys. An Envoy that rejects a ring keeps the last one. "
            "`pushring check` says what is wrong with its file. " + runbook("PushringEnvoysDisagree", "PushringRingRefused", "PushringFilterCrashed"),
            overrides=[
                ("State", in_words({"0": ("not scraped", BAD), "1": ("up", GOOD)})),
                ("Ring", in_unit("none")),
                ("Received ago", in_unit("s")),
                ("Rings rejected in 1 h", in_unit("short", 0, [(0.5, BAD)])),
                ("Filter restarts in 1 h", in_unit("short", 0, [(0.5, BAD)])),
                ("Pushes per second", in_unit("reqps", 1)),
            ],
            sort=("Envoy", False),
        ),
    ]


def loaded():
    states = {
        "0": ("down", BAD),
        "1": ("poisoned", BAD),
        "2": ("no pushes", NEUTRAL),
        "3": ("in service", GOOD),
    }
    return [
        chart(
            "Pushes by gateway, per second",
            8,
            7,
            [(q.at_member("rq_total"), "{{gateway}}")],
            "What the Envoys sent to each gateway. One line far above the others: few groups get most pushes, or one client pushes "
            "too often. " + runbook("PushringLoadUneven"),
            unit="reqps",
        ),
        chart(
            "Time for a push",
            8,
            7,
            [(q.MEAN, "{{gateway}}"), (q.P99, "99 % of all, at Envoy", "quiet")],
            "Mean in each gateway, and the time that Envoy needs for 99 % of all pushes. One slow gateway: too many "
            "groups or too little CPU. All slow: look at Envoy and at the clients' uploads. " + runbook("PushringPushesSlow"),
            unit="s",
        ),
        chart(
            "Failed attempts by gateway, per second",
            8,
            7,
            [
                (q.failures(), "{{gateway}} {{kind}}"),
                (f"sum(rate(envoy_cluster_upstream_rq_retry_success{{{q.MEMBERS},{q.DC}}}[$__rate_interval]))", "saved by a retry", "good"),
            ],
            "Attempts of Envoy, before any retry. No connection: the gateway is down, or its port is closed. "
            + runbook("PushringGatewayDown", "PushringFailover"),
            unit="reqps",
        ),
        rows(
            "Gateways",
            24,
            9,
            [
                q.STATE,
                q.GROUPS,
                q.SHARE,
                q.LOAD,
                q.at_member("rq_total"),
                q.at_member("rq_active", None),
                f"{q.MEAN} >= 0",
                q.in_gateway(f"rate({q.own('process_cpu_seconds_total')}[$__rate_interval])"),
                q.in_gateway(q.own("process_resident_memory_bytes")),
                q.in_gateway(q.own("scrape_duration_seconds")),
            ],
            {
                "gateway": "Gateway",
                "Value #A": "State",
                "Value #B": "Groups",
                "Value #C": "Share of ring",
                "Value #D": "Load / share",
                "Value #E": "Pushes per second",
                "Value #F": "In flight",
                "Value #G": "Time for a push",
                "Value #H": "CPU",
                "Value #I": "Memory",
                "Value #J": "Time for a scrape",
            },
            "Down: neither Envoy nor Prometheus gets an answer. Poisoned: it answers Envoy, but its /metrics cannot be read; "
            "`pushring groups --conflicts` names the group and prints the command that deletes it. Load / share: 1 is even. "
            + runbook("PushringGatewayDown", "PushringGatewayPoisoned", "PushringLoadUneven"),
            overrides=[
                ("State", in_words(states)),
                ("Share of ring", in_unit("percentunit", 1)),
                ("Load / share", in_unit("short", 2, [(2, WARNING), (3, BAD)])),
                ("Pushes per second", in_unit("reqps", 1)),
                ("Time for a push", in_unit("s", 1)),
                ("CPU", in_unit("percentunit", 1, [(0.7, WARNING), (0.9, BAD)])),
                ("Memory", in_unit("bytes", 1)),
                ("Time for a scrape", in_unit("s", 1, [(2, WARNING), (5, BAD)])),
            ],
            sort=("Gateway", False),
        ),
    ]


def changed():
    def published(result):
        return q.total(f'pushring_discover_published_total{{result="{result}",{q.DC}}}')

    return [
        chart(
            "Changes",
            12,
            7,
            [
                (published("published"), "rings published", "good"),
                (published("held"), "held: too few members", "warning"),
                (published("failed"), "not published: an error", "bad"),
                (q.total(f"{q.RING}_config_reload{{{q.DC}}}"), "rings accepted by Envoys", "other"),
                (f"max(time() - pushring_discover_last_sync_timestamp_seconds{{{q.DC}}} > 60) or vector(0)", "seconds without the registry", "quiet"),
            ],
            "Per interval. Held: most gateways vanished at once, so the last ring stays until enough are back or are "
            "deregistered. " + runbook("PushringRingHeld", "PushringMembershipStale"),
        ),
        chart(
            "Copies that the sweeper kept and deleted",
            12,
            7,
            [
                (f"sum by (reason) (pushring_sweep_kept{{{q.DC}}})", "kept: {{reason}}"),
                (q.total(f"pushring_sweep_deleted_total{{{q.DC}}}"), "deleted", "good"),
            ],
            "Kept copies are on gateways that do not own them, with the reason; most are deleted after their next push. "
            + runbook("PushringCopiesKept", "PushringNobodySweeps"),
        ),
    ]


ROWS = [
    ("", now),
    ("Is every push taken?", taken),
    ("Is every group where it belongs?", placed),
    ("Do all Envoys and the membership agree?", agreed),
    ("Is a member overloaded or slow?", loaded),
    ("What changed last?", changed),
]
