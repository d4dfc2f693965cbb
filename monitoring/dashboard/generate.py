#!/usr/bin/env python3
"""Writes ../grafana/pushring.json; with --check, compares it and exits 1 if it differs.

Needs grafana-foundation-sdk: `make dashboard` runs it with the Python of target/tools.
"""

import argparse
import itertools
import json
import sys
from pathlib import Path

sys.dont_write_bytecode = True  # no byte code next to the sources

import queries as q
import questions
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard
from panels import DATASOURCE

OUTPUT = Path(__file__).resolve().parent.parent / "grafana" / "pushring.json"


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--check", action="store_true", help="write nothing; exit 1 if the file differs")
    check = arguments.parse_args().check
    text = json.dumps(pushring().build(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"
    if not check:
        OUTPUT.write_text(text, encoding="utf-8")
    elif not OUTPUT.exists() or OUTPUT.read_text(encoding="utf-8") != text:
        print(f"{OUTPUT} is not what {Path(__file__).name} gives; run `make dashboard`", file=sys.stderr)
        return 1
    return 0


def pushring() -> builders.Dashboard:
    board = builders.Dashboard("pushring").uid("pushring").tags(["pushring", "pushgateway"]).readonly()
    board.description("Pushgateways behind Envoy with pushring. Each row is a question; docs/runbook.md has the alerts.")
    board.time("now-1h", "now").refresh("30s").timezone("browser").tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
    board.with_variable(builders.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    # `.*` also selects gateways without a datacenter. Without such a value, All gateways are those of the datacenter.
    datacenter = variable("dc", "Datacenter", 'label_values(up{job="pushgateway"}, dc)').all_value(".*")
    board.with_variable(datacenter)
    addresses = variable("gateway", "Gateway", f"query_result({' '.join(q.ADDRESSES.split())})")
    board.with_variable(addresses.regex('/gateway="([^"]+)"/'))
    changes = builders.AnnotationQuery().name("The ring changed").datasource(DATASOURCE).enable(True).icon_color("blue")
    board.annotation(changes.expr(f"sum(changes({q.RING}_version[{q.WINDOW}])) > 0"))
    ids = itertools.count(1)
    for title, panels in questions.ROWS:
        if title:
            board.with_row(builders.Row(title).id(next(ids)))
        for panel in panels():
            board.with_panel(panel.id(next(ids)))
    return board


def variable(name: str, label: str, query: str) -> builders.QueryVariable:
    built = builders.QueryVariable(name).label(label).datasource(DATASOURCE).query(query)
    built.refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(dashboard.VariableSort.ALPHABETICAL_ASC)
    return built.multi(True).include_all(True).current(dashboard.VariableOption(text="All", value="$__all"))


if __name__ == "__main__":
    sys.exit(main())
