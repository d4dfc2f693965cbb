"""Both placements as sorted lists of (point, member), searched by the standard library's bisect."""

from bisect import bisect_left, bisect_right

from .hashes import MASK64, fmix64, h, murmur3_x86_32

STEP = 0x9E3779B97F4A7C15


class Ring:
    """`points` per unit of weight. The owner is the first point at or after the hash; of equal points, the
    byte-wise smaller name comes first."""

    hash = staticmethod(h)
    search = staticmethod(bisect_left)

    def __init__(self, members: dict, points: int):
        # Names are ASCII, so Python's order of strings is the order of their bytes.
        self.circle = sorted(
            (fmix64((h(name.encode("ascii")) + i * STEP) & MASK64), name)
            for name, weight in members.items()
            for i in range(points * weight)
        )
        self.positions = [position for position, _ in self.circle]
        self.members = len(members)

    def clockwise(self, key: bytes) -> list:
        """All members in the order in which a walk from the key meets them: the owner, then successors."""
        start = self.search(self.positions, self.hash(key))
        seen = {}
        for i in range(len(self.circle)):
            if len(seen) == self.members:
                break
            seen.setdefault(self.circle[(start + i) % len(self.circle)][1])
        return list(seen)


class DynamicSharding(Ring):
    """As ning1875/dynamic-sharding: 500 points named decimal(i) + member, *strictly* greater than the hash,
    and one member a point: of several the byte-wise greatest, which the original adds last."""

    hash = staticmethod(murmur3_x86_32)
    search = staticmethod(bisect_right)

    def __init__(self, members: dict):
        assert set(members.values()) == {1}, "dynamic-sharding has no weights"
        self.of_point = {}
        for name in sorted(members):
            for i in range(500):
                self.of_point[murmur3_x86_32(f"{i}{name}".encode("ascii"))] = name
        self.circle = sorted(self.of_point.items())
        self.positions = [position for position, _ in self.circle]
        self.members = len(members)
