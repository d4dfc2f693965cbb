"""The panels: a row for each question that an operator has, the most important first."""

import queries as q
from panels import BAD, GOOD, NEUTRAL, WARNING, chart, in_unit, in_words, number, rows


# The address of an Envoy or a gateway.
WIDE = {"custom.width": 180}


def runbook(*alerts):
    """Names the sections of the runbook."""
    return "Runbook: " + ", ".join(f"`docs/runbook.md#{alert.lower()}`" for alert in alerts)


def now():
    """The answers in short: the top of the dashboard."""
    severities = {"1": ("critical", BAD), "2": ("warning", WARNING), "3": ("info", NEUTRAL)}
    # The address of a gateway, or of an Envoy or another process; neither for an alert of the whole fleet.
    about = f'label_join({q.FIRING}, "about", " ", "gateway", "instance", "reason")'
    alerts = f'sum by (severity, alertname, about) (label_replace({about}, "about", "$1", "about", " *(.*?) *"))'
    for rank, (severity, _) in severities.items():
        # In order of severity, which is not that of the alphabet.
        alerts = f'label_replace({alerts}, "severity", "{rank}", "severity", "{severity}")'
    return [
        number(
            "Pushes not accepted",
            4,
            f"(({q.answers(5)} + {q.REJECTED_BY_GATEWAYS}) / ({q.ALL_ANSWERS} > 0)) or vector(0)",
            "Share of pushes that no gateway stored: 5xx, and 4xx of a gateway. A poisoned gateway rejects every push. Without "
            "those that the filter rejects. " + runbook("PushringPushesFail", "PushringPushesRejected", "PushringGatewayPoisoned"),
            unit="percentunit",
            decimals=2,
            steps=[(0.001, WARNING), (0.05, BAD)],
        ),
        number(
            "Pushes that fail",
            3,
            f"({q.answers(5)} / ({q.ALL_ANSWERS} > 0)) or vector(0)",
            "Share of pushes that Envoy answered with 5xx: their clients have to retry. " + runbook("PushringPushesFail"),
            unit="percentunit",
            decimals=2,
            steps=[(0.0001, WARNING), (0.001, BAD)],
        ),
        number(
            "Groups held twice",
            3,
            f"count({q.ON_TWO}) or vector(0)",
            "Prometheus reads two values of these groups. Some are normal for minutes after a change of members: the sweeper "
            "deletes the older copy. If they stay or grow, a client pushes past the ring. "
            + runbook("PushringGroupOnTwoGateways", "PushringPushesPastRing"),
            steps=[(1, WARNING)],
        ),
        number(
            "Gateways not scraped",
            4,
            f"{q.UNREAD} or vector(0)",
            "Prometheus cannot read these gateways, so their groups are missing. The column State of the table Gateways says "
            "whether one is down or poisoned. If Prometheus scrapes `pushring serve` alone, these are the ones that it cannot read. "
            + runbook("PushringGatewayDown", "PushringGatewayPoisoned", "PushringServeGatewayDown"),
            steps=[(1, BAD)],
        ),
        number(
            "Rings in force",
            3,
            f'count(count_values("version", {q.RING}_version))',
            "More than 1: the Envoys route by different rings, and a group can reach two gateways. Compare the column Ring of "
            "the table Envoys. " + runbook("PushringEnvoysDisagree", "PushringRingRefused"),
            steps=[(2, BAD)],
        ),
        number(
            "Busiest: load / share",
            4,
            f"(max({q.LOAD}) >= 0) or vector(0)",
            "Part of the pushes that the busiest gateway gets, divided by the part of the groups that the ring gives it. 1 is "
            "even; much more means that few groups get most of the pushes. " + runbook("PushringLoadUneven"),
            decimals=1,
            steps=[(2, WARNING), (3, BAD)],
        ),
        number(
            "Age of the ring",
            3,
            f"time() - max({q.RING}_update_time) / 1000",
            "Time since an Envoy last received a ring. A recent change explains groups on two gateways and failed attempts.",
            unit="s",
            steps=None,
        ),
        rows(
            "Alerts that fire",
            12,
            6,
            [q.or_none(alerts, "alertname")],
            {"severity": "Severity", "alertname": "Alert", "about": "About", "Value": "Count"},
            "Start here. Each alert is a section of `docs/runbook.md`, with its meaning, its impact and the commands that mend it.",
            overrides=[("Severity", in_words(severities)), ("Alert", {"custom.width": 260})],
            sort=("Severity", False),
        ),
        chart(
            "Alerts over time",
            12,
            6,
            [(q.or_none(f"sum by (alertname) ({q.FIRING})", "alertname"), "{{alertname}}")],
            "The first alert is usually the cause, the others follow from it.",
            stack=True,
            right=True,
        ),
    ]


