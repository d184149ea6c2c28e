"""Keys that a JSON text says twice: Kubernetes decodes both into one object, and others take the last."""

from __future__ import annotations

import json
from typing import Any

_MOST_BYTES = 1 << 20


def says_a_key_twice(content: bytes) -> bool:
    """Returns whether a text that begins as a JSON object does; True also where that cannot be told."""
    if not content.lstrip().startswith(b"{") or len(content) > _MOST_BYTES:
        return content.lstrip().startswith(b"{")
    seen: list[bool] = []

    def look(pairs: list[tuple[str, Any]]) -> None:
        if len({key for key, _ in pairs}) < len(pairs):
            seen.append(True)

    try:
        json.loads(content, object_pairs_hook=look)
    except RecursionError:
        return True
    except ValueError:
        # It is YAML in the braces of its own, in which a key that is there twice is an error.
        return False
    return bool(seen)
