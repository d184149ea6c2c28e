"""The few shapes of protobuf that etcd's files are made of: numbers and bytes, with their field numbers."""

from __future__ import annotations

from collections.abc import Iterator


class NoMessage(ValueError):
    """Bytes are no message of this kind."""


def fields(message: bytes | memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yields the numbers and the bytes of a message, in its order. Raises `NoMessage`."""
    content, at = memoryview(message), 0
    while at < len(content):
        key, at = _varint(content, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(content, at)
            yield key >> 3, value
        elif kind == 2:
            length, at = _varint(content, at)
            if at + length > len(content):
                raise NoMessage("a field is longer than its message")
            yield key >> 3, content[at : at + length]
            at += length
        else:
            at = _behind_fixed(kind, at, len(content))


def numbers_and_bytes(message: bytes | memoryview) -> tuple[dict[int, int], dict[int, memoryview]]:
    """Returns the fields by their numbers, of each the last. Raises `NoMessage`.

    As `fields` reads them, in one loop: a log has some hundred thousand, and most of their keys and numbers are one byte.
    """
    numbers: dict[int, int] = {}
    content: dict[int, memoryview] = {}
    whole, at, end = memoryview(message), 0, len(message)
    while at < end:
        key = whole[at]
        at += 1
        if key > 0x7F:
            key, at = _varint(whole, at - 1)
        kind = key & 7
        if kind not in (0, 2):
            at = _behind_fixed(kind, at, end)
            continue
        if at < end and (number := whole[at]) < 0x80:
            at += 1
        else:
            number, at = _varint(whole, at)
        if kind == 0:
            numbers[key >> 3] = number
            continue
        content[key >> 3] = whole[at : at + number]
        at += number
        if at > end:
            raise NoMessage("a field is longer than its message")
    return numbers, content


def all_numbers(message: bytes | memoryview, number: int) -> list[int]:
    """Returns a repeated number, packed or not. Raises `NoMessage`."""
    found: list[int] = []
    for key, value in fields(message):
        if key == number and isinstance(value, int):
            found.append(value)
        elif key == number and not isinstance(value, int):
            at = 0
            while at < len(value):
                one, at = _varint(value, at)
                found.append(one)
    return found


def _behind_fixed(kind: int, at: int, end: int) -> int:
    """Returns the place behind a field of fixed size: none that we read is one."""
    if kind not in (1, 5):
        raise NoMessage("a field of an unknown kind")
    behind = at + (8 if kind == 1 else 4)
    if behind > end:
        raise NoMessage("a field is longer than its message")
    return behind


def _varint(content: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(content):
            raise NoMessage("a number does not end")
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
    raise NoMessage("a number does not end")


def encoded_number(field: int, value: int) -> bytes:
    """Returns a number with its field number, as it stands in a message."""
    return _encoded(field << 3) + _encoded(value)


def encoded_bytes(field: int, value: bytes) -> bytes:
    """Returns bytes with their field number, as they stand in a message."""
    return _encoded(field << 3 | 2) + _encoded(len(value)) + value


def _encoded(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])
