"""Pushes groups with prometheus_client, as a Python job does.

Usage: push.py <url of the gateway> <metric name>, with the groups as JSON on standard input:
[{"job": "a", "labels": [["instance", "x"]]}, …]. Ends with an exception at the first push that fails.
"""

import json
import sys

from prometheus_client import CollectorRegistry, Gauge, pushadd_to_gateway

if len(sys.argv) != 3:
    sys.exit("usage: push.py <url> <metric>, groups as JSON on standard input")
url, metric = sys.argv[1:]
registry = CollectorRegistry()
Gauge(metric, "Pushed by prometheus_client.", registry=registry).set(1)
for group in json.load(sys.stdin):
    pushadd_to_gateway(url, job=group["job"], registry=registry, grouping_key=dict(group["labels"]))
