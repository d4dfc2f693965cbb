#!/usr/bin/env python3
"""Draws bench/results/{compare,scaling,placement}.svg from the JSON files next to them. Standard library only."""

import html
import json
import math
import pathlib

RESULTS = pathlib.Path(__file__).resolve().parent / "results"
PUSHRING, OTHER = "#c4501b", "#6e7781"
PLACEMENTS = {
    "pushring": "#1d4ed8",
    "dynamic-sharding": "#7c3aed",
    "RING_HASH": "#c2410c",
    "RING_HASH, ring of 65,536": "#eab308",
    "MAGLEV": "#0f766e",
}
# The changes that the picture shows; the table in docs/performance.md has all of them.
CHANGES = ["3 to 4", "10 to 11", "10 to 9", "20 to 19", "100 to 99"]


class Picture:
    """An SVG on a white background, readable on light and dark pages."""

    def __init__(self, width, title):
        self.width, self.height, self.shapes = width, 0, []
        self.text(20, 32, title, size=15, weight="bold")

    def add(self, bottom, shape):
        self.height = max(self.height, bottom + 16)
        self.shapes.append(shape)

    def text(self, x, y, text, size=12, anchor="start", weight="normal", fill="#24292f"):
        self.add(y, f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
                    f'font-weight="{weight}" fill="{fill}">{html.escape(text)}</text>')

    def bar(self, x, y, width, height, fill, opacity=1, label=""):
        self.add(y + height, f'<rect x="{x}" y="{y}" width="{max(width, 1.5):.1f}" height="{height}" '
                             f'fill="{fill}" opacity="{opacity}"/>')
        self.text(x + max(width, 1.5) + 5, y + height - 1, label, size=10)

    def save(self, name):
        path = RESULTS / f"{name}.svg"
        shapes = "\n".join(self.shapes)
        path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" '
                        f'font-family="Helvetica, Arial, sans-serif">\n'
                        f'<rect width="100%" height="100%" fill="#fff"/>\n{shapes}\n</svg>\n')
        print(f"Wrote {path}")


def read(name):
    return json.loads((RESULTS / f"{name}.json").read_text())["results"]


def draw_compare():
    """Bars of CPU time: for each variant one of 90 B and, below it, one of 20 KB."""
    lines = read("compare")
    picture = Picture(860, "CPU time of the proxy per push, in microseconds")
    picture.text(20, 52, "Median. Upper bar: body of 90 B, lower bar: 20 KB. Shorter is better.", fill="#57606a")
    scale = 520 / max(line["cpu_us_median"] for line in lines)
    y, last = 58, None
    for line in lines:
        first = line["variant"] != last
        y, last = y + (18 if first else 12), line["variant"]
        if first:
            picture.text(210, y + 10, line["variant"], anchor="end")
        fill = PUSHRING if line["variant"].startswith("pushring") else OTHER
        time = line["cpu_us_median"]
        picture.bar(220, y, time * scale, 11, fill, 1 if first else 0.55, f"{time:.1f}")
    picture.save("compare")


def draw_scaling():
    """Two curves over the number of members: the CPU time of a push and of a reload."""
    points = [point for point in read("scaling") if point["axis"] == "members"]
    picture = Picture(860, "CPU time by number of members (cluster mode)")
    panels = [
        (60, "a push, in microseconds", lambda point: point["cpu_us_median"]),
        (490, "a reload on the worker, in milliseconds", lambda point: point["reload_worker_ms"]["median"]),
    ]
    for left, title, value in panels:
        picture.text(left, 62, title)
        most = max(map(value, points))
        places = [(left + math.log10(point["value"]) * 110, 270 - value(point) / most * 170) for point in points]
        corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        picture.add(270, f'<line x1="{left}" y1="270" x2="{left + 330}" y2="270" stroke="#d0d7de"/>')
        picture.add(0, f'<polyline points="{corners}" fill="none" stroke="{PUSHRING}" stroke-width="1.5"/>')
        for point, (x, y) in zip(points, places):
            picture.add(y, f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{PUSHRING}"/>')
            if point["value"] != 3:  # its label would overlap the one of two members
                picture.text(x, y - 8, f"{value(point):.3g}", size=10, anchor="middle")
            picture.text(x, 286, str(point["value"]), size=10, anchor="middle")
        picture.text(left + 330, 302, "members", size=10, anchor="end", fill="#57606a")
    picture.save("scaling")


def draw_placement():
    """Bars of needless moves and of spread, by placement."""
    lines = read("placement")
    total = lines[0]["groups"]
    moved = {line["change"]: line["moved"] for line in lines if "change" in line}
    moves = [(change, {name: 100 * moved[change][name]["needless"] / total for name in PLACEMENTS})
             for change in CHANGES]
    field = "max_to_mean_of_groups"
    spread = [(str(line["members"]), {name: 100 * (line[field][name] - 1) for name in PLACEMENTS})
              for line in lines if field in line]
    picture = Picture(960, "Needless moves and spread of five placements")
    for (name, fill), x in zip(PLACEMENTS.items(), [20, 120, 270, 390, 600]):
        picture.bar(x, 50, 12, 12, fill)
        picture.text(x + 18, 61, name, weight="bold" if name == "pushring" else "normal")
    panels = [
        (20, "Needlessly moved groups", "% of all groups, by change of the number of members", moves),
        (500, "Groups on the fullest member", "% above the mean, by number of members", spread),
    ]
    for x, title, unit, rows in panels:
        picture.text(x, 96, title, size=14, weight="bold")
        picture.text(x, 114, unit, fill="#57606a")
        most = max(max(values.values()) for _, values in rows)
        for row, (label, values) in enumerate(rows):
            y = 128 + row * 84
            picture.text(x + 72, y + 38, label, anchor="end", weight="bold")
            for place, (name, value) in enumerate(values.items()):
                label = f"{value:.2f} %" if value else "0"
                picture.bar(x + 82, y + place * 14, 270 * value / most, 12, PLACEMENTS[name], label=label)
    exact = next(line["max_to_mean_of_shares"] for line in lines
                 if "max_to_mean_of_shares" in line and line["members"] == 100)
    notes = [
        f"{total} groups through Envoy {lines[0]['envoy']}, mean of {lines[0]['fleets']} fleets.",
        "With 100 members each has 200 groups on average, so chance alone",
        "gives some members 10 to 20 % more. By exact shares of the ring,",
        f"pushring's fullest member is {100 * (exact['pushring'] - 1):.1f} % above the mean.",
    ]
    for line, note in enumerate(notes):
        picture.text(500, 400 + line * 18, note, fill="#57606a")
    picture.save("placement")


draw_compare()
draw_scaling()
draw_placement()
