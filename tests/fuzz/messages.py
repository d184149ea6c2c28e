"""Changes of binary formats that keep their lengths right: protobuf messages, and DER inside PEM."""

from __future__ import annotations

import base64
import binascii
import re
from random import Random

from fuzz import letters

_Field = tuple[int, int, "int | bytes"]
"""Number, wire type, value."""

_NUMBERS = (0, 1, 2, 127, 128, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1)
_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\s([^-]*)-----END [A-Z0-9 ]+-----\s?")
_LABELS = (
    b"CERTIFICATE",
    b"TRUSTED CERTIFICATE",
    b"PRIVATE KEY",
    b"EC PRIVATE KEY",
    b"RSA PRIVATE KEY",
    b"PUBLIC KEY",
    b"X509 CRL",
)
_STRINGS = frozenset({0x0C, 0x13, 0x14, 0x16, 0x1A, 0x1E, 0x82, 0x86})
_TAGS = (
    0x02,
    0x03,
    0x04,
    0x05,
    0x06,
    0x0C,
    0x13,
    0x16,
    0x17,
    0x18,
    0x1E,
    0x30,
    0x31,
    0x80,
    0x81,
    0x82,
    0x86,
    0x87,
    0x88,
    0xA0,
    0xA3,
)
_OBJECTS = (
    *(
        "2a8648ce3d0201",
        "2a864886f70d010101",
        "2b6570",
        "2b656e",
        "2a8648ce380401",
        "2a8648ce3d030107",
        "2b81040022",
        "2b8104000a",
    ),
    *(
        "551d0f",
        "551d11",
        "551d13",
        "551d23",
        "551d25",
        "551d1f",
        "2a864886f70d01010b",
        "2a864886f70d01010a",
        "550403",
        "55040a",
    ),
)
"""Object ids of keys, curves, extensions and signatures."""


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at
    raise ValueError("a number does not end")


def fields(message: bytes) -> list[_Field]:
    """Raises ValueError or IndexError for what is no message."""
    found: list[_Field] = []
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, at = _varint(message, at)
            found.append((number, kind, value))
        elif kind == 2:
            length, at = _varint(message, at)
            if at + length > len(message):
                raise ValueError("a field is longer than its message")
            found.append((number, kind, message[at : at + length]))
            at += length
        else:
            raise ValueError("another kind")
    return found


def _number(value: int) -> bytes:
    out = bytearray()
    while True:
        value, low = value >> 7, value & 0x7F
        out.append(low | (0x80 if value else 0))
        if not value:
            return bytes(out)


def encode(rows: list[_Field]) -> bytes:
    return b"".join(
        _number(number << 3 | kind) + (_number(value) if isinstance(value, int) else _number(len(value)) + value)
        for number, kind, value in rows
    )


def change_message(content: bytes, rng: Random, other: bytes = b"") -> bytes:
    try:
        rows = fields(content)
    except (ValueError, IndexError):
        rows = []
    if not rows or rng.random() < 0.1:
        return letters.change_bytes(content, rng, other)
    at = rng.randrange(len(rows))
    number, kind, value = rows[at]
    match rng.randrange(7):
        case 0:
            del rows[at]
        case 1:
            rows[at:at] = [rows[at]] * rng.choice((1, 2, 300))
        case 2:
            rows[at] = (rng.choice((number + 1, 1, 2, 3, 5, 2**20)), kind, value)
        case 3:
            rows.insert(at, (rng.randrange(1, 16), 0, rng.choice(_NUMBERS)))
        case _:
            rows[at] = (number, kind, _changed(value, rng))
    return encode(rows)


def _changed(value: int | bytes, rng: Random) -> int | bytes:
    if isinstance(value, int):
        return rng.choice(_NUMBERS)
    try:
        inner = bool(fields(value))
    except (ValueError, IndexError):
        inner = False
    if inner and rng.random() < 0.8:
        return change_message(value, rng)
    if rng.random() < 0.2:
        return letters.change_bytes(value, rng)
    return letters.change_text(value.decode(errors="replace"), rng).encode("utf-8", "surrogatepass")


