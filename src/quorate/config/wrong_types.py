"""Says of a value of the wrong type what it must be, and how to write it where that is certain; and what it was meant to be.

The most common mistakes of a file are quotes: YAML takes 1.34 for a number and yes for true, and "6443" for a text.
"""

from __future__ import annotations

from typing import Any

from quorate.foreign.documents import Leaf, Node
from quorate.foreign.scalars import plain_scalar

_WORDS: dict[Any, str] = {str: "a string", int: "a whole number", bool: "true or false"}


def must_be(wanted: str, node: Node) -> str:
    """Returns what is wrong with a value. `wanted`: in words."""
    return f"this must be {wanted}{_instead(wanted, node)}"


def _instead(wanted: str, node: Node) -> str:
    if not isinstance(node, Leaf) or node.value is None:
        return ""
    if wanted == _WORDS[str]:
        return f': put it in quotes ("{node.text}")' if node.text else ": put it in quotes"
    if wanted in _WORDS.values() and meant(node, next(one for one, word in _WORDS.items() if word == wanted)) is not None:
        return f": write it without quotes ({node.text})"
    return ""


def meant(node: Node, wanted: Any) -> Any:
    """Returns the value of type `wanted` that a scalar with wrong quotes was meant to be; None for none."""
    if not isinstance(node, Leaf) or node.value is None:
        return None
    if wanted is str:
        return node.text or None
    found = plain_scalar(node.text) if isinstance(node.value, str) and node.text else None
    # bool is an int for Python, not for a file.
    return found if type(found) is wanted else None
