"""What shows that a static pod runs etcd, or may, in whatever way its file starts it.

Each list of ways to start a program lacked one: a wrapper, a variable that names the program, an image by its digest. A voter
stayed dead in the list each time. So a pod is not read for how it starts etcd alone, but for everything that an etcd cannot be
without: its flags or variables, its data, a name. "Not sure" is "may".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise

from quorate.foreign.documents import BadDocument, read_mapping
from quorate.foreign.json_keys import says_a_key_twice
from quorate.foreign.paths import clean
from quorate.foreign.values import mapping_of, rows_of, text_of, texts_of

_NOT_ETCD = frozenset(
    {"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kube-vip", "etcdctl", "etcdutl"}
)
"""Their flags name etcd, and their names tell that they are none, unless they are given what only an etcd takes."""

_IN_A_NAME = re.compile(r"(^|[-_.])etcd([-_.0-9v]|$)", re.IGNORECASE | re.ASCII)
_AS_A_WORD = re.compile(r"(?<![\w.-])etcd(?:[-_.]?v?[0-9][0-9.]*)?(?![\w/.-])|:-etcd\b", re.IGNORECASE | re.ASCII)
"""The program in a text of a shell, with a path or without. `--etcd-servers`, `etcdctl` and `/var/lib/etcd/x` are none."""

_ONLY_ETCDS = re.compile(
    r"(?<![\w-])--?(initial-cluster|initial-cluster-state|initial-cluster-token|initial-advertise-peer-urls|listen-peer-urls"
    r"|listen-client-urls|advertise-client-urls|peer-client-cert-auth|peer-trusted-ca-file|peer-cert-file|peer-key-file"
    r"|auto-compaction-mode|auto-compaction-retention|quota-backend-bytes|listen-metrics-urls)(?![\w-])",
    re.ASCII,
)
_ITS_FILE = re.compile(r"(?<![\w.-])etcd\.conf", re.ASCII)
"""Of --config-file, as its packages and documents call it."""

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
        "ETCD_LISTEN_METRICS_URLS",
        "ETCD_ADVERTISE_CLIENT_URLS",
        "ETCD_CONFIG_FILE",
        "ETCD_WAL_DIR",
        "ETCD_PEER_CERT_FILE",
        "ETCD_PEER_KEY_FILE",
        "ETCD_PEER_TRUSTED_CA_FILE",
        "ETCD_PEER_CLIENT_CERT_AUTH",
        "ETCD_CLIENT_CERT_AUTH",
        "ETCD_QUOTA_BACKEND_BYTES",
        "ETCD_SNAPSHOT_COUNT",
    }
)
"""Its own: clients of etcd have others with that beginning, such as ETCD_ENDPOINTS."""

_NAME = re.compile(r"^etcd([-_.0-9v]|$)|[-_.]etcd$", re.IGNORECASE)
"""Of a pod, a container or a label. `haproxy-etcd-lb` is none."""

_SAID = re.compile(r"(?:^|(?<=[;&|\n(]))[ \t]*(?:echo|printf|:|#)(?=[\s\"'])[^;&|\n)>$`]*(?=[;&\n]|$)")
"""What a script only says: `echo waiting for etcd`. What it says to another program or file, or lets a shell fill in, may be
run."""

_KIND_OF_STORE = re.compile(r"store|storage|backend|driver|database", re.IGNORECASE)
_RUNS_A_VARIABLE = re.compile(r"(?:^|[;&|\n(]|\b(?:exec|then|do|else|nohup|time)\b)[ \t]*[\"']?\$")
_CLIENT = re.compile(r"(?<![\w.-])etcd(ctl|utl)(?![\w.-])", re.IGNORECASE | re.ASCII)
_PROGRAM = re.compile(r"etcd(?:[-_.]?v?[0-9][0-9.]*)?", re.IGNORECASE)
_SHELLS = frozenset({"sh", "bash", "ash", "dash", "zsh", "ksh", "busybox", "env"})
_PATH_OF_FLAG = re.compile(r"(?<![\w-])--?[\w-]+=/\S*", re.ASCII)


def may_run_etcd(content: bytes) -> str:
    """Returns what shows that a file in the kubelet's folder runs etcd, or may; empty where nothing does. Where its data is
    tells more: see `mounted_paths`."""
    if not says_anything(content):
        return ""
    try:
        pod = read_mapping(content, "a manifest")
    except BadDocument:
        # Half a file, or one too large: the kubelet reads it once it is whole. Letters may be written in other ways.
        return "cannot be read, and may run an etcd"
    if says_a_key_twice(content):
        return "says a key twice, and may run an etcd"
    unknown = [row for row in _containers(pod) if not _is_known(row)]
    if not unknown:
        return ""
    metadata = mapping_of(pod.get("metadata"))
    labels = mapping_of(metadata.get("labels"))
    names = [text_of(metadata.get("name")), *map(text_of, labels.values()), *(text_of(row.get("name")) for row in unknown)]
    is_named = any(_NAME.search(name) for name in names)
    return "runs an etcd, or may" if is_named or any(map(_shows_etcd, unknown)) else ""


def says_anything(content: bytes) -> bool:
    """Returns whether there is more in a file than comments: the kubelet runs nothing of one without. For YAML a line ends at
    more signs than a line feed: behind a comment that ends in U+2028 there was a pod."""
    lines = [line.strip() for line in content.decode(errors="replace").removeprefix("\ufeff").splitlines()]
    return any(line and not line.startswith("#") and line != "---" for line in lines)


def mounted_paths(content: bytes) -> list[str]:
    """Returns the folders of the node that a pod may write to; none of one that cannot be read."""
    try:
        pod = read_mapping(content, "a manifest")
    except BadDocument:
        return []
    mounts = [mount for row in _containers(pod) for mount in rows_of(row.get("volumeMounts"))]
    found: list[str] = []
    for volume in rows_of(mapping_of(pod.get("spec")).get("volumes")):
        path = text_of(mapping_of(volume.get("hostPath")).get("path"))
        own = [mount for mount in mounts if mount.get("name") == volume.get("name")]
        # An etcd writes. What reads the whole disk, to measure it or to watch it, is none.
        written = [mount for mount in own if mount.get("readOnly") is not True]
        if path.startswith("/") and (written or not own):
            found += [clean(f"{path}/{text_of(mount.get('subPath'))}") for mount in written] or [clean(path)]
    return list(dict.fromkeys(found))


def _containers(pod: Mapping[str, object]) -> list[Mapping[str, object]]:
    spec = mapping_of(pod.get("spec"))
    return [row for kind in ("containers", "initContainers") for row in rows_of(spec.get(kind))]


def _program(row: Mapping[str, object]) -> str:
    command = texts_of(row.get("command"))
    return command[0].rpartition("/")[2] if command else _image(row)


def _is_known(row: Mapping[str, object]) -> bool:
    """Returns whether a container is one that is no etcd, whatever its flags name: by its program, or as a script that asks
    etcd by its tools, such as one for backups. What has etcd's own flags or variables, or runs what a variable names, is not
    known."""
    words = _words(row)
    if _has_its_variables(row) or any(_ONLY_ETCDS.search(word) for word in words):
        return False
    if _program(row) in _NOT_ETCD:
        return not _starts_etcd(_words_of_hooks(row))
    is_client = _program(row) in _SHELLS and any(_CLIENT.search(word) for word in words)
    return is_client and not _starts_etcd(words) and not any(_RUNS_A_VARIABLE.search(word) for word in words[1:])


def _words(row: Mapping[str, object]) -> list[str]:
    """Returns all words that a container runs, with those of its probes and hooks, and what variables put into them."""
    values = {text_of(one.get("name")): text_of(one.get("value")) for one in rows_of(row.get("env"))}
    words = [*texts_of(row.get("command")), *texts_of(row.get("args")), *_words_of_hooks(row)]
    named = [
        name for name in values if any(f"$({name})" in word or f"${name}" in word or f"${{{name}" in word for word in words)
    ]
    return [*words, *(values[name] for name in named)]


def _words_of_hooks(row: Mapping[str, object]) -> list[str]:
    hooks = mapping_of(row.get("lifecycle"))
    ran = [*(hooks.get(one) for one in ("postStart", "preStop")), *(row.get(f"{one}Probe") for one in _PROBES)]
    return [word for one in ran for word in texts_of(mapping_of(mapping_of(one).get("exec")).get("command"))]


_PROBES = ("liveness", "readiness", "startup")


def _has_its_variables(row: Mapping[str, object]) -> bool:
    return any(text_of(one.get("name")) in _VARIABLES for one in rows_of(row.get("env")))


def _image(row: Mapping[str, object]) -> str:
    return text_of(row.get("image")).partition("@")[0].rpartition("/")[2].partition(":")[0]


def _shows_etcd(row: Mapping[str, object]) -> bool:
    words = _words(row)
    program = words[0].rpartition("/")[2] if words else ""
    return bool(
        _is_unknown(program, row)
        or _IN_A_NAME.search(_image(row))
        or _IN_A_NAME.search(program)
        or _has_its_variables(row)
        or _starts_etcd(words)
    )


def _is_unknown(program: str, row: Mapping[str, object]) -> bool:
    """Returns whether a program is named by a variable whose value the manifest does not say."""
    valued = {text_of(one.get("name")) for one in rows_of(row.get("env")) if text_of(one.get("value"))}
    return "$(" in program and not any(f"$({name})" in program for name in valued)


def _starts_etcd(words: list[str]) -> bool:
    """Returns whether words of a command have flags that only etcd has, or name its program."""
    return any(_ONLY_ETCDS.search(word) or _ITS_FILE.search(word) for word in words) or any(
        _names_etcd(word, before, words) for before, word in pairwise(["", *words])
    )


def _names_etcd(word: str, before: str, words: list[str]) -> bool:
    """Returns whether a word is etcd's program; in a text for a shell, whether it holds one. Elsewhere it may stand for
    anything: a unit that is watched, a namespace that is left out, the kind of a store (`--kvstore etcd`)."""
    is_value = before.startswith("-") and before.strip("-") != "" and "=" not in before
    text = "" if is_value and word.startswith("/") else _PATH_OF_FLAG.sub("", word)
    if _PROGRAM.fullmatch(text.rpartition("/")[2]):
        # Behind other flags it may be the program that a wrapper starts: `ionice --ignore etcd`.
        return not (is_value and _KIND_OF_STORE.search(before))
    is_shell = any(one.rpartition("/")[2] in _SHELLS for one in words)
    return is_shell and _AS_A_WORD.search(_SAID.sub("", text)) is not None