def taken():
    return [
        chart(
            "Answers to pushes, per second",
            7,
            7,
            [
                (q.answers(5), "5xx", "bad"),
                (q.answers(4), "4xx", "warning"),
                (q.answers(3), "3xx", "other"),
                (q.answers(2), "2xx", "good"),
            ],
            "5xx: no gateway accepted the push. 4xx: the push itself is wrong, or its gateway is poisoned and rejects every "
            "push. " + runbook("PushringPushesFail", "PushringPushesRejected"),
        ),
        chart(
            "Rejected pushes, per second",
            7,
            7,
            [
                (q.REJECTED_BY_GATEWAYS, "gateway", "bad"),
                (q.replies("poison"), "filter: poison", "warning"),
                (q.replies("not_allowed"), "filter: GET", "other"),
            ],
            "A gateway rejects wrong bodies and paths; a gateway that is poisoned rejects every push. Envoy's access log names "
            "client, path and reason. " + runbook("PushringPushesRejected", "PushringPoisonRefused", "PushringPathsUnparsable"),
        ),
        chart(
            "Failed attempts, per second",
            10,
            7,
            [
                (q.failures(), "{{gateway}} {{kind}}"),
                (f"sum(rate(envoy_cluster_upstream_rq_retry_success{{{q.MEMBERS}}}[{q.WINDOW}]))", "saved by a retry", "good"),
            ],
            "Attempts of Envoy, before any retry. No connection: the gateway is down, or its port is closed. "
            + runbook("PushringGatewayDown", "PushringFailover"),
        ),
    ]


def placed():
    return [
        chart(
            "Pushes past the ring, per second",
            12,
            7,
            [(q.PAST, "{{gateway}}")],
            "Pushes that a gateway received, without those that came from an Envoy: a client has the gateway's address instead of "
            "Envoy's. Less than 5 % of the gateway's pushes count as 0: two scrapes are at different times. " + runbook("PushringPushesPastRing"),
            right=True,
        ),
        rows(
            "Groups on two gateways",
            12,
            7,
            [q.or_none(q.COPIES, "job")],
            {"job": "Job", "instance": "Instance", "gateway": "Gateway", "Value": "Pushed ago"},
            "Each copy with the time since its last push, at most 40. The sweeper deletes an older copy as soon as the owner has "
            "all of it; `pushring groups` names the owner. " + runbook("PushringGroupOnTwoGateways", "PushringCopiesKept"),
            overrides=[("Gateway", WIDE), ("Pushed ago", in_unit("s"))],
            sort=("Job", False),
        ),
    ]


