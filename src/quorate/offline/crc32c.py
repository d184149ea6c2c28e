"""CRC-32C (Castagnoli), which etcd puts into every record of its log: of all data up to there."""

from __future__ import annotations

_POLYNOMIAL = 0x82F63B78


def _table() -> tuple[int, ...]:
    made: list[int] = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        made.append(value)
    return tuple(made)


_TABLE = _table()


def crc32c(content: bytes | memoryview, before: int = 0) -> int:
    """Returns the sum of some bytes behind those of which `before` is the sum. About 10 MB a second: for a few records."""
    value, table = before ^ 0xFFFFFFFF, _TABLE
    for byte in content:
        value = table[(value ^ byte) & 0xFF] ^ value >> 8
    return value ^ 0xFFFFFFFF
