"""The commands of etcdctl and etcdutl that quorate leaves to them: who types one here is given the command to run instead."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence

from quorate.cli.common.go_flags import SWITCHES
from quorate.cli.common.hints import of_name
from quorate.errors import UsageProblem
from quorate.foreign.text import to_paste

_ETCDCTL, _ETCDUTL = "etcdctl", "etcdutl"
_NAMES = {
    **dict.fromkeys(("alarm", "auth", "check", "compaction", "defrag", "del", "downgrade", "elect", "endpoint"), _ETCDCTL),
    **dict.fromkeys(("get", "lease", "lock", "make-mirror", "put", "role", "snapshot", "txn", "user", "version"), _ETCDCTL),
    **dict.fromkeys(("hashkv", "migrate"), _ETCDUTL),
    "member": _ETCDCTL,
}
"""The program that has the command. A test compares the names with both programs' own lists."""

_OTHER_NAMES = {
    "cluster-health": ("endpoint", "health"),
    "compact": ("compaction",),
    "ls": ("get", "--prefix", "--keys-only"),
    "rm": ("del",),
    "set": ("put",),
}
"""Names of etcd's old API, and others that are typed for a command."""

_ON_FILES = (("snapshot", "restore"), ("snapshot", "status"))
"""Commands on a file that ask no member. etcdutl has them since 3.5, and etcdctl no longer since 3.6."""

OURS = {
    ("endpoint", "health"): "quorate etcd health",
    ("endpoint", "status"): "quorate etcd status",
    ("endpoint", "hashkv"): "quorate etcd status --hash",
    ("alarm", "list"): "quorate etcd status",
    ("snapshot", "save"): "quorate etcd snapshot save",
    ("snapshot", "status"): "quorate etcd snapshot status",
    ("snapshot", "restore"): "quorate etcd snapshot restore",
    ("version",): "quorate version",
    ("rm",): "quorate etcd remove",
    ("ls",): "quorate etcd members",
}
"""Commands of ours that show the same, or that may have been meant."""

_MEANT = {"rm": "to remove a member", "ls": "to see the members", "snapshot": "with what it does not check"}
"""What may have been meant by a name that is also used for keys."""

_NAMES_OF_OBJECTS = "all cm configmaps cs deploy events lease leases nodes node no ns pods pod po pv pvc secrets svc"
_OBJECTS = frozenset(_NAMES_OF_OBJECTS.split(" "))
"""What people ask kubectl for on a control-plane node; etcd's own keys begin with a slash there."""

_KUBECTL_ALONE = (
    "annotate apply cluster-info cordon create describe drain edit exec expose label patch rollout scale taint top uncordon"
)
_KUBECTL = frozenset(_KUBECTL_ALONE.split(" "))
"""Commands that only kubectl has."""

_SECRETS = ("pass", "pwd", "secret", "token", "certificate-key")
"""Parts of the names of flags that have a secret as their value."""

_ALONE = ("interactive", "no-password")
"""Switches of etcdctl's `user` that name a password and have no value."""

_USER = {"user": "user", "username": "user", "dest-user": "dest-user"}
"""Flags whose value may be NAME:PASSWORD, with etcdctl's names of today."""


