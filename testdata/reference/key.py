"""From the path of a push, as received in a request, to the canonical key of its group.

Follows Pushgateway 1.11.3 step by step and uses its names.
"""

import base64
import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Parsed:
    """`outcome` is one of
    group      stored under `labels`;
    malformed  refused by the gateway's own 400: routed by the decoded path;
    poison     would break the gateway: refused;
    other      not a push.
    """

    outcome: str
    decoded: bytes
    labels: dict[bytes, bytes] | None = None

    def key(self, route_by: str) -> bytes:
        """The bytes that are hashed."""
        if self.outcome == "malformed" or route_by == "path":
            return self.decoded
        labels = {b"job": self.labels[b"job"]} if route_by == "job" else self.labels
        return b"\xff".join(name + b"\xff" + value for name, value in sorted(labels.items()))


class Refused(Exception):
    """The gateway answers 400."""


def parse(raw: bytes, prefix: str = "", utf8_names: bool = False) -> Parsed:
    """`raw` is the request target; paths that Go's ServeMux redirects are not for this function."""
    raw = raw.partition(b"?")[0]
    decoded = percent_decode(raw)
    for variant in (b"/metrics/job/", b"/metrics/job@base64/"):
        start = prefix.encode() + variant
        if decoded.startswith(start) and len(decoded) > len(start):
            break
    else:
        return Parsed("other", decoded)
    job, slash, labels = decoded[len(start) :].partition(b"/")
    try:
        if re.search(rb"%(?![0-9A-Fa-f]{2})", raw):
            raise Refused
        if b"@base64" in variant:
            job = decode_base64(job)
        pairs = split_labels(slash + labels, utf8_names)
        if job == b"":
            raise Refused
    except Refused:
        return Parsed("malformed", decoded)
    pairs[b"job"] = job
    if any(not is_utf8(value) for value in pairs.values()):
        return Parsed("poison", decoded)
    if any(name.startswith(b"__") for name in pairs):
        return Parsed("poison", decoded)
    if pairs.get(b"instance") == b"":  # next to the same group without it
        return Parsed("poison", decoded)
    return Parsed("group", decoded, pairs)


def percent_decode(raw: bytes) -> bytes:
    """Once; a broken escape stays as it is; "+" stays "+"."""
    return re.sub(rb"%([0-9A-Fa-f]{2})", lambda m: bytes([int(m[1], 16)]), raw)


def split_labels(labels: bytes, utf8_names: bool) -> dict[bytes, bytes]:
    if len(labels) <= 1:
        return {}
    components = labels[1:].split(b"/")
    if len(components) % 2:
        raise Refused
    result = {}
    for name, value in zip(components[::2], components[1::2]):
        trimmed = name.removesuffix(b"@base64")
        unescaped = unescape_name(trimmed) if utf8_names else trimmed
        if trimmed.startswith(b"__") or not is_valid_name(unescaped, utf8_names):
            raise Refused
        result[unescaped] = value if trimmed == name else decode_base64(value)
    return result


def decode_base64(text: bytes) -> bytes:
    """URL alphabet, padding optional, CR and LF skipped, spare bits of the last character ignored."""
    text = text.rstrip(b"=").replace(b"\r", b"").replace(b"\n", b"")
    if not re.fullmatch(rb"[A-Za-z0-9_-]*", text) or len(text) % 4 == 1:
        raise Refused
    return base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))


def unescape_name(name: bytes) -> bytes:
    """`U__` escapes: `__` is an underscore, `_<1 to 5 hex digits>_` a code point; any error leaves it all."""
    if not name.startswith(b"U__"):
        return name
    out = b""
    rest = name[3:]
    while rest:
        if rest[:1] != b"_":
            out, rest = out + rest[:1], rest[1:]
        elif rest[:2] == b"__":
            out, rest = out + b"_", rest[2:]
        else:
            escape = re.match(rb"_([0-9A-Fa-f]{1,5})_", rest)
            code = int(escape[1], 16) if escape else -1
            if not 0 <= code <= 0x10FFFF or 0xD800 <= code <= 0xDFFF:
                return name
            out, rest = out + chr(code).encode(), rest[escape.end() :]
    return out


def is_valid_name(name: bytes, utf8_names: bool) -> bool:
    if utf8_names:
        return name != b"" and is_utf8(name)
    return re.fullmatch(rb"[a-zA-Z_][a-zA-Z0-9_]*", name) is not None


def is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
