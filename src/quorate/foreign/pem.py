"""The blocks of a PEM text, as Go's encoding/pem finds them: Kubernetes reads what Go finds, and nothing else.

OpenSSL finds more (a byte order mark before the first line, `X509 CERTIFICATE`, an end and a beginning on one line), and gives
up where Go goes on (a block that is none, blank lines). What only one of them reads is renewed and then refused, or refused and
in use.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass

_BEGIN, _END, _DASHES = b"-----BEGIN ", b"-----END ", b"-----"
_BLANKS = b" \t"
_MOST_BLOCKS = 1000


@dataclass(frozen=True, slots=True)
class Block:
    """One block. `has_headers`: it has lines such as `Proc-Type: 4,ENCRYPTED`, which Kubernetes takes for no certificate."""

    label: str
    has_headers: bool
    content: bytes


def blocks(text: bytes) -> Iterator[Block]:
    """Yields the blocks that are whole, at most a thousand."""
    at = 0
    for _ in range(_MOST_BLOCKS):
        begins = _line_that_begins(text, _BEGIN, at)
        if begins < 0:
            return
        label, body = _line(text, begins + len(_BEGIN))
        at = body
        if not label.endswith(_DASHES):
            continue
        label = label.removesuffix(_DASHES)
        content, has_headers = _behind_headers(text, body)
        ends = _line_that_begins(text, _END, content)
        if ends < 0:
            return
        told, behind = _line(text, ends + len(_END))
        if told != label + _DASHES:
            continue
        try:
            found = _decoded(text[content:ends].translate(None, _BLANKS + b"\r\n"))
        except (binascii.Error, ValueError):
            continue
        at = behind
        yield Block(label.decode(errors="replace"), has_headers, found)


def _decoded(text: bytes) -> bytes:
    """Raises ValueError also for more signs at the end than fill the last four letters: Python takes them, Go does not."""
    found = base64.b64decode(text, validate=True)
    if len(text) != 4 * ((len(found) + 2) // 3):
        raise ValueError("it has more letters than its bytes need")
    return found


def _line_that_begins(text: bytes, sign: bytes, at: int) -> int:
    """Returns where the next line begins that begins so, from the beginning of a line on; -1 where there is none."""
    if text.startswith(sign, at) and (at == 0 or text[at - 1 : at] == b"\n"):
        return at
    found = text.find(b"\n" + sign, at)
    return found + 1 if found >= 0 else -1


def _line(text: bytes, at: int) -> tuple[bytes, int]:
    """Returns the rest of a line, without blanks at its end, and where the next one begins."""
    end = text.find(b"\n", at)
    return (text[at:].rstrip(), len(text)) if end < 0 else (text[at:end].rstrip(_BLANKS + b"\r"), end + 1)


def _behind_headers(text: bytes, at: int) -> tuple[int, bool]:
    begins = at
    while at < len(text):
        line, behind = _line(text, at)
        if b":" not in line:
            break
        at = behind
    return at, at > begins
