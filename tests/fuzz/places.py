"""Where an input lies while it is read: in a file of a folder that is ours alone, or in that folder as the root of a node."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from quorate.tree import RealTree


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """Deleted when the process ends."""
    memory = Path("/dev/shm")
    return tempfile.TemporaryDirectory(prefix="quorate-fuzz-", dir=memory if memory.is_dir() else None)


def in_file(content: bytes, name: str = "input") -> Path:
    """A file of mode 0600 with this content."""
    path = Path(_folder().name) / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
    path.write_bytes(content)
    return path


def in_tree(content: bytes, path: str) -> RealTree:
    """A node that has this file."""
    in_file(content, f"node{path}")
    return RealTree(Path(_folder().name) / "node")
