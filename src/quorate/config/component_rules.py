"""What a component refuses of its configuration at its start, beyond the type and the words of single fields."""

from __future__ import annotations

from quorate.config import kubelet_rules, proxy_rules
from quorate.config.component_gates import Gates
from quorate.config.component_parts import Given, Rule, at
from quorate.config.components import KUBELET, PROXY

_RULES: dict[str, tuple[Rule, ...]] = {KUBELET: kubelet_rules.RULES, PROXY: proxy_rules.RULES}


def refusals(kind: str, given: Given, minor: int) -> list[tuple[str, str]]:
    """Returns paths, and why a component of that minor ends with what is there. `given`: as `component_values.given_values`
    read it."""
    gates = Gates(minor, {name: value for name, value in (at(given, "featureGates") or {}).items() if isinstance(value, bool)})
    return [found for rule in _RULES[kind] for found in rule(given, gates)]