def agreed():
    def each(expr, function="sum"):
        return f"{function} by (instance) ({expr})"

    return [
        chart(
            "Members",
            8,
            7,
            [
                ("max(pushring_discover_registered)", "registered", "quiet"),
                ("max(pushring_discover_on_ring)", "published", "good"),
                ("min(pushring_members)", "in Envoy", "bad"),
                (f"sum({q.own('up')})", "scraped", "other"),
            ],
            "Lines that differ for long are a fault. Registered above published: a gateway is down. In Envoy, the fewest of any, differs "
            "from published: an Envoy rejected a ring. " + runbook("PushringMemberOffRing", "PushringEnvoyBehind"),
        ),
        rows(
            "Envoys",
            16,
            7,
            [
                each('up{job="envoy"}', "max"),
                each("pushring_members", "max"),
                each(f"floor({q.RING}_version / 4096) % 10000", "max"),
                each(f"time() - {q.RING}_update_time / 1000", "min"),
                each(q.RING_REFUSED),
                each("increase(envoy_wasm_pushring_vm_reload_success[1h])"),
            ],
            {
                "instance": "Envoy",
                "Value #A": "State",
                "Value #B": "Members",
                "Value #C": "Ring",
                "Value #D": "Ring for",
                "Value #E": "Rejected",
                "Value #F": "Crashes 1h",
            },
            "Ring is four digits of the ring's digest: equal on all Envoys. Rejected: ring files that the Envoy did not accept since "
            "the ring in force; `pushring check` says what is wrong with the file. Crashes: of the filter. "
            + runbook("PushringEnvoysDisagree", "PushringRingRefused", "PushringFilterCrashed"),
            overrides=[
                ("Envoy", WIDE),
                ("State", in_words({"0": ("not scraped", BAD), "1": ("up", GOOD)})),
                ("Members", in_unit("none")),
                ("Ring", in_unit("none")),
                ("Ring for", in_unit("s")),
                ("Rejected", in_unit("none", 0, [(0.5, BAD)])),
                ("Crashes 1h", in_unit("none", 0, [(0.5, BAD)])),
            ],
            sort=("Envoy", False),
        ),
    ]


def served():
    states = {"0": ("down", BAD), "1": ("poisoned", WARNING), "2": ("read", GOOD)}
    return [
        chart(
            "Groups by source",
            8,
            7,
            [
                ('max(pushring_serve_groups{source="unknown"})', "owner unknown", "bad"),
                ('max(pushring_serve_groups{source="former"})', "former owner", "other"),
                ('max(pushring_serve_groups{source="replica"})', "replica", "warning"),
                ('max(pushring_serve_groups{source="owner"})', "owner", "good"),
            ],
            "Without `pushring serve`, this row is empty. The gateways that the groups in its `/metrics` come from. Replica: the owner is "
            "down, or restarted without its groups, which `pushring sweep --repair` restores. "
            + runbook("PushringServeFromReplicas", "PushringServeDown"),
            stack=True,
        ),
        rows(
            "Gateways that it reads",
            6,
            7,
            [q.SERVED],
            {"gateway": "Gateway", "Value": "State"},
            "Down: `pushring serve` cannot read its groups, so they come from replicas, if there are any. Poisoned: its "
            "`/metrics` fails, and its API is read. " + runbook("PushringServeGatewayDown", "PushringGatewayPoisoned"),
            overrides=[("Gateway", WIDE), ("State", in_words(states))],
            sort=("Gateway", False),
        ),
        chart(
            "Conflicts",
            4,
            7,
            [("max(pushring_serve_conflicts)", "families", "warning")],
            "Families of which `/metrics` leaves out a part, because groups contradict each other. The page names the groups. "
            + runbook("PushringServeConflicts"),
        ),
        chart(
            "Time for a scrape",
            6,
            7,
            [
                ('max(scrape_duration_seconds{job="pushring-serve"})', "whole scrape", "quiet"),
                ("max(pushring_serve_reading_duration_seconds)", "reading all gateways", "other"),
            ],
            "Near the `scrape_timeout` of Prometheus, groups of slow gateways will be missing. " + runbook("PushringServeDown"),
            unit="s",
        ),
    ]