def instead_of(
    words: Sequence[str], flags: Sequence[str] = (), before: str = "", ours: Mapping[tuple[str, ...], str] = OURS
) -> UsageProblem | None:
    """Returns the error with the command to run instead of `words`; None when no other program has such a command.

    `flags`: of etcdctl, which were given before the words. `before`: shell text that sets what etcdctl needs. `ours`: the
    commands that show the same here.
    """
    words = tuple(words)
    meant = (*_OTHER_NAMES.get(words[0], words[:1]), *words[1:]) if words else ()
    if words[:1] == ("ls",) and all(word.startswith("-") for word in words[1:]):
        # All keys: `get` wants a key, if only the empty one.
        meant = (*meant, "")
    program = _program_of(meant)
    if program is None:
        return None
    is_member = meant[0] == "member"
    command = to_paste(program, *without_secrets(meant), *(without_secrets(flags) if program == _ETCDCTL else ()))
    same = ours.get(words[:1]) or ours.get(meant[:2]) or ours.get(meant[:1])
    why = _MEANT.get(words[0], "our own view")
    today = _OTHER_NAMES.get(words[0])
    theirs = f"{program} calls it '{' '.join(today)}'" if today else f"{program} has it"
    return UsageProblem(
        f"quorate has no command '{' '.join(words[: 2 if is_member else 1])}': {theirs}",
        state="nothing was changed",
        advice=f"{_unset(meant, flags) if program == _ETCDCTL else ''}{before if program == _ETCDCTL else ''}{command}"
        + (f"    # or {why}: {same}" if same else ""),
    )


def _unset(words: Sequence[str], flags: Sequence[str]) -> str:
    """Returns shell text that takes away the variables of the flags: etcdctl refuses to start with both."""
    named = (word.lstrip("-").partition("=")[0] for word in (*words, *flags) if word.startswith("-"))
    variables = [name for one in dict.fromkeys(named) if (name := f"ETCDCTL_{one.upper().replace('-', '_')}") in os.environ]
    return "".join(["env ", *(f"-u {name} " for name in variables)]) if variables else ""


_OPTIONS_OF_OURS = ("--interval", "--count", "-o", "--output")


def watched_keys(words: Sequence[str], flags: Sequence[str], before: str) -> UsageProblem:
    """Returns the answer to words of etcdctl's `watch`, which is about keys; ours is about members. `flags`, `before`: as of
    `instead_of`."""
    theirs = list(words)
    for option in _OPTIONS_OF_OURS:
        theirs, _ = without_option(theirs, option)
    command = to_paste("etcdctl", "watch", *without_secrets(theirs), *without_secrets(flags))
    return UsageProblem(
        "'quorate etcd watch' watches the members, and takes no key: etcdctl watches keys",
        state="nothing was changed",
        advice=f"{before}{command}    # or to watch the members: quorate etcd watch",
    )


def _program_of(words: tuple[str, ...]) -> str | None:
    if not words or (words[0] == "member" and words[1:2] != ("update",)):
        # All other commands of etcdctl's `member` are at `quorate etcd member`.
        return None
    on_stopped_member = words[0] == "defrag" and any(word.partition("=")[0] == "--data-dir" for word in words)
    return _ETCDUTL if words[:2] in _ON_FILES or on_stopped_member else _NAMES.get(words[0])


def below_etcd(words: Sequence[str]) -> UsageProblem | None:
    """Returns the answer at the top of the tree, where etcdctl's `member` is a command of `quorate etcd`."""
    words = tuple(words)
    if {*words[:1]} & _KUBECTL or ({*words[:1]} & {"get", "delete"} and {*words[1:2]} & _OBJECTS):
        problem = f"quorate has no command '{words[0]}': kubectl has it, for the objects of a cluster"
        return UsageProblem(problem, state="nothing was changed", advice=to_paste("kubectl", *without_secrets(words)))
    plural = words[:1] == ("members",) and bool(words[1:]) and not words[1].startswith("-")
    if words and (words[0] == "member" or plural) and tuple(words[1:2]) != ("update",):
        command = to_paste("quorate", "etcd", "member", *map(of_name, words[1:2]), *without_secrets(words[2:]))
        return UsageProblem("the command 'member' is in the group 'etcd'", state="nothing was changed", advice=command)
    return instead_of(words)


