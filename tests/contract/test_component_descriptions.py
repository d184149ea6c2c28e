"""Every field of KubeletConfiguration and KubeProxyConfiguration, in any minor, has a description that fits on a screen."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from conftest import ROOT

from quorate.config.component_descriptions import describe
from quorate.config.component_fields import fields_of
from quorate.config.components import KUBELET, PROXY
from quorate.config.versions import NEWEST, OLDEST

STORED = (ROOT / "src" / "quorate" / "config" / "component_descriptions.json").read_text()
TEXTS: dict[str, dict[str, str]] = json.loads(STORED)
KINDS = [KUBELET, PROXY]


def paths_of(kind: str) -> set[str]:
    return {path for minor in range(OLDEST, NEWEST + 1) for path in fields_of(kind, minor)}


def faults(text: str) -> list[str]:
    """Returns why a text is not a description."""
    rules = {
        "length": 15 <= len(text) <= 220,
        "one line of plain ASCII": text.isascii() and text.isprintable(),
        "full stop": text.endswith(".") and not text.endswith(".."),
        "spaces": text == " ".join(text.split()),
        "markdown": not any(one in text for one in ("`", "**", "](")),
        "address": "http://" not in text and "https://" not in text,
    }
    return [rule for rule, holds in rules.items() if not holds]


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_of_every_minor_is_described_and_nothing_else(kind: str) -> None:
    assert set(TEXTS) == set(KINDS)
    assert set(TEXTS[kind]) ^ paths_of(kind) == set()


@pytest.mark.parametrize("kind", KINDS)
def test_a_description_is_one_short_line(kind: str) -> None:
    assert {path: found for path, text in TEXTS[kind].items() if (found := faults(text))} == {}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("Too short.", "length"),
        (f"Long{' words' * 40}.", "length"),
        ("Ends in the middle of", "full stop"),
        ("Has a line\nof its own.", "one line of plain ASCII"),
        ("Has a dash \N{EN DASH} of its own.", "one line of plain ASCII"),
        ("Names a `field` in code.", "markdown"),
        ("Has more at https://example.org.", "address"),
    ],
)
def test_the_rules_find_what_they_are_for(text: str, fault: str) -> None:
    assert fault in faults(text)


@pytest.mark.parametrize("kind", KINDS)
def test_no_two_fields_of_a_kind_share_a_description(kind: str) -> None:
    assert [text for text, times in Counter(TEXTS[kind].values()).items() if times > 1] == []


def test_the_file_has_a_line_for_each_field_sorted_by_path() -> None:
    ordered = {kind: dict(sorted(TEXTS[kind].items())) for kind in sorted(TEXTS)}
    assert json.dumps(ordered, indent=2) + "\n" == STORED


def test_a_description_is_found_by_kind_and_path() -> None:
    assert describe(KUBELET, "maxPods") == TEXTS[KUBELET]["maxPods"]
    assert describe(PROXY, "logging.vmodule[].filePattern") == TEXTS[PROXY]["logging.vmodule[].filePattern"]
    with pytest.raises(KeyError):
        describe(PROXY, "maxPods")
