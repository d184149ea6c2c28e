"""The manifest of a member that joins anew: that of the old member, with other rows of --initial-cluster. What an operator or a
patch has set stays set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from quorate.config.render import to_yaml
from quorate.errors import Refused
from quorate.foreign.documents import read_mapping
from quorate.foreign.values import mapping_of, rows_of, text_of, texts_of
from quorate.phases.base.this_node import HERE
from quorate.phases.node.etcd_manifest import parse
from quorate.phases.node.static_pods import staged_path

_ETCD = "etcd"
_WHO, _HOW, _ANEW = "initial-cluster", "initial-cluster-state", "force-new-cluster"
_WORDS = ("command", "args")


def with_rows(content: bytes, rows: Sequence[tuple[str, str]]) -> bytes:
    """Returns the manifest of a member that joins an existing cluster. `rows`: name and peer URL of each member, its own
    included. Raises `Refused` for a manifest that would not say so."""
    # Whether it can be understood at all.
    parse(content, staged_path(_ETCD))
    pod = read_mapping(content, staged_path(_ETCD))
    spec = mapping_of(pod.get("spec"))
    containers = rows_of(spec.get("containers"))
    etcd = _etcd_of(containers)
    made_of = [{**one, **_with_words(one, rows), **_with_variables(one)} if one is etcd else one for one in containers]
    made = to_yaml({**pod, "spec": {**spec, "containers": made_of}}).encode()
    if parse(made, staged_path(_ETCD)).rows != dict(rows):
        raise Refused(
            f"{staged_path(_ETCD)} cannot be made the manifest of a member that joins",
            state="nothing was started",
            advice=f"{HERE.command('reset', '--abandon-etcd-member')}, then 'quorate join', makes this node anew",
        )
    return made


def image_of(content: bytes) -> str:
    """Returns the image of its etcd; empty where it names none."""
    spec = mapping_of(read_mapping(content, staged_path(_ETCD)).get("spec"))
    return text_of(_etcd_of(rows_of(spec.get("containers"))).get("image"))


def _etcd_of(containers: Sequence[Mapping[str, object]]) -> Mapping[str, object]:
    return next((one for one in containers if one.get("name") == _ETCD), containers[0])


def _with_words(container: Mapping[str, object], rows: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """Returns the command and the arguments of a container, with these rows."""
    words = {kind: _without(texts_of(container.get(kind)), (_WHO, _HOW, _ANEW)) for kind in _WORDS if container.get(kind)}
    # The kubelet expands $(NAME), and a name is what somebody chose.
    named = ",".join(f"{name}={url}" for name, url in rows).replace("$", "$$")
    last = _WORDS[1] if _WORDS[1] in words else _WORDS[0]
    words[last] = [*words.get(last, ()), f"--{_WHO}={named}", f"--{_HOW}=existing"]
    return words


def _with_variables(container: Mapping[str, object]) -> dict[str, list[Mapping[str, object]]]:
    """Returns the variables of a container without those that say the same as the flags: etcd reads both."""
    if "env" not in container:
        return {}
    names = {f"ETCD_{flag.replace('-', '_').upper()}" for flag in (_WHO, _HOW, _ANEW)}
    return {"env": [one for one in rows_of(container.get("env")) if one.get("name") not in names]}


def _without(words: Sequence[str], names: Sequence[str]) -> list[str]:
    """Returns a command without these flags, in either spelling: `--name=value`, or `--name value`."""
    kept: list[str] = []
    is_value = False
    for word in words:
        name, has_value, _ = word.lstrip("-").partition("=")
        is_flag = word.startswith("-")
        if is_flag and name in names:
            is_value = not has_value
        elif is_flag or not is_value:
            kept.append(word)
            is_value = False
        else:
            is_value = False
    return kept