def of_program(words: Sequence[str]) -> UsageProblem | None:
    """Returns the answer to the name of another program in front of a command; None when there is none."""
    program, *rest = words
    match program:
        case "kubectl":
            command = to_paste(program, *without_secrets(rest))
            return UsageProblem("kubectl is a program of its own", state="nothing was changed", advice=command)
        case "etcdctl" | "etcdutl":
            # Not through `below_etcd`: kubectl's commands are not meant here.
            if program == "etcdctl" and rest[:1] == ["watch"] and rest[1:]:
                return watched_keys(rest[1:], (), "")
            found, group = (None if rest[:1] == ["member"] and rest[1:2] != ["update"] else instead_of(rest)), ["etcd"]
        case "kubeadm" | "quorate":
            found, group = (once_in_kubeadm(rest) if rest else None), []
        case _:
            return None
    if found is not None:
        return found
    command = to_paste("quorate", *group, *(without_secrets(rest) or ["--help"]))
    return UsageProblem(f"leave out '{program}': quorate has this command itself", state="nothing was changed", advice=command)


def without_secrets(words: Sequence[str]) -> list[str]:
    """Returns the words without passwords: etcdctl asks for one, or reads ETCDCTL_PASSWORD. Switches are as Go spells them."""
    kept: list[str] = []
    left = iter(words)
    for word in left:
        kept += _kept(word, left)
    if "user" in kept:
        # NAME:PASSWORD of `user add`, wherever the flags stand. No other word of its commands holds a colon.
        begins = kept.index("user") + 1
        kept[begins:] = [word if word.startswith("-") else word.partition(":")[0] for word in kept[begins:]]
    return kept


def _kept(word: str, left: Iterator[str]) -> list[str]:
    """Returns what is kept of a word and, for a flag whose value is the next word, of that word."""
    flag, equals, value = word.partition("=")
    name = flag.lstrip("-")
    if not word.startswith("-") or not name:
        return [word]
    if name.startswith("no-") and name.removeprefix("no-") in SWITCHES:
        return [f"--{name.removeprefix('no-')}=false"]
    if word.startswith("-u") and name not in _USER:
        # The old API's -u NAME:PASSWORD, also in one word.
        name, value = "user", word[2:].removeprefix("=")
        equals = value
    is_secret = any(part in name for part in _SECRETS) and name not in _ALONE
    if name not in (*_USER, "endpoints") and not is_secret:
        return [word]
    value = value if equals else next(left, "")
    return [] if is_secret else [f"--{_USER.get(name, name)}={_without_password(name, value)}"]


def _without_password(name: str, value: str) -> str:
    if name != "endpoints":
        return value.partition(":")[0]
    schemes = [one.rpartition("://") for one in value.split(",")]
    return ",".join(f"{scheme}{mark}{rest.rpartition('@')[2]}" for scheme, mark, rest in schemes)


def once_in_kubeadm(words: Sequence[str]) -> UsageProblem | None:
    """Returns the answer to `alpha certs …` and `alpha kubeconfig …`, which kubeadm moved up in 1.20, and to `config view`,
    which it has no more."""
    if tuple(words[:2]) == ("config", "view"):
        stored = "kubectl get cm -n kube-system kubeadm-config -o yaml"
        return UsageProblem(
            "kubeadm has no 'config view' any more: the configuration of a cluster is an object in it",
            state="nothing was changed",
            advice=f"{stored}    # or for kubeconfig files: kubectl config view",
        )
    if words[0] != "alpha" or not {"certs", "kubeconfig"} & set(words[1:2]):
        return None
    problem = f"'alpha {words[1]}' is now called '{words[1]}', here and in kubeadm"
    return UsageProblem(problem, state="nothing was changed", advice=to_paste("quorate", *without_secrets(words[1:])))


def without_option(words: Sequence[str], flag: str) -> tuple[list[str], str]:
    """Returns the words without an option of ours, and its value; empty when it is not there."""
    kept, value = list[str](), ""
    left = iter(words)
    for word in left:
        if word == flag:
            value = next(left, "")
        elif word.startswith(f"{flag}="):
            value = word.removeprefix(f"{flag}=")
        else:
            kept.append(word)
    return kept, value
