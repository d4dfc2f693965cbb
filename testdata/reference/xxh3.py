"""XXH3 with 128 bits, seed 0, written from the specification in xxHash's doc/xxhash_spec.md.

Inputs have at least 9 bytes: the key of a series hashes at least a tenant's length and `__name__` with a value.
"""

MASK64 = 0xFFFFFFFFFFFFFFFF
PRIME32 = (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D)
PRIME64 = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5)
PRIME_MX1 = 0x165667919E3779F9
SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f"
    "cb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c"
    "3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
    "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364"
    "eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e"
    "2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e"
)


def xxh3_128(data: bytes) -> bytes:
    """The 16 bytes of the hash, big-endian, as xxHash's canonical form."""
    if len(data) <= 16:
        low, high = short(data)
    elif len(data) <= 240:
        low, high = middle(data)
    else:
        low, high = long(data)
    return high.to_bytes(8, "big") + low.to_bytes(8, "big")


def u64(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 8], "little")


def fold(a: int, b: int) -> int:
    product = a * b
    return product & MASK64 ^ product >> 64


def avalanche(value: int) -> int:
    value ^= value >> 37
    value = value * PRIME_MX1 & MASK64
    return value ^ value >> 32


def short(data: bytes) -> tuple[int, int]:
    """9 to 16 bytes."""
    assert len(data) >= 9
    first, last = u64(data, 0), u64(data, len(data) - 8)
    product = (first ^ last ^ u64(SECRET, 32) ^ u64(SECRET, 40)) * PRIME64[0]
    low, high = (product & MASK64) + (len(data) - 1 << 54) & MASK64, product >> 64
    last ^= u64(SECRET, 48) ^ u64(SECRET, 56)
    high = high + last + (last & 0xFFFFFFFF) * (PRIME32[1] - 1) & MASK64
    low ^= int.from_bytes(high.to_bytes(8, "little"), "big")
    product = low * PRIME64[1]
    return avalanche(product & MASK64), avalanche((product >> 64) + high * PRIME64[1] & MASK64)


def middle(data: bytes) -> tuple[int, int]:
    """17 to 240 bytes."""
    length = len(data)
    low, high = length * PRIME64[0] & MASK64, 0

    def mix(one: int, two: int, secret: int) -> None:
        nonlocal low, high
        low = low + fold(u64(data, one) ^ u64(SECRET, secret), u64(data, one + 8) ^ u64(SECRET, secret + 8)) & MASK64
        low ^= u64(data, two) + u64(data, two + 8) & MASK64
        high = high + fold(u64(data, two) ^ u64(SECRET, secret + 16), u64(data, two + 8) ^ u64(SECRET, secret + 24)) & MASK64
        high ^= u64(data, one) + u64(data, one + 8) & MASK64

    if length <= 128:
        for i in reversed(range((length - 1) // 32 + 1)):
            mix(16 * i, length - 16 * (i + 1), 32 * i)
    else:
        for i in range(4):
            mix(32 * i, 32 * i + 16, 32 * i)
        low, high = avalanche(low), avalanche(high)
        for i in range(4, length // 32):
            mix(32 * i, 32 * i + 16, 3 + 32 * (i - 4))
        mix(length - 16, length - 32, 103)
    mixed = low * PRIME64[0] + high * PRIME64[3] + length * PRIME64[1]
    return avalanche(low + high & MASK64), -avalanche(mixed & MASK64) & MASK64


def long(data: bytes) -> tuple[int, int]:
    """More than 240 bytes: stripes of 64 bytes, blocks of 16 stripes."""
    length = len(data)
    lanes = [PRIME32[2], *PRIME64[:4], PRIME32[1], PRIME64[4], PRIME32[0]]

    def accumulate(at: int, secret: int) -> None:
        for i in range(8):
            value = u64(data, at + 8 * i)
            mixed = value ^ u64(SECRET, secret + 8 * i)
            lanes[i ^ 1] = lanes[i ^ 1] + value & MASK64
            lanes[i] = lanes[i] + (mixed & 0xFFFFFFFF) * (mixed >> 32) & MASK64

    stripes = (length - 1) // 64
    for stripe in range(stripes):
        accumulate(64 * stripe, stripe % 16 * 8)
        if stripe % 16 == 15:
            for i in range(8):
                lane = lanes[i] ^ lanes[i] >> 47 ^ u64(SECRET, 128 + 8 * i)
                lanes[i] = lane * PRIME32[0] & MASK64
    accumulate(length - 64, 121)

    def merge(secret: int, start: int) -> int:
        for i in range(4):
            start += fold(lanes[2 * i] ^ u64(SECRET, secret + 16 * i), lanes[2 * i + 1] ^ u64(SECRET, secret + 16 * i + 8))
        return avalanche(start & MASK64)

    return merge(11, length * PRIME64[0] & MASK64), merge(117, ~(length * PRIME64[1]) & MASK64)
