"""Completes a loaded configuration: fills in defaults, checks every rule, and raises all problems at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from quorate.config import rules, validate
from quorate.config import types as v4
from quorate.config.component_checks import check_components, kubelet_flags
from quorate.config.component_values import Values, given_values
from quorate.config.components import KUBELET, VERSIONS, kubelet_overrides
from quorate.config.defaults import (
    Facts,
    default_cluster,
    default_init,
    default_join,
    default_reset,
    default_upgrade,
    one_address,
)
from quorate.config.etcd_image import etcd_version
from quorate.config.findings import Finding
from quorate.config.load import Loaded
from quorate.config.problems import Problem, Problems, describe
from quorate.config.versions import closest, is_supported, parse_version
from quorate.errors import ConfigError
from quorate.foreign import documents
from quorate.foreign.documents import Mapping, Node, plain
from quorate.foreign.numbers import are_digits
from quorate.foreign.values import mapping_of

T = TypeVar("T")
_AFTER_ALL = 1 << 30


class InitSetup(Struct, frozen=True):
    """The complete configuration of `init`. `components`: what KubeletConfiguration and KubeProxyConfiguration in the file
    set. `notes`: for the user, none of them an error."""

    init: v4.InitConfiguration
    cluster: v4.ClusterConfiguration
    components: dict[str, Values] = {}
    notes: tuple[str, ...] = ()


def resolve_init(loaded: Loaded, facts: Facts) -> InitSetup:
    """Returns the configuration of an init. Raises `InvalidConfig`, or `ConfigError` when the file has neither kind."""
    setup, found = _init(loaded, facts)
    _refuse(loaded, found)
    return setup


def resolve_to_start(loaded: Loaded, facts: Facts) -> InitSetup:
    """Returns the configuration as `resolve_init`, for a node whose components are going to be started: what they would refuse
    is a problem, too."""
    setup, found = _init(loaded, facts)
    setup, more = _to_start(loaded, setup, setup.init)
    _refuse(loaded, [*found, *more])
    return setup


def resolve_first(loaded: Loaded, facts: Facts) -> InitSetup:
    """Returns the configuration as `resolve_to_start`, for a node that gets an API server here: others must reach it."""
    setup, found = _init(loaded, facts)
    setup, more = _to_start(loaded, setup, setup.init)
    endpoint = setup.init.local_api_endpoint
    unknown = _checked(
        loaded, "InitConfiguration", lambda problems: validate.check_known(endpoint, "localAPIEndpoint", problems)
    )
    _refuse(loaded, [*found, *more, *unknown])
    return setup


def _to_start(loaded: Loaded, setup: InitSetup, node: v4.InitConfiguration) -> tuple[InitSetup, list[Problem]]:
    """Returns the setup with notes of what its components could stumble over, and what they would refuse. `node`: what is known
    of the node that they are started on."""
    cluster = _of_known_version(setup.cluster)
    problems, notes = _placed(loaded, check_components(node, cluster, setup.components, etcd_version(cluster)))
    return replace(setup, notes=(*setup.notes, *notes)), problems


def _of_known_version(cluster: v4.ClusterConfiguration) -> v4.ClusterConfiguration:
    """Returns the configuration for checks that need a version: a wrong one, which is reported, must not hide the rest."""
    version = cluster.kubernetes_version
    return cluster if is_supported(version) else replace(cluster, kubernetes_version=closest(version))


def _placed(loaded: Loaded, findings: Sequence[Finding]) -> tuple[list[Problem], list[str]]:
    """Returns the findings as problems and as notes, with their lines in the file."""
    placed = [(one, Problem(one.path, one.text, line_of(loaded.documents.get(one.kind), one.path))) for one in findings]
    problems = [problem for one, problem in placed if not one.is_note]
    return problems, [describe(loaded.source, problem) for one, problem in placed if one.is_note]


def _init(loaded: Loaded, facts: Facts) -> tuple[InitSetup, list[Problem]]:
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
    components = _components(loaded, _of_known_version(cluster).kubernetes_version, found)
    if KUBELET in components:
        notes += kubelet_overrides(cluster, mapping_of(plain(loaded.documents[KUBELET])))
    return InitSetup(init, cluster, components, tuple(notes)), found


def _components(loaded: Loaded, version: str, found: list[Problem]) -> dict[str, Values]:
    """Returns the component configurations of a file, read by the types of that version; problems are added to `found`."""
    problems = Problems(loaded.source)
    minor = parse_version(version).minor
    given = {kind: given_values(loaded.documents[kind], kind, minor, problems) for kind in VERSIONS if kind in loaded.documents}
    found += problems.found
    if given:
        from quorate.config.component_rules import refusals

        wrong = tuple(one.path for one in problems.found)
        for kind, values in given.items():
            refused = [(path, why) for path, why in refusals(kind, values, minor) if not _is_at(path, wrong)]
            found += [Problem(path, why, line_of(loaded.documents[kind], path)) for path, why in refused]
    return given


def _is_at(path: str, others: tuple[str, ...]) -> bool:
    """Returns whether a path is one of others, or in one of them: what is wrong by itself breaks no rule besides."""
    return any(path == one or path.startswith((f"{one}.", f"{one}[")) for one in others)


def with_port(endpoint: str, port: int) -> str:
    """Returns the endpoint, with `port` added if it has none. A text that is not an endpoint is returned unchanged."""
    if not endpoint or rules.endpoint(endpoint) is not None:
        return endpoint
    host, given = rules.split_endpoint(endpoint)
    return endpoint if given else f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def resolve_join(loaded: Loaded, facts: Facts) -> tuple[v4.JoinConfiguration, tuple[str, ...]]:
    """Returns the configuration of a join, and notes. Raises `InvalidConfig`."""
    join, notes, found = _join(loaded, facts)
    if join.control_plane is not None:
        endpoint, path = join.control_plane.local_api_endpoint, "controlPlane.localAPIEndpoint"
        found += _checked(loaded, "JoinConfiguration", lambda problems: validate.check_known(endpoint, path, problems))
    _refuse(loaded, found)
    return join, notes


def _join(loaded: Loaded, facts: Facts) -> tuple[v4.JoinConfiguration, tuple[str, ...], list[Problem]]:
    join = default_join(_given(loaded, loaded.join, "JoinConfiguration", "join-defaults"), facts)
    found = _checked(loaded, "JoinConfiguration", lambda problems: validate.check_join(join, problems))
    notes = [*loaded.notes]
    if is_supported(facts.kubernetes_version):
        minor = parse_version(facts.kubernetes_version).minor
        problems, doubts = _placed(loaded, kubelet_flags(join.node_registration, "JoinConfiguration", minor))
        # The version of this node's kubelet is known once it is installed: until then all of it is a doubt.
        notes += [*(describe(loaded.source, one) for one in problems), *doubts]
    return join, tuple(notes), found


def resolve_reset(loaded: Loaded, facts: Facts) -> v4.ResetConfiguration:
    """Returns the configuration of a reset. Raises `InvalidConfig`."""
    reset, found = _reset(loaded, facts)
    _refuse(loaded, found)
    return reset


def _reset(loaded: Loaded, facts: Facts) -> tuple[v4.ResetConfiguration, list[Problem]]:
    reset = default_reset(_given(loaded, loaded.reset, "ResetConfiguration", "reset-defaults"), facts)
    return reset, _checked(loaded, "ResetConfiguration", lambda problems: validate.check_reset(reset, problems))


def resolve_upgrade(loaded: Loaded) -> v4.UpgradeConfiguration:
    """Returns the configuration of an upgrade. Raises `InvalidConfig`."""
    upgrade, found = _upgrade(loaded)
    _refuse(loaded, found)
    return upgrade


def _upgrade(loaded: Loaded) -> tuple[v4.UpgradeConfiguration, list[Problem]]:
    upgrade = default_upgrade(_given(loaded, loaded.upgrade, "UpgradeConfiguration", "upgrade-defaults"))
    return upgrade, _checked(loaded, "UpgradeConfiguration", lambda problems: validate.check_upgrade(upgrade, problems))


def resolve_any(loaded: Loaded, facts: Facts, further: Sequence[Finding] = ()) -> tuple[str, ...]:
    """Checks every kind that a file has; returns notes. Raises `InvalidConfig` with the problems of all of them. `further`:
    what was found by those who know more than the file."""
    found, notes = _placed(loaded, further)
    if loaded.init is not None or loaded.cluster is not None:
        setup, problems = _init(loaded, facts)
        # The file can be for another host than this one, so this host's address says nothing.
        known = replace(setup.init.local_api_endpoint, advertise_address=_given_address(loaded))
        setup, more = _to_start(loaded, setup, replace(setup.init, local_api_endpoint=known))
        found += [*problems, *more]
        notes += setup.notes
    elif is_supported(facts.kubernetes_version):
        _components(loaded, facts.kubernetes_version, found)
    if loaded.join is not None:
        _, doubts, problems = _join(loaded, facts)
        found += problems
        notes += doubts
    if loaded.reset is not None:
        found += _reset(loaded, facts)[1]
    if loaded.upgrade is not None:
        found += _upgrade(loaded)[1]
    _refuse(loaded, found)
    return tuple(dict.fromkeys(notes))


def _given_address(loaded: Loaded) -> str:
    given = loaded.init.local_api_endpoint.advertise_address if loaded.init else ""
    return one_address(given) if rules.is_address(given) and rules.advertised(given) is None else ""


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
    """Raises all problems in the order of the file. A rule that a value of the wrong form breaks is no problem of its own: the
    default stands in its place. Nor are quotes that a text lacks which is wrong with them, too: 1.34 is no version."""
    wrong = {one.path for one in loaded.problems if not one.is_read}
    broken = {one.path for one in found}
    read = [one for one in loaded.problems if not (one.is_unquoted and one.path in broken)]
    every = [*read, *(one for one in found if one.path not in wrong)]
    Problems(loaded.source, sorted(every, key=lambda one: one.line or _AFTER_ALL)).raise_if_any()


def line_of(document: Mapping | None, path: str) -> int:
    """Returns the line of a field (networking.serviceSubnet, bootstrapTokens[0].token), or of the innermost part of its path
    that the file has; 0 when there is none."""
    node: Node | None = document
    line, rest = 0, path
    while rest and node is not None:
        node, rest = _below(node, rest)
        line = node.line if node is not None else line
    return line


def _below(node: Node, path: str) -> tuple[Node | None, str]:
    """Returns what the first part of a path names, and the rest of the path. A key of a mapping may hold dots, as the signals
    of evictionHard do."""
    if isinstance(node, documents.Sequence):
        number, _, rest = path.removeprefix("[").partition("]")
        is_there = are_digits(number) and int(number) < len(node.items)
        return node.items[int(number)] if is_there else None, rest.removeprefix(".")
    names = (
        [name for name, _ in node.rows if path == name or path.startswith((f"{name}.", f"{name}["))]
        if isinstance(node, Mapping)
        else []
    )
    name = max(names, key=len, default=None)
    if name is None or not isinstance(node, Mapping):
        return None, ""
    return node.get(name), path[len(name) :].removeprefix(".")
