"""Reads the manifest of a static etcd pod as the kubelet and etcd read it. "Cannot be understood" is an answer of its own.

It is never "there is no etcd": a reset that took one flag without a value for that deleted the data of a voter that the cluster
still listed.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from quorate.errors import Refused
from quorate.foreign.documents import BadDocument, read_mapping
from quorate.foreign.numbers import are_digits
from quorate.foreign.urls import parts_of
from quorate.foreign.values import mapping_of, rows_of, text_of, texts_of
from quorate.manifests.etcd import URLS_ANNOTATION, url

_PROGRAM = "etcd"
_MOST_DIGITS = 16
_VARIABLE = "ETCD_"
_USED = (
    "name",
    "data-dir",
    "initial-advertise-peer-urls",
    "initial-cluster",
    "advertise-client-urls",
    "listen-client-urls",
    "config-file",
)
_REFERENCE = re.compile(r"\$\$|\$\(([^()$]*)\)")
_UNKNOWN = re.compile(r"\$\([^()$]*\)")


@dataclass(frozen=True, slots=True)
class LocalEtcd:
    """The local etcd as its manifest describes it. `rows`: of --initial-cluster, by name. `client_urls`: where it can be
    reached from this node; `listens`: those of them at which it listens, the others are only advertised."""

    name: str
    peer_urls: tuple[str, ...]
    client_urls: tuple[str, ...]
    rows: dict[str, str]
    listens: tuple[str, ...]
    data_dir: str
    """The path on the node; empty when the manifest does not show it."""
    wal_dir: str = ""
    """Where the log is, in the container; empty where it is in the data."""
    quota: int = 0
    """Bytes of --quota-backend-bytes; 0 where it is etcd's own."""

    @property
    def client_port(self) -> int:
        """The port at which members of this cluster most likely serve clients: that of this one."""
        return next((port for one in self.client_urls if (port := parts_of(one).port)), 2379)

    @property
    def others(self) -> list[str]:
        """Where the other members of the time when this one joined most likely serve clients."""
        return [url(parts_of(one).host, self.client_port) for one in self.rows.values() if one not in self.peer_urls]


def parse(content: bytes, where: str) -> LocalEtcd:
    """Returns what the manifest at `where` runs. Raises `Refused` for one that cannot be understood; nothing may be decided or
    deleted on it."""
    try:
        pod = read_mapping(content, where)
    except BadDocument as error:
        raise _not_understood(where, error.what) from None
    spec = mapping_of(pod.get("spec"))
    container = _container(spec, where)
    settings = _settings(container, where)
    missing = [name for name in ("data-dir", "initial-advertise-peer-urls") if not settings.get(name)]
    if missing:
        raise _not_understood(where, f"it does not set --{missing[0]}")
    rows = dict(row.split("=", 1) for row in settings.get("initial-cluster", "").split(",") if "=" in row)
    advertised = [settings.get("advertise-client-urls", ""), _annotated(pod)]
    listens = tuple(_reachable(settings.get("listen-client-urls", "")))
    clients = tuple(dict.fromkeys([*listens, *_urls(advertised)]))
    peers = tuple(_urls([settings["initial-advertise-peer-urls"]]))
    if not clients or not peers:
        raise _not_understood(where, f"it shows no {'client' if peers else 'peer'} URL")
    return LocalEtcd(
        settings.get("name", "default"),
        peers,
        clients,
        rows,
        listens,
        on_host(settings["data-dir"], container, spec),
        settings.get("wal-dir", ""),
        _number(settings.get("quota-backend-bytes", "")),
    )


def _number(text: str) -> int:
    return int(text) if are_digits(text) and len(text) < _MOST_DIGITS else 0


def _not_understood(where: str, why: str) -> Refused:
    return Refused(
        f"the manifest {where} cannot be understood: {why}",
        state="nothing was changed: it may run an etcd member that the cluster counts on",
        advice="correct it; or, when no member runs here any more, move the file away, then run the same command again",
    )


def _container(spec: Mapping[str, object], where: str) -> Mapping[str, object]:
    """Returns the container that runs etcd: the one of that name, or the only one."""
    containers = rows_of(spec.get("containers"))
    named = [row for row in containers if row.get("name") == _PROGRAM] or containers
    if len(named) != 1:
        raise _not_understood(where, f"it has {len(named)} containers that may be etcd")
    return named[0]


