"""Whether a cluster without a quorum may be made anew from one survivor, and from which: pure, so that a dry run judges what
the run does, and a model can ask about every cluster of five.

Two clusters with writers are worse than none. A cluster is made anew only where no member of the old one can live elsewhere: in
every configuration that may be its own, as survivors have seen it, each member is held, or gone for good. Held is what this
tool has stopped, and renamed its data so that nothing starts on it; gone is what an operator attests, by name. A configuration
that was not committed counts: the cluster may have committed it later.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from quorate.core.ids import format_id
from quorate.core.quorum import quorum


@dataclass(frozen=True, slots=True)
class Survivor:
    """A data directory of a member of the old cluster, as a look at it shows, while no etcd serves it. `last`: term and index
    of its newest entry, by which survivors are compared; `revision`: the highest that it can have shown to a client;
    `problems`: why it cannot be read as a whole; `is_whole`: its log can be applied to its end; `is_here`: on this host, where
    a recovery works; `configurations`: the voters of each that it has seen; `learners`: those of them all."""

    name: str
    cluster_id: int
    member_id: int
    last: tuple[int, int]
    revision: int
    configurations: tuple[frozenset[int], ...]
    is_learner: bool = False
    is_corrupt: bool = False
    is_whole: bool = True
    is_here: bool = True
    learners: frozenset[int] = frozenset()
    problems: tuple[str, ...] = ()


State: TypeAlias = Literal["held", "lives", "answers", "unknown"]
"""`held`: its data is a survivor's, and nothing can start on it; `lives`: the same, and something takes connections at its
URLs all the same: it is a copy, or an old file; `answers`: something takes connections there, and its data is not held;
`unknown`: nothing is known of it."""


@dataclass(frozen=True, slots=True)
class Found:
    """All that is known. `states`: by member id; of who is not named nothing is known. `names`: for messages."""

    survivors: tuple[Survivor, ...]
    states: dict[int, State]
    names: dict[int, str]

    def name(self, member: int) -> str:
        return self.names.get(member) or format_id(member)


@dataclass(frozen=True, slots=True)
class RecoveryWish:
    """What an operator says. `gone`: the members whose machines are off, and whose disks never come back; `cluster_id`: of the
    cluster that is meant, 0 where it was not named; `accept_loss`: of what another survivor has, and this one has not."""

    gone: frozenset[int] = frozenset()
    cluster_id: int = 0
    accept_loss: bool = False


@dataclass(frozen=True, slots=True)
class RecoveryRefused:
    """The rule that forbids it, why, what to do."""

    rule: str
    why: str
    advice: str


@dataclass(frozen=True, slots=True)
class AskGone:
    """Each of these members has to be attested as gone, or held, before anything is done."""

    members: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Recover:
    """The survivor that has most. `seen`: the highest revision that anybody can have seen; `lost`: what it is known to lack."""

    survivor: Survivor
    seen: int
    lost: tuple[str, ...] = ()


RecoveryDecision: TypeAlias = RecoveryRefused | AskGone | Recover


def decide_recovery(found: Found, wish: RecoveryWish) -> RecoveryDecision:
    """Returns what may be done. The order of the rules is that of their weight: what forbids it comes before what is asked."""
    return next(_answers(found, wish))


def _answers(found: Found, wish: RecoveryWish) -> Iterator[RecoveryDecision]:
    yield from _of_one_cluster(found, wish)
    yield from _alive(found, wish)
    yield from _elsewhere(found, wish)
    usable = [one for one in found.survivors if not one.problems and not one.is_corrupt]
    if not usable:
        why = "; ".join(f"{one.name}: {_why_unusable(one)}" for one in found.survivors)
        yield RecoveryRefused("no-survivor", f"no survivor can be read: {why}", "restore a backup: quorate etcd restore")
        return
    best = max(usable, key=_rank)
    yield from _source(found, best, wish)


def _rank(one: Survivor) -> tuple[tuple[int, int], bool, bool]:
    """Raft elects only who has the newest log, by term and then index: it has every entry that was committed and that any
    survivor has. The commit index depends on who got the last heartbeat, the size of a file on nothing. Of equal ones the first
    that was named is used."""
    return one.last, not one.is_learner, one.is_here


def _why_unusable(one: Survivor) -> str:
    return "CORRUPT was raised" if one.is_corrupt else "; ".join(one.problems)


def _of_one_cluster(found: Found, wish: RecoveryWish) -> Iterator[RecoveryRefused]:
    ids = {one.cluster_id for one in found.survivors if one.cluster_id}
    if not found.survivors:
        yield RecoveryRefused("no-survivor", "no data of a member was given", "name a data directory of the old cluster")
    elif unread := [one for one in found.survivors if not one.cluster_id]:
        why = "; ".join(f"{one.name}: {_why_unusable(one)}" for one in unread)
        yield RecoveryRefused(
            "unreadable",
            f"it cannot be read of which cluster the data is: {why}",
            "a log in another directory (--wal-dir) has to be moved to its place, DIR/member/wal, first",
        )
    elif len(ids) != 1:
        said = ", ".join(f"{one.name} of {format_id(one.cluster_id)}" for one in found.survivors)
        yield RecoveryRefused("two-clusters", f"these are not of one cluster: {said}", "name survivors of one cluster")
    elif wish.cluster_id and wish.cluster_id not in ids:
        yield RecoveryRefused(
            "another-cluster",
            f"the survivors are of cluster {format_id(*ids)}, not of {format_id(wish.cluster_id)}",
            "look which cluster is meant: quorate etcd look DIR",
        )


def _alive(found: Found, wish: RecoveryWish) -> Iterator[RecoveryRefused]:
    if copies := sorted(found.name(member) for member, state in found.states.items() if state == "lives"):
        yield RecoveryRefused(
            "lives",
            f"the data of {', '.join(copies)} is said to be held, and something takes connections at its URLs",
            "stop its etcd, and hold the data that it runs on: what was given may be a copy, or an old file",
        )
    up = {member for member, state in found.states.items() if state == "answers"}
    if any(len(one & up) >= quorum(len(one)) for one in configurations(found)):
        yield RecoveryRefused(
            "not-lost",
            f"the cluster is not lost: {', '.join(sorted(map(found.name, up)))} answer, and are a quorum",
            "replace the members that are lost one by one: quorate etcd replace, or quorate etcd remove and add",
        )
    lives = sorted(up & wish.gone)
    if lives:
        yield RecoveryRefused(
            "lives",
            f"{', '.join(sorted(map(found.name, lives)))} was said to be gone for good, and answers",
            "leave out --gone for it; stop it, and hold its data on its host: quorate etcd fence DIR",
        )


def configurations(found: Found) -> list[frozenset[int]]:
    """Returns the voters of every configuration that a survivor has seen."""
    return list(dict.fromkeys(one for survivor in found.survivors for one in survivor.configurations if one))


def _elsewhere(found: Found, wish: RecoveryWish) -> Iterator[RecoveryRefused | AskGone]:
    """Yields what is asked or refused while a member may live elsewhere: each has to be held or gone. "Too few for a quorum" is
    not enough. A survivor that was cut off has not seen who came since: with one of three held and one gone, the third was a
    member of a healthy cluster of three others. And the log of a member that is neither may be newer; a learner's, too, and it
    may be a voter since."""
    known = configurations(found)
    if not known:
        yield RecoveryRefused(
            "unknown-members",
            "the survivors do not say who were members: a voter that nobody knows of may live elsewhere",
            "use another survivor, or restore a backup: quorate etcd restore",
        )
        return
    held = frozenset(member for member, state in found.states.items() if state == "held")
    others = frozenset().union(*known, *(one.learners for one in found.survivors)) - held - wish.gone
    up = others & {member for member, state in found.states.items() if state == "answers"}
    if up:
        yield RecoveryRefused(
            "running",
            f"the etcd of {', '.join(sorted(map(found.name, up)))} runs, and may find others",
            "stop it, and hold its data on its host: quorate etcd fence DIR; then pass the file that this writes with --fenced",
        )
    elif others:
        yield AskGone(tuple(sorted(others)))


def _source(found: Found, best: Survivor, wish: RecoveryWish) -> Iterator[RecoveryDecision]:
    lost = tuple(_known_loss(found.survivors, best))
    if not best.is_here:
        yield RecoveryRefused(
            "newer-elsewhere",
            f"{best.name} has the newest log (entry {best.last[1]} of term {best.last[0]}), and is on another host",
            "run the recovery there, with the files that quorate etcd fence has written here",
        )
    elif not best.is_whole:
        yield RecoveryRefused(
            "damaged-log",
            f"the log of {best.name} is damaged before its end: what is behind the damage cannot be applied",
            "keep it; name another survivor, or restore a backup: quorate etcd restore",
        )
    elif lost and not wish.accept_loss:
        yield RecoveryRefused(
            "known-loss", f"writes would be lost that another survivor has: {'; '.join(lost)}", "accept it with --accept-loss"
        )
    else:
        yield Recover(best, max(one.revision for one in found.survivors), lost)


def _known_loss(survivors: Sequence[Survivor], best: Survivor) -> Iterator[str]:
    """Yields what is known to be missing: a survivor that cannot be used may have more than the best of the others."""
    for one in survivors:
        if one.last > best.last:
            yield f"{one.name} has entry {one.last[1]} of term {one.last[0]}, and cannot be used: {_why_unusable(one)}"
