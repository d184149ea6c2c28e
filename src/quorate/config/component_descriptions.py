"""What each field of KubeletConfiguration and KubeProxyConfiguration does for who sets it.

The texts are our own, by the doc comments, defaults and checks of the Go types; one holds for all minors, and names those that
differ. Paths are those of `component_fields.json`: registerWithTaints[].key.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from quorate.foreign.documents import read_object

_TABLE = Path(__file__).with_name("component_descriptions.json")


@lru_cache(maxsize=1)
def _table() -> dict[str, dict[str, str]]:
    found: Any = read_object(_TABLE.read_bytes(), _TABLE.name)
    return {kind: {path: str(text) for path, text in paths.items()} for kind, paths in found.items()}


def describe(kind: str, path: str) -> str:
    """Returns one or two sentences on a field: meaning, unit, values, default. Raises `KeyError` for what no minor has."""
    return _table()[kind][path]
