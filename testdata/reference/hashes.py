"""The three hash functions, each written from its published description."""

MASK32 = 0xFFFFFFFF
MASK64 = 0xFFFFFFFFFFFFFFFF


def fnv1a64(data: bytes) -> int:
    """FNV-1a, 64 bits (draft-eastlake-fnv)."""
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) & MASK64
    return value


def fmix64(value: int) -> int:
    """The 64-bit finalizer of MurmurHash3."""
    value ^= value >> 33
    value = value * 0xFF51AFD7ED558CCD & MASK64
    value ^= value >> 33
    value = value * 0xC4CEB9FE1A85EC53 & MASK64
    return value ^ value >> 33


def h(data: bytes) -> int:
    """The hash of names and keys in the `ring` placement."""
    return fmix64(fnv1a64(data))


def murmur3_x86_32(data: bytes) -> int:
    """MurmurHash3_x86_32 with seed 0 (smhasher), the hash of the `dynamic-sharding` placement."""

    def rotl(value: int, bits: int) -> int:
        return (value << bits | value >> 32 - bits) & MASK32

    def mix_k(k: int) -> int:
        return rotl(k * 0xCC9E2D51 & MASK32, 15) * 0x1B873593 & MASK32

    value = 0
    whole = len(data) // 4 * 4
    for at in range(0, whole, 4):
        value ^= mix_k(int.from_bytes(data[at : at + 4], "little"))
        value = (rotl(value, 13) * 5 + 0xE6546B64) & MASK32
    if whole < len(data):
        value ^= mix_k(int.from_bytes(data[whole:], "little"))
    value ^= len(data)
    value ^= value >> 16
    value = value * 0x85EBCA6B & MASK32
    value ^= value >> 13
    value = value * 0xC2B2AE35 & MASK32
    return value ^ value >> 16


def self_test() -> None:
    """Published vectors: of the FNV authors, of smhasher's finalizer, of spaolacci/murmur3."""
    assert fnv1a64(b"") == 0xCBF29CE484222325
    assert fnv1a64(b"a") == 0xAF63DC4C8601EC8C
    assert fnv1a64(b"foobar") == 0x85944171F73967E8
    assert fmix64(0) == 0 and fmix64(1) == 0xB456BCFC34C2CB2C
    for text, expected in (
        (b"", 0x00000000),
        (b"hello", 0x248BFA47),
        (b"hello, world", 0x149BBB7F),
        (b"19 Jan 2038 at 3:14:07 AM", 0xE31E8A70),
        (b"The quick brown fox jumps over the lazy dog.", 0xD5C48BFC),
    ):
        assert murmur3_x86_32(text) == expected, text
