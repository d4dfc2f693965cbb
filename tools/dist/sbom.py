#!/usr/bin/env python3
"""Prints the dependencies of the command and of both forms of the filter as CycloneDX: sbom.py VERSION.

Only what is linked into them, for all architectures; tools of the build and of the tests are left out. Equal for equal
Cargo.lock and SOURCE_DATE_EPOCH.
"""

import json
import os
import subprocess
import sys
import tomllib
import uuid
from datetime import datetime, timezone

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.contrib.this.builders import this_component
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

SHIPPED = {
    "pushring": ["x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl"],
    "pushring-filter": ["wasm32-unknown-unknown"],
    "pushring-native": ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"],
}


def cargo(*arguments):
    return subprocess.check_output(["cargo", *arguments, "--locked"], text=True)


def shipped():
    """Returns name and version of each package that is linked; the compiler runs a macro, so it is no part of the result."""
    found = set()
    for name, targets in SHIPPED.items():
        for target in targets:
            edges = "--edges=normal,no-proc-macro"
            lines = cargo("tree", f"--package={name}", f"--target={target}", edges, "--prefix=none").splitlines()
            found.update((line.split()[0], line.split()[1].removeprefix("v")) for line in lines)
    return found


def component(package, checksums):
    name, version = package["name"], package["version"]
    purl = PackageURL("cargo", name=name, version=version)
    checksum = checksums.get((name, version))
    text = (package["license"] or "").replace("/", " OR ")
    return Component(
        type=ComponentType.APPLICATION if name in SHIPPED else ComponentType.LIBRARY,
        name=name,
        version=version,
        description=package["description"],
        purl=purl,
        bom_ref=str(purl),
        licenses=[LicenseFactory().make_from_string(text)] if text else [],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=checksum)] if checksum else [],
    )


def main():
    version = sys.argv[1]
    with open("Cargo.lock", "rb") as file:
        lock = tomllib.load(file)["package"]
    checksums = {(package["name"], package["version"]): package.get("checksum") for package in lock}
    metadata = json.loads(cargo("metadata", "--format-version=1"))
    names = shipped()
    packages = {p["id"]: p for p in metadata["packages"] if (p["name"], p["version"]) in names}
    components = {id: component(package, checksums) for id, package in packages.items()}

    root = Component(type=ComponentType.APPLICATION, name="pushring-release", version=version, bom_ref="release")
    bom = Bom(components=components.values(), serial_number=uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(lock)))
    bom.metadata.component = root
    bom.metadata.timestamp = datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), timezone.utc)
    bom.metadata.tools.components.add(this_component())
    for node in metadata["resolve"]["nodes"]:
        if node["id"] in components:
            used = [d["pkg"] for d in node["deps"] if any(kind["kind"] is None for kind in d["dep_kinds"])]
            bom.register_dependency(components[node["id"]], [components[id] for id in used if id in components])
    bom.register_dependency(root, [c for c in components.values() if c.name in SHIPPED])
    print(JsonV1Dot6(bom).output_as_string(indent=2))


main()
