"""What the rules of KubeletConfiguration and KubeProxyConfiguration have in common: how values are read, and shared rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from quorate.config import rules
from quorate.config.component_gates import Gates
from quorate.config.duration import Duration

Given: TypeAlias = Mapping[str, Any]
Found: TypeAlias = Iterator[tuple[str, str]]
"""Paths, and what is wrong there."""
Rule: TypeAlias = Callable[[Given, Gates], Found]
_MOST_VERBOSE = (1 << 31) - 1
_FLUSH = "logging.flushFrequency"


def at(given: Given, path: str) -> Any:
    """Returns what is set at a path, without lists; None where nothing is."""
    found: Any = given
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def text_at(given: Given, path: str) -> str:
    found = at(given, path)
    return found if isinstance(found, str) else ""


def list_at(given: Given, path: str) -> list[Any]:
    """Returns a list. kubeadm leaves an empty one out of the file, so that it counts as none."""
    found = at(given, path)
    return found if isinstance(found, list) else []


def duration_at(given: Given, path: str, usual: str = "0s") -> Duration:
    """Returns a duration; `usual` is that of the component, which it takes for a zero where the field is no pointer."""
    found = at(given, path)
    return Duration.parse(found if isinstance(found, str) else usual)


def is_cidr(text: str) -> bool:
    """Returns whether a component reads a text as a network. Unlike kubeadm's fields, its lists are not trimmed."""
    if text != text.strip():
        return False
    try:
        return len(rules.networks(text)) == 1
    except ValueError:
        return False


def not_negative(*paths: str) -> Rule:
    def rule(given: Given, _: Gates) -> Found:
        for path in paths:
            if (value := duration_at(given, path)) < 0:
                yield path, f"{value} is too small: 0s or more"

    return rule


def feature_gates(_: Given, gates: Gates) -> Found:
    for name, why in gates.refused():
        yield f"featureGates.{name}", why


def hidden_metrics(given: Given, gates: Gates) -> Found:
    wanted, path = f"1.{gates.minor - 1}", "showHiddenMetricsForVersion"
    if (text := text_at(given, path)) not in ("", wanted):
        yield path, f"{text!r} is not {wanted}: the components of 1.{gates.minor} show hidden metrics of that minor only"


def logging(given: Given, gates: Gates) -> Found:
    """LoggingConfiguration, as component-base checks it. Formats are words of `component_limits`. splitStream needs a gate,
    too, but the components' own flags replace it before it is looked at."""
    if (value := at(given, "logging.verbosity") or 0) > _MOST_VERBOSE:
        yield "logging.verbosity", f"{value} is not in 0 to {_MOST_VERBOSE}"
    frequency = at(given, _FLUSH)
    # Before 1.35 it is not refused, and the component panics when it starts its ticker.
    if (frequency if isinstance(frequency, int) else duration_at(given, _FLUSH)) < 0:
        yield _FLUSH, "this must be longer than 0s"
    is_text = text_at(given, "logging.format") in ("", "text")
    for number, item in enumerate(list_at(given, "logging.vmodule")):
        path = f"logging.vmodule[{number}]"
        pattern = text_at(item, "filePattern")
        if not is_text:
            yield path, "this is for the format text only"
        if not pattern or set("=,") & set(pattern):
            yield f"{path}.filePattern", f"{pattern!r} is not a pattern for files: one without = and comma"
        if (value := at(item, "verbosity") or 0) > _MOST_VERBOSE:
            yield f"{path}.verbosity", f"{value} is not in 0 to {_MOST_VERBOSE}"
    for path in ("logging.options.json.infoBufferSize", "logging.options.text.infoBufferSize"):
        if at(given, path) and not gates.is_on("LoggingAlphaOptions"):
            yield path, "this needs the feature gate LoggingAlphaOptions"
    if not is_text and not gates.is_on("LoggingBetaOptions"):
        yield "logging.format", "this needs the feature gate LoggingBetaOptions"


def needs_gate(path: str, name: str) -> Rule:
    """A field that may be set only where a gate is on."""

    def rule(given: Given, gates: Gates) -> Found:
        if at(given, path) and not gates.is_on(name):
            yield path, f"this needs the feature gate {name}"

    return rule