def change_pem(content: bytes, rng: Random, other: bytes = b"") -> bytes:
    """A block is dropped, doubled, renamed, or its DER is changed; what is no PEM is changed by bytes."""
    found = list(_PEM.finditer(content))
    if not found or rng.random() < 0.1:
        return letters.change_bytes(content, rng, other)
    block = rng.choice(found)
    label, text = block[1], block[0]
    match rng.randrange(10):
        case 0:
            new = text * rng.choice((0, 2, 20))
        case 1:
            new = text.replace(label, rng.choice(_LABELS))
        case 2:
            strange = list(_PEM.finditer(other))
            new = text + (rng.choice(strange)[0] if strange else b"")
        case _:
            new = _with_der(label, text, block[2], rng)
    return content[: block.start()] + new + content[block.end() :]


def _with_der(label: bytes, text: bytes, body: bytes, rng: Random) -> bytes:
    try:
        der = base64.b64decode(body)
    except (binascii.Error, ValueError):
        return letters.change_bytes(text, rng)
    lines = base64.encodebytes(change_der(der, rng))
    return b"-----BEGIN " + label + b"-----\n" + lines + b"-----END " + label + b"-----\n"


_Node = tuple[int, "bytes | list[_Node]"]


def _der(content: bytes) -> list[_Node]:
    found: list[_Node] = []
    at = 0
    while at < len(content):
        tag, length = content[at], content[at + 1]
        at += 2
        if length & 0x80:
            count = length & 0x7F
            length = int.from_bytes(content[at : at + count], "big")
            at += count
        if at + length > len(content) or tag & 0x1F == 0x1F:
            raise ValueError("not DER")
        value = content[at : at + length]
        at += length
        found.append((tag, _below(tag, value)))
    return found


def _below(tag: int, value: bytes) -> bytes | list[_Node]:
    inner = value[1:] if tag == 0x03 else value
    if tag & 0x20 or (tag == 0x04 and inner[:1] == b"\x30"):
        try:
            return _der(inner)
        except (ValueError, IndexError):
            return value
    return value


def _encoded(nodes: list[_Node]) -> bytes:
    out = b""
    for tag, value in nodes:
        body = value if isinstance(value, bytes) else _encoded(value)
        size = len(body)
        width = (size.bit_length() + 7) // 8
        out += bytes([tag]) + (bytes([size]) if size < 0x80 else bytes([0x80 | width]) + size.to_bytes(width, "big")) + body
    return out


def change_der(content: bytes, rng: Random) -> bytes:
    """One node of the tree is changed; all lengths around it fit again."""
    try:
        nodes = _der(content)
    except (ValueError, IndexError):
        return letters.change_bytes(content, rng)
    if not nodes or rng.random() < 0.1:
        return letters.change_bytes(content, rng)
    here = nodes
    at = rng.randrange(len(here))
    while isinstance(here[at][1], list) and here[at][1] and rng.random() < 0.85:
        here = here[at][1]  # type: ignore[assignment]
        at = rng.randrange(len(here))
    _change_node(here, at, rng)
    return _encoded(nodes)


def _change_node(here: list[_Node], at: int, rng: Random) -> None:
    tag, value = here[at]
    match rng.randrange(7):
        case 0:
            del here[at]
        case 1:
            here[at:at] = [here[at]] * rng.choice((1, 2, 50))
        case 2:
            here[at] = (rng.choice(_TAGS), value)
        case 3:
            here.insert(rng.randrange(len(here)), here.pop(at))
        case _ if not isinstance(value, bytes):
            here[at] = (tag, [])
        case _ if tag == 0x06:
            here[at] = (tag, bytes.fromhex(rng.choice(_OBJECTS)))
        case _ if tag in _STRINGS:
            here[at] = (tag, letters.change_text(value.decode(errors="replace"), rng).encode("utf-8", "surrogatepass"))
        case _:
            here[at] = (tag, letters.change_bytes(value, rng) if rng.random() < 0.7 else rng.choice((b"", b"\0", b"\xff" * 40)))
