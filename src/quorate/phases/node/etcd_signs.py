"""What shows that a static pod runs etcd, or may, in whatever way its file starts it.

Each list of ways to start a program lacked one: a wrapper, a variable that names the program, an image by its digest. A voter
stayed dead in the list each time. So a pod is not read for how it starts etcd alone, but for everything that an etcd cannot be
without: its flags or variables, its data, a name. "Not sure" is "may".
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from itertools import pairwise

from quorate.foreign.documents import BadDocument, read_mapping
from quorate.foreign.values import mapping_of, rows_of, text_of, texts_of

_NOT_ETCD = frozenset(
    {"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kube-vip", "etcdctl", "etcdutl"}
)
"""Their flags name etcd, and their names tell that they are none."""

_IN_A_NAME = re.compile(r"(^|[-_.])etcd([-_.0-9v]|$)", re.IGNORECASE | re.ASCII)
_AS_A_WORD = re.compile(r"(?<![\w.-])etcd(?:[-_.]?v?[0-9][0-9.]*)?(?![\w/.-])|:-etcd\b", re.IGNORECASE | re.ASCII)
"""The program in a text of a shell, with a path or without. `--etcd-servers`, `etcdctl` and `/var/lib/etcd/x` are none."""

_ONLY_ETCDS = re.compile(
    r"(?<![\w-])--?(initial-cluster|initial-cluster-state|initial-cluster-token|initial-advertise-peer-urls|listen-peer-urls"
    r"|listen-client-urls|advertise-client-urls|peer-client-cert-auth|snapshot-count)(?![\w-])",
    re.ASCII,
)
_VARIABLES = frozenset(
    {
        "ETCD_NAME",
        "ETCD_DATA_DIR",
        "ETCD_INITIAL_CLUSTER",
        "ETCD_INITIAL_CLUSTER_STATE",
        "ETCD_INITIAL_CLUSTER_TOKEN",
        "ETCD_INITIAL_ADVERTISE_PEER_URLS",
        "ETCD_LISTEN_PEER_URLS",
        "ETCD_LISTEN_CLIENT_URLS",
        "ETCD_ADVERTISE_CLIENT_URLS",
    }
)
"""Its own: clients of etcd have others with that beginning, such as ETCD_ENDPOINTS."""

_NAME = re.compile(r"^etcd([-_.0-9v]|$)|[-_.]etcd$", re.IGNORECASE)
"""Of a pod, a container or a label. `haproxy-etcd-lb` is none."""

_CLIENT = re.compile(r"(?<![\w.-])etcd(ctl|utl)(?![\w.-])", re.IGNORECASE | re.ASCII)
_PROGRAM = re.compile(r"etcd(?:[-_.]?v?[0-9][0-9.]*)?", re.IGNORECASE)
_SHELLS = frozenset({"sh", "bash", "ash", "dash", "zsh", "ksh", "busybox", "env"})
_PATH_OF_FLAG = re.compile(r"(?<![\w-])--?[\w-]+=/\S*", re.ASCII)


def may_run_etcd(content: bytes) -> str:
    """Returns what shows that a file in the kubelet's folder runs etcd, or may; empty where nothing does. Where its data is
    tells more: see `mounted_paths`."""
    if not _says_anything(content):
        return ""
    try:
        pod = read_mapping(content, "a manifest")
    except BadDocument:
        # Half a file, or one too large: the kubelet reads it once it is whole. Letters may be written in other ways.
        return "cannot be read, and may run an etcd"
    unknown = _unknown_containers(pod)
    if not unknown:
        return ""
    metadata = mapping_of(pod.get("metadata"))
    labels = mapping_of(metadata.get("labels"))
    names = [text_of(metadata.get("name")), *map(text_of, labels.values()), *(text_of(row.get("name")) for row in unknown)]
    is_named = any(_NAME.search(name) for name in names)
    return "runs an etcd, or may" if is_named or any(map(_shows_etcd, unknown)) else ""


def _says_anything(content: bytes) -> bool:
    """Returns whether there is more in a file than comments: the kubelet runs nothing of one without."""
    lines = [line.strip() for line in content.splitlines()]
    return any(line and not line.startswith(b"#") and line != b"---" for line in lines)


def mounted_paths(content: bytes) -> list[str]:
    """Returns the folders of the node that a pod mounts; none of one in which all programs are known not to be etcd, or that
    cannot be read. A script that asks etcd may also start it: `etcdctl member add …; exec "$PROGRAM"`."""
    try:
        pod = read_mapping(content, "a manifest")
    except BadDocument:
        return []
    if all(_program(row) in _NOT_ETCD for row in _containers(pod)):
        return []
    volumes = rows_of(mapping_of(pod.get("spec")).get("volumes"))
    paths = [text_of(mapping_of(row.get("hostPath")).get("path")) for row in volumes]
    return [posixpath.normpath(path) for path in paths if path.startswith("/")]


def _containers(pod: Mapping[str, object]) -> list[Mapping[str, object]]:
    spec = mapping_of(pod.get("spec"))
    return [row for kind in ("containers", "initContainers") for row in rows_of(spec.get(kind))]


def _unknown_containers(pod: Mapping[str, object]) -> list[Mapping[str, object]]:
    return [row for row in _containers(pod) if not _is_known(row)]


def _program(row: Mapping[str, object]) -> str:
    command = texts_of(row.get("command"))
    return command[0].rpartition("/")[2] if command else _image(row)


def _is_known(row: Mapping[str, object]) -> bool:
    """Returns whether a container is one that is no etcd, whatever its flags name: by its program, or as a script that asks
    etcd by its tools, such as one for backups."""
    program, words = _program(row), [*texts_of(row.get("command")), *texts_of(row.get("args"))]
    is_client = program in _SHELLS and any(_CLIENT.search(word) for word in words) and not _starts_etcd(words)
    return program in _NOT_ETCD or is_client


def _image(row: Mapping[str, object]) -> str:
    return text_of(row.get("image")).partition("@")[0].rpartition("/")[2].partition(":")[0]


def _shows_etcd(row: Mapping[str, object]) -> bool:
    variables = rows_of(row.get("env"))
    words = [*texts_of(row.get("command")), *texts_of(row.get("args")), *(text_of(one.get("value")) for one in variables)]
    program = words[0].rpartition("/")[2] if words else ""
    return bool(
        _IN_A_NAME.search(_image(row))
        or _IN_A_NAME.search(program)
        or any(text_of(one.get("name")) in _VARIABLES for one in variables)
        or _starts_etcd(words)
    )


def _starts_etcd(words: list[str]) -> bool:
    """Returns whether words of a command have flags that only etcd has, or name its program."""
    return any(_ONLY_ETCDS.search(word) for word in words) or any(
        _names_etcd(_without_paths_of_flags(word, before), words) for before, word in pairwise(["", *words])
    )


def _names_etcd(word: str, words: list[str]) -> bool:
    """Returns whether a word is etcd's program; in a text for a shell, whether it holds one. Elsewhere it may stand for
    anything: a unit that is watched, a namespace that is left out."""
    if _PROGRAM.fullmatch(word.rpartition("/")[2]):
        return True
    is_shell = any(one.rpartition("/")[2] in _SHELLS for one in words[:3])
    return is_shell and _AS_A_WORD.search(word) is not None


def _without_paths_of_flags(word: str, before: str) -> str:
    """Returns what may name a program in a word: a path that is the value of a flag, such as --data-dir, names a folder."""
    is_value = before.startswith("-") and before.strip("-") != "" and "=" not in before
    return "" if is_value and word.startswith("/") else _PATH_OF_FLAG.sub("", word)
