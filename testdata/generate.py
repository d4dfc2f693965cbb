#!/usr/bin/env python3
"""Writes the vector files next to this script; with --check, compares them and exits 1 if one differs.

Needs Python 3.9 or newer and nothing else.
"""

import argparse
import sys
from pathlib import Path

sys.dont_write_bytecode = True  # no byte code next to the sources

from reference import cases, hashes, key, series
from reference.placement import DynamicSharding, Ring

HERE = Path(__file__).parent


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file differs")
    check = arguments.parse_args().check
    hashes.self_test()
    series.self_test()
    sets = cases.member_sets()
    rings = {name: ring(placement, members) for name, placement, members in sets}
    check_golden(rings)
    files = {
        "members.tsv": members_rows(sets),
        "owners.tsv": owners_rows(sets, rings),
        "paths.tsv": paths_rows(rings),
        "fleets.tsv": fleets_rows(),
        "series.tsv": series.rows(),
    }
    differ = False
    for name, rows in files.items():
        text = "".join("\t".join(row) + "\n" for row in rows)
        path = HERE / name
        if not check:
            path.write_text(text, encoding="ascii")
        elif not path.exists() or path.read_text(encoding="ascii") != text:
            differ = True
            print(f"{path} is not what the reference gives; run {HERE.name}/generate.py", file=sys.stderr)
    return 1 if differ else 0


def ring(placement: str, members: dict) -> Ring:
    if placement == "dynamic-sharding":
        return DynamicSharding(members)
    return Ring(members, int(placement.removeprefix("ring:")))


def check_golden(rings: dict) -> None:
    """The reference itself must give the vectors of the original dynamic-sharding."""
    for path, hashed, owner in cases.DYNAMIC_SHARDING_GOLDEN:
        assert hashes.murmur3_x86_32(path) == hashed, path
        assert rings["ds-three"].clockwise(path)[0] == owner, path
    for name, points in cases.DYNAMIC_SHARDING_POINTS.items():
        for member, i, position, owner in points:
            assert hashes.murmur3_x86_32(f"{i}{member}".encode()) == position, (member, i)
            assert rings[name].of_point[position] == owner, (member, i)
    circle = [f"{point:08x} {member}" for point, member in rings["ds-three"].circle]
    assert len(circle) == 1500
    assert circle[:5] == [
        "001d80ff 1.1.1.3:9091",
        "009571a2 1.1.1.3:9091",
        "00d4d71d 1.1.1.2:9091",
        "00ddfbd6 1.1.1.3:9091",
        "01239f70 1.1.1.1:9091",
    ]
    assert circle[-1] == "ffd6bdb5 1.1.1.1:9091"


def members_rows(sets: list) -> list:
    rows = [("set", "placement", "name", "weight")]
    for set_name, placement, members in sets:
        rows += [(set_name, placement, name, str(weight)) for name, weight in members.items()]
    return rows


def owners_rows(sets: list, rings: dict) -> list:
    rows = [("set", "key", "hash", "owner", "successors")]
    for name, placement, _ in sets:
        keys = cases.keys(name, placement) + cases.edge_keys(name, rings[name])
        digits = 8 if placement == "dynamic-sharding" else 16
        for row_key in keys:
            owner, *successors = rings[name].clockwise(row_key)
            hashed = f"{rings[name].hash(row_key):0{digits}x}"
            rows.append((name, row_key.hex(), hashed, owner, ",".join(successors[:2])))
    return rows


def paths_rows(rings: dict) -> list:
    rows = [("prefix", "names", "route_by", "path", "outcome", "key", "set", "owner")]
    spelled = cases.random_paths(220)
    for prefix, utf8_names in (("", False), ("", True), ("/push/gw", False)):
        few = cases.PATHS if not prefix else cases.PATHS[:60]
        for path in [*few, *(spelled if not utf8_names and not prefix else spelled[:30])]:
            path = path if path == "/x/metrics/job/a" else prefix + path
            parsed = key.parse(path.encode("ascii"), prefix, utf8_names)
            for route_by in ("group", "job", "path"):
                if route_by != "group" and (prefix or utf8_names):
                    continue
                names = "utf8" if utf8_names else "legacy"
                row = (prefix, names, route_by, path, parsed.outcome)
                if parsed.outcome not in ("group", "malformed"):
                    rows.append((*row, "", "", ""))
                    continue
                set_name = "ds-three" if route_by == "path" else "ten"
                row_key = parsed.key(route_by)
                rows.append((*row, row_key.hex(), set_name, rings[set_name].clockwise(row_key)[0]))
    return rows


def fleets_rows() -> list:
    rows = [("fleet", "name")]
    for number, names in enumerate(cases.fleets()):
        rows += [(str(number), name) for name in names]
    return rows


if __name__ == "__main__":
    sys.exit(main())
