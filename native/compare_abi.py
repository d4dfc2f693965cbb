#!/usr/bin/env python3
"""Compares src/abi.rs and src/hooks.rs with Envoy's header, before the module is built for another Envoy.

    native/compare_abi.py path/to/envoy/source/extensions/dynamic_modules/abi/abi.h

Prints each function, type, value and version that differs, and exits with 1. A function of the header that the module lacks is no
difference: only Envoy knows which hooks it requires.
"""

import pathlib
import re
import sys

SOURCES = pathlib.Path(__file__).parent / "src"
PREFIX = "envoy_dynamic_module_type_"
# Rust and C.
SCALARS = {"bool": "bool", "usize": "size_t", "u32": "uint32_t", "u64": "uint64_t", "()": "void"}


def snake(name):
    return PREFIX + re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def c_type(rust):
    """Returns the C type that a Rust type stands for, without spaces and const."""
    rust = rust.strip()
    pointer = re.fullmatch(r"\*(?:mut|const) (.*)", rust)
    if pointer:
        return c_type(pointer[1]) + "*"
    return SCALARS.get(rust) or snake(rust)


def bare(c):
    """Returns a C type, or an argument with its name, as `c_type` writes it."""
    c = re.sub(r"\bconst\b", "", c)
    words = re.match(r"\s*(\w+)\s*(\**)", c)
    return words[1] + words[2]


def rust_functions():
    text = (SOURCES / "abi.rs").read_text() + (SOURCES / "hooks.rs").read_text()
    found = {}
    for name, arguments, result in re.findall(r"fn (envoy_\w+)\((.*?)\)\s*(?:-> ([\w*: ]+?))?\s*[;{]", text, re.S):
        types = [argument.split(":", 1)[1] for argument in arguments.split(",") if ":" in argument]
        found[name] = (c_type(result or "()"), [c_type(one) for one in types])
    first = ["HttpFilterEnvoyPtr", "HttpFilterModulePtr"]
    for name, arguments, result in re.findall(r"^\s*(envoy_\w+)\(([^()]*?)\)(?: -> (\w+))?;$", text, re.M | re.S):
        types = first + [one for one in arguments.split(",") if one.strip()]
        found[name] = (c_type(result or "()"), [c_type(one) for one in types])
    return found


def c_functions(header):
    found = {}
    for result, name, arguments in re.findall(r"^([\w* \n]+?)\b(envoy_dynamic_module_(?:on|callback)_\w+)\s*\(([^)]*)\)\s*;", header, re.M):
        arguments = [] if arguments.strip() in ("", "void") else arguments.split(",")
        found[name] = (bare(result), [bare(one) for one in arguments])
    return found


def values(header):
    """Yields differences of the enums that Rust spells out."""
    rust = (SOURCES / "abi.rs").read_text()
    for name, body in re.findall(r"enum (\w+) \{(.*?)\}", rust, re.S):
        c_name = snake(name)
        c_body = re.search(rf"typedef enum {c_name} \{{(.*?)\}}", header, re.S)
        known = re.findall(rf"\b{c_name}_(\w+)", c_body[1]) if c_body else []
        for variant, value in re.findall(r"(\w+) = (\d+)", body):
            if variant not in known or known.index(variant) != int(value):
                yield f"{c_name}_{variant}: ours {value}, the header's values are {known}"


def structs(header):
    """Yields differences of the fields of structs."""
    rust = (SOURCES / "abi.rs").read_text()
    for name, body in re.findall(r"struct (\w+) \{(.*?)\}", rust, re.S):
        ours = re.findall(r"(?:pub\(crate\)) (\w+):", body)
        c_body = re.search(rf"typedef struct {snake(name)} \{{(.*?)\}}", header, re.S)
        theirs = re.findall(r"(\w+);", c_body[1]) if c_body else None
        if ours and ours != theirs:
            yield f"{snake(name)}: ours {ours}, the header's {theirs}"


def main():
    header = re.sub(r"//.*|/\*.*?\*/", "", pathlib.Path(sys.argv[1]).read_text(), flags=0)
    header = re.sub(r"/\*.*?\*/", "", header, flags=re.S)
    theirs = c_functions(header)
    different = [*values(header), *structs(header)]
    version = re.search(r'ABI_VERSION "(.*?)"', header)
    ours = re.search(r'VERSION: &CStr = c"(.*?)"', (SOURCES / "abi.rs").read_text())[1]
    if not version or version[1] != ours:
        different.append(f"version: ours {ours}, the header's {version and version[1]}")
    functions = rust_functions()
    different += [f"{name}: ours {ours}, the header's {theirs.get(name)}" for name, ours in functions.items() if theirs.get(name) != ours]
    print("\n".join(different) or f"{len(functions)} functions are as in the header")
    sys.exit(bool(different))


if __name__ == "__main__":
    main()
