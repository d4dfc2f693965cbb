#!/usr/bin/env python3
"""Writes native-<mode>.yaml from <mode>.yaml: the same Envoy with the native module in place of the Wasm filter.

--check compares instead, and exits with 1 if a file is not up to date.
"""

import pathlib
import re
import sys

FOLDER = pathlib.Path(__file__).parent

MODULE = "type.googleapis.com/envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilter"
WASM = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"

TYPES = f"""\
              # With the second one, a ring.yaml that names the Wasm filter is a way back without a restart.
              type_urls: [{MODULE}, {WASM}]
"""

FILTER = f"""\
                "@type": {MODULE}
                # Explained in ring.yaml.
                dynamic_module_config:
                  module: {{ local: {{ filename: /etc/pushring/libpushring_native.so }} }}
                  metrics_namespace: wasmcustom
                filter_name: pushring
                filter_config:
                  "@type": type.googleapis.com/google.protobuf.StringValue
                  value: |
                    \\1
"""

RUNTIME = """\
node: { id: pushring, cluster: pushring }

# For Prometheus, the module's metrics have the names that the Wasm filter gives them, without `wasmcustom`.
layered_runtime:
  layers:
  - name: native
    static_layer: { envoy.reloadable_features.dynamic_modules_strip_custom_stat_prefix: true }
  - { name: admin, admin_layer: {} }
"""

PANIC = """\
            # A fault of the module: its own answer, 500.
            - filter:
                extension_filter:
                  name: envoy.access_loggers.extension_filters.cel
                  typed_config:
                    "@type": type.googleapis.com/envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter
                    expression: response.code_details == "pushring_panic"
"""

# Pattern, replacement and the number of places.
CHANGES = [
    (r"#   /etc/pushring/pushring_filter\.wasm   the filter\n", "#   /etc/pushring/libpushring_native.so  the filter, for Envoy 1.40\n", 1),
    (r"before it starts \(examples in live/\w+/\):", "before it starts (`pushring publish --native` writes those in live/):", 1),
    (r"--config-path /etc/pushring/", "--config-path /etc/pushring/native-", 1),
    (r"node: \{ id: pushring, cluster: pushring \}\n", RUNTIME, 1),
    (re.escape(f"              type_urls: [{WASM}]\n"), TYPES, 1),
    (rf' {{16}}"@type": {re.escape(WASM)}\n(?: {{17,}}.*\n| {{16}}config:\n)*? {{22}}(\{{"members".*)\n', FILTER, 1),
    # The module gives Envoy its reason as details.
    (r'%RESPONSE_CODE_DETAILS%%RESP\(X-PUSHRING-REASON\)%"', '%RESPONSE_CODE_DETAILS%"', 1),
    (r"                  # pushring_<kind> for an answer of the filter, for which Envoy has no details of its own\.\n", "                  # pushring_<kind> for an answer of the filter.\n", 1),
    (r"(          local_reply_config:\n            mappers:\n)", "\\1" + PANIC, None),
]


def native(text):
    for pattern, replacement, count in CHANGES:
        text, found = re.subn(pattern, replacement, text)
        if found == 0 or count not in (None, found):
            sys.exit(f"found {found} of {count} places of {pattern}: change native.py with the files")
    return text


def main():
    stale = []
    for mode in ("cluster", "endpoint", "redirect"):
        path = FOLDER / f"native-{mode}.yaml"
        text = native((FOLDER / f"{mode}.yaml").read_text())
        if sys.argv[1:] != ["--check"]:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            stale.append(path.name)
    if stale:
        sys.exit(f"not up to date: {', '.join(stale)}; run envoy/native.py")


if __name__ == "__main__":
    main()
