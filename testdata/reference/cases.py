"""What the vectors cover: sets of members, keys and push paths. Seeded: every run gives the same."""

import base64
import random
import string
from urllib.parse import quote

LETTERS = string.ascii_letters + string.digits
VISIBLE = "".join(chr(c) for c in range(0x21, 0x7F) if chr(c) != ",")

EXACT_MEMBER, EXACT_KEY = "Gb5LLXw6rKA", b"YdybQ_4K1yI"


def member_sets() -> list[tuple[str, str, dict[str, int]]]:
    """(set, placement, {name: weight}); the placement is `ring:<points>` or `dynamic-sharding`."""
    rng = random.Random(1)
    three = [f"1.1.1.{i}:9091" for i in (1, 2, 3)]
    ten = [f"10.0.0.{i}:9091" for i in range(1, 11)]
    hundred = [f"10.1.{i // 16}.{i % 16}:9091" for i in range(100)]
    ipv6 = ["[2001:db8::1]:9091", "[2001:db8::2]:9091", "[::1]:9091", "[fe80::1%eth0]:9091"]
    # Names are any visible ASCII but the comma; the last two differ from their neighbors in one byte.
    odd = ["!", "~", "a", "A", "A" * 100, "#hash", 'quo"te', "back\\slash", "p%41", "a/b?c=d", "pushgateway-0", "pushgateway-00"]
    odd += ["".join(rng.choice(VISIBLE) for _ in range(rng.randint(2, 60))) for _ in range(8)]
    return [
        ("one", "ring:1024", {"10.0.0.1:9091": 1}),
        ("one-point", "ring:1", {"10.0.0.1:9091": 1}),
        ("two", "ring:1024", dict.fromkeys(ten[:2], 1)),
        ("three", "ring:1024", dict.fromkeys(three, 1)),
        ("ten", "ring:1024", dict.fromkeys(ten, 1)),
        ("ten-few-points", "ring:3", dict.fromkeys(ten, 1)),
        ("weights", "ring:64", dict(zip(ten, (1, 2, 3, 5, 8, 13, 21, 34, 55, 100)))),
        ("most-points", "ring:4096", {"small": 1, "large": 3}),
        ("ipv6", "ring:1024", dict.fromkeys(ipv6, 1)),
        ("odd-names", "ring:128", dict.fromkeys(odd, 1)),
        ("hundred", "ring:1024", dict.fromkeys(hundred, 1)),
        # Found by searching for collisions of FNV-1a: all points of the last two are equal (the smaller name owns
        # them), and EXACT_KEY hashes to the first point of EXACT_MEMBER, which owns it.
        ("ties", "ring:64", {"10.0.0.1:9091": 1, "ogAPOPZE62O": 1, "meYerhwo4_K": 1}),
        ("exact", "ring:2", dict.fromkeys([*ten, EXACT_MEMBER], 1)),
        ("ds-one", "dynamic-sharding", {"1.1.1.1:9091": 1}),
        ("ds-three", "dynamic-sharding", dict.fromkeys(three, 1)),
        ("ds-tie", "dynamic-sharding", {"10.0.0.151:9091": 1, "10.0.0.56:9091": 1}),
        ("ds-odd-names", "dynamic-sharding", dict.fromkeys(odd, 1)),
        ("ds-hundred", "dynamic-sharding", dict.fromkeys(hundred, 1)),
    ]


def fleets(count: int = 40, size: int = 100) -> list[list[str]]:
    """Fleets as people name them, in turns: one network, several networks, a StatefulSet, one host with many ports."""
    rng = random.Random("fleets")
    out = []
    for number in range(count):
        net = f"10.{number}.{rng.randrange(256)}"
        first = rng.randrange(20000, 50000)
        scattered = rng.sample(range(65536), size)
        kinds = (
            [f"{net}.{i + 1}:9091" for i in range(size)],
            [f"172.{16 + number % 16}.{i >> 8}.{i & 255}:9091" for i in scattered],
            [f"pushgateway-{i}.pushgateway.team-{number}.svc:9091" for i in range(size)],
            [f"{net}.7:{first + i}" for i in range(size)],
        )
        out.append(kinds[number % len(kinds)])
    return out


def keys(name: str, placement: str) -> list[bytes]:
    """Keys looked up in a set: empty, short, long, any bytes; and some that hit the edges of the circle."""
    rng = random.Random(name)
    out = [b"", b"\x00", b"\xff", b"job\xffa", b"instance\xffb\xffjob\xffa", b"x" * 300]
    out += [bytes(rng.randrange(256) for _ in range(length)) for length in (1, 2, 3, 4, 5, 7, 8, 63, 64, 65, 200)]
    # 0x80 and above, to the ends of blocks: sign extension shows here.
    out += [b"\x80" * length for length in range(1, 9)]
    if placement == "dynamic-sharding":
        out += [b"/metrics/job/" + word(rng).encode() for _ in range(24)]
    else:
        out += [f"instance\xff10.2.3.{i}:80\xffjob\xff{word(rng)}".encode("latin-1") for i in range(24)]
    return out


