"""Reads a bbolt file: pages, buckets, and their entries in order. Nothing is trusted: each offset is looked at first.

The file is mapped, and no lock is taken: a running etcd may write meanwhile. It writes pages that nobody reads yet, then one of
two meta pages; the newest whole one is read here.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from quorate.errors import QuorateError
from quorate.foreign.local_files import regular

_META = struct.Struct("<IIIIQQQQQQ")
_HEADER = struct.Struct("<QHHI")
_BRANCH_ELEMENT, _LEAF_ELEMENT = struct.Struct("<IIQ"), struct.Struct("<IIII")
_BUCKET = struct.Struct("<QQ")
_MAGIC, _VERSION = 0xED0CDAED, 2
_BRANCH, _LEAF, _IS_BUCKET = 1, 2, 1
_CHECKED_BYTES = 56
_SMALLEST_PAGE, _SIZES = 1024, 15
_DEEPEST = 64
_MASK = (1 << 64) - 1


class Damaged(QuorateError):
    """A file of etcd cannot be read at one place."""

    code = "damaged"
    next_step = "use another survivor or backup, and keep this file"


@dataclass(frozen=True, slots=True)
class Meta:
    """One of the two heads of the file. `pages`: how many it has given out; `transaction`: the number of its last one."""

    page_size: int
    root: int
    pages: int
    transaction: int


@contextmanager
def opened(path: Path) -> Iterator[Bolt]:
    """Opens a file to be read. Raises `Damaged` where it is no bbolt file, `OSError` where it cannot be opened."""
    with regular(path) as file:
        if not (size := file.seek(0, 2)):
            raise Damaged(f"{path} is empty")
        # Not closed here: an error on the way holds parts of it, and it goes with the last of them.
        yield Bolt(str(path), mmap.mmap(file.fileno(), size, prot=mmap.PROT_READ))


class Bolt:
    """A mapped file."""

    def __init__(self, name: str, content: mmap.mmap | bytes) -> None:
        self._name, self._content = name, content
        self.meta = self._newest_meta()

    def bucket(self, name: bytes) -> Iterator[tuple[bytes, memoryview]]:
        """Yields the entries of a bucket at the top, in their order; none where there is no such bucket. What is yielded is
        valid while the file is open. Raises `Damaged` on the way."""
        for key, value, is_bucket in self._entries(self.meta.root, None):
            if key == name and is_bucket:
                yield from self._inside(value)
                return

    def buckets(self) -> list[bytes]:
        """Returns the names of the buckets at the top. Raises `Damaged`."""
        return [key for key, _, is_bucket in self._entries(self.meta.root, None) if is_bucket]

    def last_key(self, name: bytes) -> bytes | None:
        """Returns the last key of a bucket, by one way down its tree; None where it is empty. Raises `Damaged`."""
        header = next(
            (bytes(value) for key, value, is_bucket in self._entries(self.meta.root, None) if key == name and is_bucket), None
        )
        if header is None:
            return None
        root, _ = self._unpacked(_BUCKET, memoryview(header), 0)
        page = self._page(root) if root else memoryview(header)[_BUCKET.size :]
        for _ in range(_DEEPEST):
            _, flags, count, _ = self._unpacked(_HEADER, page, 0)
            if not count:
                return None
            if flags & _LEAF:
                return self._leaf(page, count - 1)[0]
            page = self._page(self._child(page, count - 1))
        raise self._damaged("its tree is too deep")

    def _inside(self, value: memoryview) -> Iterator[tuple[bytes, memoryview]]:
        root, _ = self._unpacked(_BUCKET, value, 0)
        inline = value[_BUCKET.size :] if root == 0 else None
        yield from ((key, found) for key, found, is_bucket in self._entries(root, inline) if not is_bucket)

    def _entries(self, root: int, inline: memoryview | None) -> Iterator[tuple[bytes, memoryview, bool]]:
        """Yields the entries below a page, without recursion: a damaged file may lead in a circle."""
        seen = bytearray(self.meta.pages // 8 + 1)
        waiting: list[Iterator[memoryview]] = [iter([inline if inline is not None else self._page(root)])]
        while waiting:
            page = next(waiting[-1], None)
            if page is None:
                waiting.pop()
                continue
            _, flags, count, _ = self._unpacked(_HEADER, page, 0)
            if flags & _LEAF:
                for number in range(count):
                    yield self._leaf(page, number)
            elif flags & _BRANCH and len(waiting) <= _DEEPEST:
                waiting.append(self._below(page, count, seen))
            else:
                raise self._damaged(f"a page has the flags {flags:#x}")

    def _below(self, page: memoryview, count: int, seen: bytearray) -> Iterator[memoryview]:
        for number in range(count):
            child = self._child(page, number)
            if child < self.meta.pages and seen[child // 8] & 1 << child % 8:
                raise self._damaged(f"page {child} is there twice")
            yield self._page(child)
            seen[child // 8] |= 1 << child % 8

    def _child(self, page: memoryview, number: int) -> int:
        _, _, child = self._unpacked(_BRANCH_ELEMENT, page, _HEADER.size + number * _BRANCH_ELEMENT.size)
        return int(child)

    def _leaf(self, page: memoryview, number: int) -> tuple[bytes, memoryview, bool]:
        at = _HEADER.size + number * _LEAF_ELEMENT.size
        flags, offset, key_size, value_size = self._unpacked(_LEAF_ELEMENT, page, at)
        start, middle, end = at + offset, at + offset + key_size, at + offset + key_size + value_size
        if end > len(page):
            raise self._damaged("an entry is longer than its page")
        return bytes(page[start:middle]), page[middle:end], bool(flags & _IS_BUCKET)

    def _page(self, number: int) -> memoryview:
        size, at = self.meta.page_size, number * self.meta.page_size
        if not 1 < number < self.meta.pages or at + size > len(self._content):
            raise self._damaged(f"there is no page {number}")
        own, _, _, overflow = _HEADER.unpack_from(self._content, at)
        end = at + size * (overflow + 1)
        if own != number or end > len(self._content):
            raise self._damaged(f"page {number} is not whole")
        return memoryview(self._content)[at:end]

    def _newest_meta(self) -> Meta:
        first = self._meta_at(0)
        sizes = [first.page_size] if first else [_SMALLEST_PAGE << power for power in range(_SIZES)]
        found = [first, *(self._meta_at(size) for size in sizes)]
        whole = [meta for meta in found if meta is not None and meta.page_size == (first or meta).page_size]
        if not whole:
            raise self._damaged("neither of its two heads is whole")
        return max(whole, key=lambda meta: meta.transaction)

    def _meta_at(self, at: int) -> Meta | None:
        start = at + _HEADER.size
        if start + _META.size > len(self._content):
            return None
        fields = _META.unpack_from(self._content, start)
        magic, version, page_size, _, root, _, _, pages, transaction, checksum = fields
        is_whole = (magic, version) == (_MAGIC, _VERSION) and page_size in (_SMALLEST_PAGE << power for power in range(_SIZES))
        if not is_whole or checksum != _fnv1a(self._content[start : start + _CHECKED_BYTES]):
            return None
        return Meta(page_size, root, min(pages, len(self._content) // page_size), transaction)

    def _unpacked(self, form: struct.Struct, content: memoryview, at: int) -> tuple[int, ...]:
        if at + form.size > len(content):
            raise self._damaged("a page is too short for what it says")
        return form.unpack_from(content, at)

    def _damaged(self, why: str) -> Damaged:
        return Damaged(f"{self._name}: {why}")


def _fnv1a(content: bytes) -> int:
    found = 0xCBF29CE484222325
    for byte in content:
        found = (found ^ byte) * 0x100000001B3 & _MASK
    return found
