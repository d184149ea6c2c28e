"""What is elsewhere, or otherwise, in another version of kubeadm's API: for those who bring a file from one to the other."""

from __future__ import annotations

import re
from typing import Any, get_args, get_origin

from msgspec.structs import replace

from quorate.config import types as v4
from quorate.config import v1beta3
from quorate.config.load import V4_KINDS
from quorate.config.problems import Problem
from quorate.config.schema import Value, keys
from quorate.core.suggestions import close_names, did_you_mean

KINDS: dict[str, dict[str, type[Value]]] = {v4.V1BETA4: V4_KINDS, v4.V1BETA3: v1beta3.KINDS}
"""The kinds that are read, by version."""

MOVED = {
    "ClusterConfiguration.apiServer.timeoutForControlPlane": "in v1beta4 it is timeouts.controlPlaneComponentHealthCheck of "
    "InitConfiguration and JoinConfiguration",
    "JoinConfiguration.discovery.timeout": "in v1beta4 it is timeouts.discovery",
}
"""Fields of v1beta3 that v1beta4 has elsewhere."""

REMOVED = {
    "ClusterConfiguration.dns.type": "v1beta2 was the last that had it: CoreDNS is the only DNS server",
    "ClusterConfiguration.useHyperKubeImage": "v1beta2 was the last that had it",
}
_ARGUMENTS = re.compile(r"(?:.*\.extraArgs|nodeRegistration\.kubeletExtraArgs)")
_OLD_FORM = "or set apiVersion to that of v1beta3, whose form this is, and run 'quorate config migrate'"
_LAST_READ_BY = {"v1alpha1": "1.11", "v1alpha2": "1.12", "v1alpha3": "1.14", "v1beta1": "1.15", "v1beta2": "1.22"}
"""The kubeadm that converts an old version, as kubeadm itself advises."""


def with_advice(problem: Problem, kind: str, version: str) -> Problem:
    """Returns a problem of form with the place, or the form, that another version has for the field."""
    advice = _advice(problem, kind, version)
    if not advice:
        return problem
    # Where it is known what became of a field, a name that looks like it is no help.
    text = problem.text.partition("; did you mean")[0] if problem.code == "unknown-field" else problem.text
    return replace(problem, text=f"{text}; {advice}")


def _advice(problem: Problem, kind: str, version: str) -> str:
    path = re.sub(r"\[[0-9]+\]", "", problem.path)
    if problem.code != "unknown-field":
        return _of_arguments(problem, path, version)
    name = f"{kind}.{path}"
    found = REMOVED.get(name) or (MOVED.get(name, "") if version == v4.V1BETA4 else "")
    if not found and version == v4.V1BETA3 and has_field(v4.V1BETA4, kind, path):
        return f"it is there since v1beta4: set apiVersion to {v4.V1BETA4}, or leave the field out"
    elsewhere = [one for one in KINDS[version] if one != kind and has_field(version, one, path)]
    return found or (f"it is a field of {' and '.join(elsewhere)}" if 0 < len(elsewhere) <= 2 else "")


def _of_arguments(problem: Problem, path: str, version: str) -> str:
    if not _ARGUMENTS.fullmatch(path) or problem.is_read:
        return ""
    if version == v4.V1BETA4:
        return f'v1beta4 wants a name and a value of each: - {{name: v, value: "2"}}; {_OLD_FORM}'
    return 'v1beta3 wants v: "2"; lists of name and value are those of v1beta4'


def has_field(version: str, kind: str, path: str) -> bool:
    """Returns whether a kind has a field in a version. `path`: without indices."""
    made: Any = KINDS[version].get(kind)
    for part in path.split("."):
        known = keys(made) if isinstance(made, type) and issubclass(made, Value) else {}
        if part not in known:
            return False
        made = _inside(known[part].type)
    return True


def _inside(hint: Any) -> Any:
    """Returns the class in an optional field, or in a list."""
    inner = [one for one in get_args(hint) if one not in (type(None), ...)]
    return inner[0] if inner and get_origin(hint) is not dict else hint


def kind_advice(version: str, kind: str, components: dict[str, str]) -> str:
    """Returns what to write in place of an apiVersion and kind that are not read. `components`: the versions of the components'
    kinds."""
    group, _, short = version.rpartition("/")
    known = (*KINDS[v4.V1BETA4], *components)
    if kind not in known:
        question = did_you_mean(close_names(kind, known)[:1])
        return question or f"kinds are {', '.join(KINDS[v4.V1BETA4])} of {v4.V1BETA4}, and {' and '.join(components)}"
    if kind in components:
        return f"{kind} is of {components[kind]}"
    read = [one for one, kinds in KINDS.items() if kind in kinds]
    if group == v4.GROUP and short in _LAST_READ_BY:
        return f"{' and '.join(read)} can be read: kubeadm {_LAST_READ_BY[short]} converts {short} (kubeadm config migrate)"
    return f"use {' or '.join(read)}"