def word(rng: random.Random) -> str:
    return "".join(rng.choice(LETTERS) for _ in range(rng.randint(1, 12)))


# The rows of the dynamic-sharding golden vectors that were found by running the original's algorithm: key,
# hash, owner in `ds-three`.
DYNAMIC_SHARDING_GOLDEN = [
    (b"/metrics/job/job_a", 0x09CB13A9, "1.1.1.3:9091"),
    (b"/metrics/job/job_b", 0xBB4EB084, "1.1.1.1:9091"),
    (b"/metrics/job/job_c", 0xF229927A, "1.1.1.2:9091"),
    (b"/metrics/job/some_job", 0xAE5EDA43, "1.1.1.3:9091"),
    (b"/metrics/job/job_a/tag_a/value_a", 0x165FE5D4, "1.1.1.1:9091"),
    (b"/metrics/job/job_a/tag_a/value_b", 0x99F945AE, "1.1.1.3:9091"),
    (b"/metrics/job/some_job/", 0x129F0231, "1.1.1.3:9091"),
    (b"/metrics/job/some_job/instance/some_instance", 0xD7CEC783, "1.1.1.1:9091"),
    (b"/metrics/job/j/a/1/b/2", 0x6C187587, "1.1.1.1:9091"),
    (b"/metrics/job/j/b/2/a/1", 0xDB18CAEE, "1.1.1.3:9091"),
    (b"/metrics/job/a b", 0x27ACE711, "1.1.1.2:9091"),
    (b"/metrics/job/" + b"x" * 64, 0x2D7EAD38, "1.1.1.2:9091"),
    # Exactly a point of 1.1.1.2, whose next point belongs to 1.1.1.1: strictly greater.
    (b"/metrics/job/e7256553", 0x03018044, "1.1.1.1:9091"),
    # Beyond the highest point: the first of all.
    (b"/metrics/job/w2316", 0xFFEEC3F6, "1.1.1.3:9091"),
]
# Points of the same rows: name, i, position, owner.
DYNAMIC_SHARDING_POINTS = {
    "ds-three": [
        ("1.1.1.1:9091", 0, 0x804F3877, "1.1.1.1:9091"),
        ("1.1.1.1:9091", 499, 0x69E26816, "1.1.1.1:9091"),
        ("1.1.1.2:9091", 0, 0x5A80E91E, "1.1.1.2:9091"),
    ],
    # One position of two members: the byte-wise greatest has it.
    "ds-tie": [
        ("10.0.0.56:9091", 481, 0x3D3274DD, "10.0.0.56:9091"),
        ("10.0.0.151:9091", 96, 0x3D3274DD, "10.0.0.56:9091"),
    ],
}

