"""Writes configurations as YAML, as kubeadm does: keys in alphabetical order, block style, documents separated by ---."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import yaml

from quorate.config.schema import encode
from quorate.foreign.scalars import plain_scalar


class _Flat(yaml.SafeDumper):
    """A YAML writer without anchors: Kubernetes does not need them, and they are hard to read."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True

    def write_double_quoted(self, text: str, split: bool = True) -> None:  # noqa: FBT001, FBT002
        """Writes a text between double quotes, and breaks it as Go's library does: a blank after the last column becomes the
        break, where Python's breaks with a backslash."""
        self.write_indicator('"', need_whitespace=True)
        after_blank = False
        for place, letter in enumerate(text):
            is_inside = 0 < place < len(text) - 1
            if letter == " " and split and is_inside and not after_blank and self.column > self.best_width:
                self.write_indent()
                self._put("\\" if text[place + 1] == " " else "")
            else:
                self._put(_escaped(letter))
            after_blank = letter == " "
        self.write_indicator('"', need_whitespace=False)

    def _put(self, text: str) -> None:
        self.column += len(text)
        self.stream.write(text)


def _escaped(letter: str) -> str:
    code = ord(letter)
    is_printable = " " <= letter <= "~" or "\xa0" <= letter <= "\ud7ff" or "\ue000" <= letter <= "\ufffd"
    if is_printable and letter not in '"\\\ufeff\u2028\u2029':
        return letter
    if letter in _Flat.ESCAPE_REPLACEMENTS:
        return f"\\{_Flat.ESCAPE_REPLACEMENTS[letter]}"
    return f"\\x{code:02X}" if code <= 0xFF else f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"


def _text(dumper: _Flat, value: str) -> yaml.ScalarNode:
    """Quotes a string as Go's library does: double quotes where YAML would read another type, a block for several lines."""
    resolved = dumper.resolve(yaml.ScalarNode, value, (True, False))  # type: ignore[no-untyped-call]
    # Readers by either set of rules must find text: PyYAML's (YAML 1.1), and those of Kubernetes.
    looks_like_text = resolved == _STRING and plain_scalar(value) is value and not _BASE_60.fullmatch(value)
    style = "|" if "\n" in value else None if looks_like_text else '"'
    # YAML 1.1 takes these for line breaks too: only between double quotes are they escaped.
    # Go's library escapes what is beyond the first 65536 characters, and so it does not stay plain.
    style = '"' if _OTHER_BREAKS.intersection(value) or any(letter > "\uffff" for letter in value) else style
    return dumper.represent_scalar(_STRING, value, style=style)


_WIDTH = 80
"""Go's library breaks a long text at the first blank after this column, as kubeadm's manifests show."""

_OTHER_BREAKS = frozenset("\x85\u2028\u2029")
_STRING = "tag:yaml.org,2002:str"
_BASE_60 = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?")
_Flat.add_representer(str, _text)


def to_yaml(value: Any) -> str:
    """Returns one document. Strings that YAML 1.1 would read as another type are quoted."""
    return yaml.dump(value, Dumper=_Flat, sort_keys=True, default_flow_style=False, width=_WIDTH, allow_unicode=True)


def document(kind: str, version: str, value: Any) -> str:
    """Returns a configuration with its kind and version."""
    return to_yaml({"apiVersion": version, "kind": kind, **encode(value)})


def documents(parts: Sequence[str]) -> str:
    """Joins documents with ---."""
    return "---\n".join(parts)
