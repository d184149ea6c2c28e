"""Completes a loaded configuration: fills in defaults, checks every rule, and raises all problems at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from quorate.config import rules, validate
from quorate.config import types as v4
from quorate.config.component_values import Values, given_values
from quorate.config.components import KUBELET, VERSIONS, kubelet_overrides
from quorate.config.defaults import Facts, default_cluster, default_init, default_join, default_reset, default_upgrade
from quorate.config.load import Loaded
from quorate.config.problems import Problem, Problems
from quorate.config.versions import is_supported, parse_version
from quorate.errors import ConfigError
from quorate.foreign.documents import Mapping, Node, Sequence, plain
from quorate.foreign.values import mapping_of

T = TypeVar("T")


class InitSetup(Struct, frozen=True):
    """The complete configuration of `init`. `components`: what KubeletConfiguration and KubeProxyConfiguration in the file
    set. `notes`: for the user, none of them an error."""

    init: v4.InitConfiguration
    cluster: v4.ClusterConfiguration
    components: dict[str, Values] = {}
    notes: tuple[str, ...] = ()


def resolve_init(loaded: Loaded, facts: Facts) -> InitSetup:
    """Returns the configuration of an init. Raises `InvalidConfig`, or `ConfigError` when the file has neither kind."""
    if loaded.init is None and loaded.cluster is None:
        raise ConfigError(
            f"{loaded.source} has neither an InitConfiguration nor a ClusterConfiguration",
            advice="'quorate config print init-defaults' shows both",
        )
    init = default_init(loaded.init or v4.InitConfiguration(), facts)
    cluster = default_cluster(loaded.cluster or v4.ClusterConfiguration(), facts)
    cluster = replace(
        cluster, control_plane_endpoint=with_port(cluster.control_plane_endpoint, init.local_api_endpoint.bind_port)
    )
    found: list[Problem] = []
    notes = [*loaded.notes]
    found += _checked(loaded, "InitConfiguration", lambda problems: validate.check_init(init, problems))
    found += _checked(loaded, "ClusterConfiguration", lambda problems: notes.extend(validate.check_cluster(cluster, problems)))
    components = _components(loaded, cluster.kubernetes_version, found)
    _refuse(loaded, found)
    if KUBELET in components:
        notes += kubelet_overrides(cluster, mapping_of(plain(loaded.documents[KUBELET])))
    return InitSetup(init, cluster, components, tuple(notes))


def _components(loaded: Loaded, version: str, found: list[Problem]) -> dict[str, Values]:
    """Returns the component configurations of a file, read by the types of that version; problems are added to `found`. Of a
    version that cannot be read there are none: that it is wrong is reported already."""
    if not is_supported(version):
        return {}
    problems = Problems(loaded.source)
    minor = parse_version(version).minor
    given = {kind: given_values(loaded.documents[kind], kind, minor, problems) for kind in VERSIONS if kind in loaded.documents}
    found += problems.found
    return given


def with_port(endpoint: str, port: int) -> str:
    """Returns the endpoint, with `port` added if it has none. A text that is not an endpoint is returned unchanged."""
    if not endpoint or rules.endpoint(endpoint) is not None:
        return endpoint
    host, given = rules.split_endpoint(endpoint)
    return endpoint if given else f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def resolve_join(loaded: Loaded, facts: Facts) -> tuple[v4.JoinConfiguration, tuple[str, ...]]:
    """Returns the configuration of a join, and notes. Raises `InvalidConfig`."""
    join = default_join(_given(loaded, loaded.join, "JoinConfiguration", "join-defaults"), facts)
    _refuse(loaded, _checked(loaded, "JoinConfiguration", lambda problems: validate.check_join(join, problems)))
    return join, loaded.notes


def resolve_reset(loaded: Loaded, facts: Facts) -> v4.ResetConfiguration:
    """Returns the configuration of a reset. Raises `InvalidConfig`."""
    reset = default_reset(_given(loaded, loaded.reset, "ResetConfiguration", "reset-defaults"), facts)
    _refuse(loaded, _checked(loaded, "ResetConfiguration", lambda problems: validate.check_reset(reset, problems)))
    return reset


def resolve_upgrade(loaded: Loaded) -> v4.UpgradeConfiguration:
    """Returns the configuration of an upgrade. Raises `InvalidConfig`."""
    upgrade = default_upgrade(_given(loaded, loaded.upgrade, "UpgradeConfiguration", "upgrade-defaults"))
    _refuse(loaded, _checked(loaded, "UpgradeConfiguration", lambda problems: validate.check_upgrade(upgrade, problems)))
    return upgrade


def resolve_any(loaded: Loaded, facts: Facts) -> tuple[str, ...]:
    """Checks every kind that a file has; returns notes. Raises `InvalidConfig`, or `ConfigError` when the file has no known
    kind."""
    notes: list[str] = []
    if loaded.init is not None or loaded.cluster is not None:
        notes += resolve_init(loaded, facts).notes
    if loaded.join is not None:
        notes += resolve_join(loaded, facts)[1]
    if loaded.reset is not None:
        resolve_reset(loaded, facts)
    if loaded.upgrade is not None:
        resolve_upgrade(loaded)
    found: list[Problem] = []
    _components(loaded, facts.kubernetes_version, found)
    _refuse(loaded, found)
    if not any((loaded.init, loaded.cluster, loaded.join, loaded.reset, loaded.upgrade)):
        raise ConfigError(f"{loaded.source} holds no configuration of {v4.GROUP}")
    return tuple(dict.fromkeys(notes))


def _given(loaded: Loaded, value: T | None, kind: str, example: str) -> T:
    if value is None:
        raise ConfigError(f"{loaded.source} has no {kind}", advice=f"'quorate config print {example}' shows one")
    return value


def _checked(loaded: Loaded, kind: str, check: Callable[[Problems], object]) -> list[Problem]:
    """Returns the problems that `check` finds, each with the line of its field in the file."""
    problems = Problems(loaded.source)
    check(problems)
    document = loaded.documents.get(kind)
    return [Problem(one.path, one.text, line_of(document, one.path)) for one in problems.found]


def _refuse(loaded: Loaded, found: list[Problem]) -> None:
    Problems(loaded.source, [*loaded.problems, *found]).raise_if_any()


def line_of(document: Mapping | None, path: str) -> int:
    """Returns the line of a field (networking.serviceSubnet, bootstrapTokens[0].token), or of the innermost part of its path
    that the file has; 0 when there is none."""
    node: Node | None = document
    line = 0
    for part in path.replace("[", ".[").split("."):
        if part.startswith("[") and isinstance(node, Sequence):
            number = int(part[1:-1])
            node = node.items[number] if number < len(node.items) else None
        elif isinstance(node, Mapping):
            node = node.get(part)
        else:
            node = None
        if node is None:
            break
        line = node.line
    return line