# Every rule of the path on its own: (path below the prefix, UTF-8 names too).
PATHS = """
/metrics/job/a
/metrics/job/a/
/metrics/job/a?x=/y/z
/metrics/job/a/?x
/metrics/%6Aob/a
/m%65trics/job/a
/metrics/job%40base64/YQ
/metrics/job@base64/YQ
/metrics/job@base64/YQ==
/metrics/job@base64/YR
/metrics/job@base64/YQ======
/metrics/job@base64/YQ%3d%3D
/metrics/job@base64/Y%0AQ%0D
/metrics/job@base64/Y%3DQ
/metrics/job@base64/Y
/metrics/job@base64/=
/metrics/job@base64/=/a/b
/metrics/job@base64/YSti/x/y
/metrics/job@base64/-_8
/metrics/job@base64/+
/metrics/job@base64/%2F
/metrics/job@base64/w6k
/metrics/job@base64/_w
/metrics/job/a/instance/b
/metrics/job/a/instance@base64/Yg
/metrics/job/a/instance@base64/Yg==
/metrics/job/a/%69nstance/%62
/metrics/job/a/instance/
/metrics/job/a/instance@base64/
/metrics/job/a/instance@base64/=
/metrics/job/a/instance@base64/===
/metrics/job/a/instance@base64/%3D
/metrics/job/a/instance
/metrics/job/a/x
/metrics/job/a/instance/b/
/metrics/job/a/instance/b/zone
/metrics/job/a/b/1/c/2
/metrics/job/a/c/2/b/1
/metrics/job/a/b/1/b/2
/metrics/job/a/b/2/b@base64/MQ
/metrics/job/a/job/b
/metrics/job/a/job/%ff
/metrics/job/a/x/%ff/x/ok
/metrics/job/a/x/ok/x/%ff
/metrics/job/a%2Fb/c
/metrics/job/a%2Fb%2fc
/metrics/job/%2Fb
/metrics/job/a/b%2F%2Fc
/metrics/job/a/x/%2e%2E
/metrics/job/%2e
/metrics/job/a%20b
/metrics/job/a+b
/metrics/job/a%2Bb
/metrics/job/%C3%A9
/metrics/job/%c3%a9/x/%E2%82%AC
/metrics/job/%ff
/metrics/job/a/x/%c3
/metrics/job/a/x/%ED%A0%80
/metrics/job/a/x/%F4%90%80%80
/metrics/job/a/x/%C0%AF
/metrics/job/a%00b
/metrics/job/a%3Fb
/metrics/job/a%23b
/metrics/job/a%2525
/metrics/job/%
/metrics/job/a%zz
/metrics/job/a/x/b%4
/metrics/job/a/1x/b
/metrics/job/a/_/b
/metrics/job/a/X9_/b
/metrics/job/a/x-y/b
/metrics/job/a/__x/b
/metrics/job/a/_x/b
/metrics/job/a/%C3%A9/b
/metrics/job/a/%ff/b
/metrics/job/a/@base64/Yg
/metrics/job/a/x@base64@base64/Yg
/metrics/job/a/x@base6/Yg
/metrics/job/a/x@BASE64/Yg
/metrics/job/a/x%40base64/Yg
/metrics/job/a/x@base64/Y!
/metrics/job/a/x@base64/_w
/metrics/job/a/U__x/b
/metrics/job/a/U__x_2e_y/b
/metrics/job/a/U__x_2E_y/b/U__x_2e_y/c
/metrics/job/a/U__x__y/b
/metrics/job/a/U__e9_/b
/metrics/job/a/U___e9_/b
/metrics/job/a/U___1f600_/b
/metrics/job/a/U___10ffff_/b
/metrics/job/a/U___d800_/b
/metrics/job/a/U___110000_/b
/metrics/job/a/U___0000e9_/b
/metrics/job/a/U___e9/b
/metrics/job/a/U___g_/b
/metrics/job/a/U__x_/b
/metrics/job/a/U__/b
/metrics/job/a/U_x/b
/metrics/job/a/U______x/b
/metrics/job/a/U____x/b
/metrics/job/a/U___5f__5f_x/b
/metrics/job/a/U__job/b
/metrics/job/a/U__x@base64/Yg
/metrics/job/a/U__x_40_base64/Yg
/metrics/job
/metrics/job/
/metrics/job@base64
/metrics/job@base64/
/metrics/jobs/a
/metrics/Job/a
/metrics
/api/v1/metrics
/
/-/healthy
/x/metrics/job/a
""".split()


def random_paths(count: int) -> list[str]:
    """Groups of up to four labels, each in a random spelling."""
    rng = random.Random(2)
    alphabet = [*LETTERS, " ", "+", "%", "=", ".", "-", "_", ":", "é", "€", "😀", "/", ""]
    out = []
    for _ in range(count):
        pairs = [("job", text(rng, alphabet) or "j")]
        names = rng.sample(["instance", "zone", "_x", "A1", "job", "le"], rng.randint(0, 4))
        pairs += [(name, text(rng, alphabet)) for name in names]
        out.append("/metrics" + "".join(spell(rng, name, value) for name, value in pairs))
    return out


def text(rng: random.Random, alphabet: list[str]) -> str:
    return "".join(rng.choice(alphabet) for _ in range(rng.randint(0, 9)))


def spell(rng: random.Random, name: str, value: str) -> str:
    """One `/name/value`; base64 where a plain value cannot say it, or by chance."""
    if value in ("", ".", "..") or "/" in value or rng.random() < 0.3:
        encoded = base64.urlsafe_b64encode(value.encode()).decode().rstrip("=")
        return f"/{name}@base64/{encoded}" + "=" * rng.randint(0 if encoded else 1, 2)
    plain = quote(value, safe=rng.choice(["", "+=:", "+=:.-_"]))
    return f"/{name}/" + (plain if rng.random() < 0.5 else plain.replace("%C3%A9", "%c3%a9"))


def edge_keys(name: str, ring) -> list[bytes]:
    """Keys near the edges of a circle: before its first point, after its last one, before a tied point."""
    tried = sorted((ring.hash(key), key) for key in (b"edge-%d" % i for i in range(4000)))
    out = [key for _, key in (*tried[:2], *tried[-2:])]
    if name == "ds-three":
        out += [path for path, _, _ in DYNAMIC_SHARDING_GOLDEN]
    if name == "exact":
        assert (ring.hash(EXACT_KEY), EXACT_MEMBER) in ring.circle
        out.append(EXACT_KEY)
    if name == "ties":
        smaller, greater = "meYerhwo4_K", "ogAPOPZE62O"
        assert [p for p, n in ring.circle if n == smaller] == [p for p, n in ring.circle if n == greater]
    if name == "ds-tie":
        tied = DYNAMIC_SHARDING_POINTS["ds-tie"][0][2]
        before = max(point for point, _ in ring.circle if point < tied)
        out += [key for hashed, key in tried if before <= hashed < tied]
        assert len(out) > 4, "no key lands on the tied point"
    return out
