"""The saved state of a local cluster: names, ports, programs. Only etcd says who is a member."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from quorate.core.join_memory import JoinMemory, as_fields, from_fields
from quorate.errors import ConfigError
from quorate.etcd.client.endpoint import Endpoint
from quorate.files import write_atomic
from quorate.foreign.documents import MOST_BYTES, BadDocument, read_object
from quorate.foreign.local_files import read_trusted
from quorate.foreign.text import to_paste
from quorate.host.ports import LOOPBACK
from quorate.local.layout import check_name

_FORMAT = 1
Phase: TypeAlias = Literal["first", "joining", "member", "leaving", "standby"]


@dataclass(frozen=True, slots=True)
class LocalMember:
    """One member. `phase`: `first` began the cluster; `joining` may still be undone; `member` is a voter; `leaving` is being
    removed; `standby` is a learner that is kept.

    `join` is the memory of an interrupted join, as `core.join_memory.as_fields` writes it, or None. `restarted` and
    `promotion_unknown` are what version 0.1 wrote instead.
    """

    name: str
    peer_port: int
    client_port: int
    etcd: str
    phase: Phase
    restarted: bool = False
    promotion_unknown: bool = False
    join: Mapping[str, object] | None = None

    @property
    def memory(self) -> JoinMemory:
        """Returns the memory of an interrupted join of this member."""
        if self.join is not None:
            return from_fields(self.join)
        return from_fields({"restarted": self.restarted, "promotion_unknown": self.promotion_unknown})

    def remembering(self, memory: JoinMemory) -> LocalMember:
        return replace(self, join=as_fields(memory), restarted=False, promotion_unknown=False)

    @property
    def peer_url(self) -> str:
        return f"https://{LOOPBACK}:{self.peer_port}"

    @property
    def client_url(self) -> str:
        return f"https://{LOOPBACK}:{self.client_port}"

    @property
    def client(self) -> Endpoint:
        return Endpoint(LOOPBACK, self.client_port, "on")


@dataclass(frozen=True, slots=True)
class State:
    """The saved state. `max_learners`: the limit that every member has; `cluster_id`: 0 until the first member answered."""

    token: str
    max_learners: int
    cluster_id: int = 0
    members: tuple[LocalMember, ...] = ()

    def member(self, name: str) -> LocalMember:
        """Returns the member of that name; raises `ConfigError` when there is none."""
        for member in self.members:
            if member.name == name:
                return member
        known = ", ".join(member.name for member in self.members) or "none"
        raise ConfigError(f"this cluster has no member {name!r}; it has: {known}")

    def with_member(self, member: LocalMember) -> State:
        """Returns the state with this member added, or changed in place."""
        names = [other.name for other in self.members]
        if member.name not in names:
            return replace(self, members=(*self.members, member))
        return replace(self, members=tuple(member if other.name == member.name else other for other in self.members))

    def without(self, name: str) -> State:
        return replace(self, members=tuple(member for member in self.members if member.name != name))

    def free_names(self) -> list[str]:
        """Returns names for further members, in order: m1, m2, … without those in use."""
        used = {member.name for member in self.members}
        return [name for number in range(1, len(used) + 100) if (name := f"m{number}") not in used]


def save(path: Path, state: State) -> None:
    text = json.dumps({"format": _FORMAT, **asdict(state)}, indent=2)
    write_atomic(path, text.encode() + b"\n", mode=0o600)


def load(path: Path) -> State | None:
    """Returns the saved state, None when there is none; raises `ConfigError` when the file is not one of ours."""
    try:
        stored = read_trusted(path, MOST_BYTES, what="the state of the cluster")
        if stored is None:
            return None
        content: dict[str, Any] = read_object(stored, str(path))
        if content.pop("format") != _FORMAT:
            raise ValueError("written by another version of quorate")
        rows = content.pop("members")
        _refuse_unknown(State, content)
        members = tuple(_member(row) for row in rows)
        saved = State(**content, members=members)
        if not isinstance(saved.token, str) or not all(_is_number(one) for one in (saved.max_learners, saved.cluster_id)):
            raise ValueError("its token or its numbers are invalid")
        twice = sorted(name for name, count in Counter(member.name for member in members).items() if count > 1)
        if twice:
            raise ValueError(f"it has several members of the name {twice[0]}")
        return saved
    except (BadDocument, ValueError, KeyError, TypeError, AttributeError) as error:
        processes = to_paste("pgrep", "-f", "--", f"--data-dir={path.parent}/members/")
        raise ConfigError(
            f"{path} is not the state of a local cluster ({error})",
            advice=f"restore a good copy or choose another --dir; to find members that still run: {processes}",
        ) from None


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**64


def _refuse_unknown(kind: type[State | LocalMember], stored: Mapping[str, object]) -> None:
    """Raises ValueError for a key that this version does not write: what it means is not known, and a save would drop it."""
    unknown = sorted(stored.keys() - {field.name for field in fields(kind)})
    if unknown:
        raise ValueError(f"a newer version wrote it, or it was edited: the key {unknown[0]!r} is unknown")


def _member(stored: Mapping[str, Any]) -> LocalMember:
    """Returns the member; raises ValueError for a field that no version of ours could have written."""
    _refuse_unknown(LocalMember, stored)
    member = LocalMember(**stored)
    if not all(isinstance(port, int) and 0 < port < 65536 for port in (member.peer_port, member.client_port)):
        raise ValueError(f"the ports of {member.name} are invalid")
    if member.phase not in get_args(Phase) or not isinstance(member.etcd, str):
        raise ValueError(f"the phase or the program of {member.name} is invalid")
    if member.join is not None and not isinstance(member.join, dict):
        raise ValueError(f"the join of {member.name} is not a mapping")
    check_name(member.name)
    return member