def loaded():
    states = {"0": ("down", BAD), "1": ("poisoned", BAD), "2": ("no pushes", NEUTRAL), "3": ("in service", GOOD)}
    return [
        chart(
            "Pushes by gateway, per second",
            12,
            7,
            [(q.of_envoy("rq_total"), "{{gateway}}")],
            "As the Envoys sent them. One line far above the others: few groups get most of the pushes, or one client pushes too "
            "often. " + runbook("PushringLoadUneven", "PushringMemberOverloaded"),
            right=True,
        ),
        chart(
            "Time for a push",
            12,
            7,
            [(q.MEAN, "{{gateway}}"), (q.P99, "Envoy, 99 %", "quiet")],
            "Mean in each gateway, and the time within which Envoy answers 99 % of all pushes. One slow gateway: too many groups "
            "or too little CPU. Only Envoy is slow: clients upload slowly. " + runbook("PushringPushesSlow", "PushringMemberOverloaded"),
            unit="s",
            right=True,
        ),
        rows(
            "Gateways",
            24,
            7,
            [
                q.STATE,
                q.GROUPS,
                q.SHARE,
                q.LOAD,
                q.of_envoy("rq_total"),
                q.of_envoy("rq_active", None),
                f"{q.MEAN} >= 0",
                q.CPU,
                q.of_gateway(q.own("process_resident_memory_bytes")),
                q.of_gateway(q.own("scrape_duration_seconds")),
            ],
            {
                "gateway": "Gateway",
                "Value #A": "State",
                "Value #B": "Groups",
                "Value #C": "Share of ring",
                "Value #D": "Load / share",
                "Value #E": "Pushes/s",
                "Value #F": "In flight",
                "Value #G": "Push takes",
                "Value #H": "CPU",
                "Value #I": "Memory",
                "Value #J": "Scrape takes",
            },
            "Down: neither Envoy nor Prometheus gets an answer. Poisoned: it answers Envoy, but its /metrics cannot be read; "
            "`pushring groups --conflicts` names the group and prints the command that deletes it. Load / share: 1 is even. "
            + runbook("PushringGatewayDown", "PushringGatewayPoisoned", "PushringMemberOverloaded"),
            overrides=[
                ("Gateway", WIDE),
                ("State", in_words(states)),
                ("Groups", in_unit("none")),
                ("Share of ring", in_unit("percentunit", 1)),
                ("Load / share", in_unit("none", 2, [(2, WARNING), (3, BAD)])),
                ("Pushes/s", in_unit("none", 1)),
                ("In flight", in_unit("none")),
                ("Push takes", in_unit("s", 1, [(0.25, BAD)])),
                ("CPU", in_unit("percentunit", 0, [(0.6, WARNING), (0.8, BAD)])),
                ("Memory", in_unit("bytes", 0)),
                ("Scrape takes", in_unit("s", 1, [(2, WARNING), (5, BAD)])),
            ],
            sort=("Gateway", False),
        ),
    ]


def changed():
    def count(series):
        return f"sum(increase({series}[{q.WINDOW}]))"

    def published(result):
        return count(f'pushring_discover_published_total{{result="{result}"}}')

    return [
        chart(
            "Changes of the ring",
            12,
            7,
            [
                (published("failed"), "not published: an error", "bad"),
                (published("held"), "held: too few members", "warning"),
                (count(f"{q.RING}_config_reload"), "accepted by an Envoy", "other"),
                (published("published"), "published", "good"),
            ],
            "In each interval. Held: most gateways vanished at once, so the last ring stays until enough are back or are "
            "deregistered. " + runbook("PushringRingHeld", "PushringPublishFails", "PushringMembershipStale"),
        ),
        chart(
            "Copies of moved groups",
            12,
            7,
            [
                (q.or_none("sum by (reason) (pushring_sweep_kept) > 0", "reason"), "kept: {{reason}}"),
                (count("pushring_sweep_deleted_total"), "deleted", "good"),
            ],
            "Deletions and leftovers of the sweeper. It keeps a copy on a gateway that does not own the group as long as the owner lacks a part of it, "
            "and names the reason. " + runbook("PushringCopiesKept", "PushringNobodySweeps"),
        ),
    ]


ROWS = [
    ("", now),
    ("Is every push taken?", taken),
    ("Is every group where it belongs?", placed),
    ("Does pushring serve show every group?", served),
    ("Do all Envoys and the membership agree?", agreed),
    ("Is a member overloaded or slow?", loaded),
    ("What changed last?", changed),
]