def _settings(container: Mapping[str, object], where: str) -> dict[str, str]:
    """Returns etcd's settings by the names of its flags. Flags outweigh variables, as in etcd."""
    program, *words = [*texts_of(container.get("command")), *texts_of(container.get("args"))] or [""]
    if program.rpartition("/")[2] != _PROGRAM:
        raise _not_understood(where, f"it runs {program[:80]!r}, not etcd itself")
    environment = _environment(container)
    variables = {
        name.removeprefix(_VARIABLE).lower().replace("_", "-"): value
        for name, value in environment.items()
        if name.startswith(_VARIABLE)
    }
    settings = variables | flags_in([_expanded(word, environment) for word in words])
    for name in _USED:
        if _UNKNOWN.search(settings.get(name, "")):
            raise _not_understood(
                where, f"--{name} holds {settings[name][:80]!r}, which the kubelet fills in when the pod starts"
            )
    if "config-file" in settings:
        raise _not_understood(where, "its settings are in a file (--config-file), where etcd ignores all flags")
    return settings


def _environment(container: Mapping[str, object]) -> dict[str, str]:
    """Returns the variables of the container. One that the kubelet fills in stands for itself: $(NAME)."""
    found: dict[str, str] = {}
    for row in rows_of(container.get("env")):
        name = text_of(row.get("name"))
        found[name] = f"$({name})" if "valueFrom" in row else _expanded(text_of(row.get("value")), found)
    return found


def _expanded(text: str, variables: Mapping[str, str]) -> str:
    """Returns a text as the kubelet expands it: $(NAME) is a variable that comes before, $$ is a dollar sign; an unknown name
    stays."""
    return _REFERENCE.sub(lambda found: "$" if found[0] == "$$" else variables.get(found[1], found[0]), text)


def flags_in(words: list[str]) -> dict[str, str]:
    """Returns the flags as Go's flag package reads them: one dash or two, `-name=value` or `-name value`; a flag alone is a
    switch. The last of several counts."""
    found: dict[str, str] = {}
    for number, word in enumerate(words):
        name, has_value, value = word.lstrip("-").partition("=")
        if not word.startswith("-") or not name:
            continue
        following = words[number + 1] if number + 1 < len(words) else "-"
        found[name] = value if has_value else ("true" if following.startswith("-") else following)
    return found


def _urls(texts: Iterable[str]) -> list[str]:
    return [one.strip() for text in texts for one in text.split(",") if parts_of(one.strip()).host]


def _annotated(pod: Mapping[str, object]) -> str:
    return text_of(mapping_of(mapping_of(pod.get("metadata")).get("annotations")).get(URLS_ANNOTATION))


def _reachable(listening: str) -> list[str]:
    """Returns where the member is asked from this node: "all addresses" is where it listens, not where it is reached."""
    return [_loopback_if_all(one) for one in _urls([listening])]


def _loopback_if_all(one: str) -> str:
    parts = parts_of(one)
    try:
        address = ipaddress.ip_address(parts.host)
    except ValueError:
        return one
    # Without a port etcd does not start: no default is put there, which another program may listen at.
    if not address.is_unspecified or not parts.port:
        return one
    return url("127.0.0.1" if address.version == 4 else "::1", parts.port, parts.scheme)


def on_host(path: str, container: Mapping[str, object], spec: Mapping[str, object]) -> str:
    """Returns the path on the node of a path in a container; empty when it is unknown. The pod's mounts decide, not the flag:
    a patch may have moved the volume, and then the flag's path on the host belongs to another owner."""
    folders = {
        text_of(row.get("name")): text_of(mapping_of(row.get("hostPath")).get("path")) for row in rows_of(spec.get("volumes"))
    }
    mounts = [(text_of(row.get("mountPath")).rstrip("/"), row) for row in rows_of(container.get("volumeMounts"))]
    for place, row in sorted(mounts, key=lambda mount: len(mount[0]), reverse=True):
        if place and (path == place or path.startswith(f"{place}/")):
            host = folders.get(text_of(row.get("name")), "").rstrip("/")
            if not host or "subPathExpr" in row:
                return ""
            return "/".join(filter(None, (host, text_of(row.get("subPath")), path.removeprefix(place).strip("/"))))
    return ""
