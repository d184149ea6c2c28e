"""Names and values of labels and taints, as Kubernetes checks them (apimachinery, pkg/util/validation)."""

from __future__ import annotations

import re

from quorate.config import rules

_NAME = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?")
_MOST = 63


def qualified_name(text: str) -> str | None:
    """Checks NAME or PREFIX/NAME."""
    prefix, slash, name = text.rpartition("/")
    if slash and ("/" in prefix or rules.subdomain(prefix) is not None):
        return f"{text!r} is not of the form NAME or DOMAIN/NAME"
    return None if _is_name(name) else f"{text!r}: letters, digits, -, _ and . are possible, at most {_MOST} of them after a /"


def label_value(text: str) -> str | None:
    """Checks the value of a label, which may be empty."""
    if not text or _is_name(text):
        return None
    return f"{text!r}: letters, digits, -, _ and . are possible, at most {_MOST}, the first and last a letter or digit"


def _is_name(text: str) -> bool:
    return len(text) <= _MOST and _NAME.fullmatch(text) is not None
