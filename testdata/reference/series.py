"""The key of a series in metric-index, from its tenant and labels, as docs/index/wire-format.md defines it."""

from reference.xxh3 import xxh3_128

Labels = list[tuple[str, str]]


def canonical(labels: Labels) -> bytes:
    """Labels sorted by the bytes of their names, without empty values; each text after its length."""
    pairs = sorted((name.encode(), value.encode()) for name, value in labels if value)
    return b"".join(after_length(text) for pair in pairs for text in pair)


def after_length(text: bytes) -> bytes:
    """A text after its length, which is a varint of protobuf: seven bits a byte, lowest first."""
    length, out = len(text), bytearray()
    while length > 0x7F:
        out.append(length & 0x7F | 0x80)
        length >>= 7
    out.append(length)
    return bytes(out) + text


def key(tenant: str, labels: Labels) -> str:
    return xxh3_128(after_length(tenant.encode()) + canonical(labels)).hex()


def cases() -> list[tuple[str, Labels]]:
    """Every length that XXH3 treats in its own way, and every rule of the canonical form."""
    up = [("__name__", "up")]
    rows = [
        ("", [("__name__", "a")]),
        ("", up),
        ("tenant-1", up),
        ("", [*up, ("job", "node"), ("instance", "10.0.0.1:9100")]),
        ("", [("instance", "10.0.0.1:9100"), ("job", "node"), *up]),
        ("", [*up, ("Zone", "eu"), ("job", "node")]),
        ("", [*up, ("job", ""), ("empty", "")]),
        ("", [("__name__", "température"), ("größe", "5 €"), ("名前", "値"), ("\U0001f600", "\U0001f600")]),
        ("", [("__name__", "http.requests"), ("a b", 'quote " \\ and\nline'), ("nul", "\0")]),
        ("ä" * 100, up),
        ("", [*up, *((f"label_{i:02}", f"value-{i}" * i) for i in range(1, 30))]),
    ]
    # A value of this length makes as many bytes more and those of its own length.
    lengths = [*range(1, 40), 96, 97, 98, *range(107, 117), *range(214, 226), 1000, *range(1004, 1012), 2040, 16383, 16384]
    return rows + [("", [*up, ("v", "x" * length)]) for length in lengths]


def rows() -> list[list[str]]:
    head = ["tenant", "labels", "canonical", "key"]
    return [head] + [
        [
            tenant.encode().hex(),
            ",".join(f"{name.encode().hex()}={value.encode().hex()}" for name, value in labels),
            canonical(labels).hex() if len(canonical(labels)) <= 300 else "",
            key(tenant, labels),
        ]
        for tenant, labels in cases()
    ]


def self_test() -> None:
    """Results of the xxHash library for the five kinds of input, and a canonical form by hand."""
    for length, expected in (
        (9, "448ed015876c9b760fa9cce72efb9f50"),
        (17, "a5a6ff85fea072a65638ef2c2640c124"),
        (129, "4052ed0c45e827dc1ae5ef3120cf58fa"),
        (241, "b083ebefeb50d36fd4634329aad08f65"),
        (1025, "5f25d704bea32628aa349a4f5734eeab"),
    ):
        data = bytes((i * i * 7 + i) % 251 for i in range(length))
        assert xxh3_128(data).hex() == expected, length
    assert canonical([("b", ""), ("__name__", "up"), ("Z", "x" * 128)]) == b"\x01Z\x80\x01" + b"x" * 128 + b"\x08__name__\x02up"
