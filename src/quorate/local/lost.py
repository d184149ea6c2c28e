"""What to do where members are missing: whether the data that is left can make a quorum, and which commands help."""

from __future__ import annotations

from collections.abc import Sequence

from quorate.core.membership import ClusterView
from quorate.core.quorum import quorum
from quorate.errors import HostError, QuorateError
from quorate.etcd.client.errors import EtcdError
from quorate.local.home import Home
from quorate.local.rows import listed_row
from quorate.local.runtime import is_paused

_VOTING = ("first", "member", "leaving")


def without_data(home: Home, names: Sequence[str]) -> HostError:
    """Returns the error for members that are not started because their data is gone. Its advice keeps the size: after `leave`
    alone the cluster is smaller, and `up` keeps it so."""
    view, where = _view(home), home.layout.option
    lost = lost_majority(home, view)
    if lost is not None:
        return lost
    size = len(view.voters) if view is not None and view.linearizable else len(_saved_voters(home))
    leaves = " && ".join(f"quorate local leave {name} {where}" for name in names)
    where_to = home.layout.member(names[0]).data if len(names) == 1 else home.layout.members
    return HostError(
        f"{' and '.join(names)} {'has' if len(names) == 1 else 'have'} no data in {where_to}",
        state="it was not started: an empty member that votes could lose acknowledged writes",
        advice=f"{leaves} && quorate local up --members {size} {where}",
    )


def lost_majority(home: Home, view: ClusterView | None) -> HostError | None:
    """Returns the error for a cluster that has too little data left for a quorum, or None. Every verb needs the quorum, and
    each sent the user to another one. `view`: the look of now, None when no member answers."""
    if view is not None and view.linearizable:
        return None
    voters, elsewhere, own = _voters(home, view)
    kept = [name for name in own if home.layout.member(name).has_data]
    if len(kept) + elsewhere >= quorum(voters):
        return None
    gone = ", ".join(name for name in own if name not in kept)
    where = home.layout.option
    if not kept:
        return HostError(
            f"the data of {gone} is gone: no voter has any data left",
            state="no command can bring this cluster back",
            advice=f"quorate local down --purge {where}    # clears the directory for a new cluster",
        )
    return HostError(
        f"the data of {gone} is gone: of {voters} voters only {', '.join(kept)} {'has' if len(kept) == 1 else 'have'} data, "
        f"fewer than the quorum of {quorum(voters)}",
        state=f"it accepts no writes any more; the data of {', '.join(kept)} remains in {home.layout.members}",
        advice=f"quorate local recover {where}    # one voter with all that is left; or, to begin anew without it: "
        f"quorate local down --purge {where}",
    )


def explained(home: Home, error: QuorateError) -> QuorateError:
    """Returns the error of a verb; where no quorum answers, with what helps in this directory."""
    view = _view(home)
    if view is not None and view.linearizable:
        return error
    lost = lost_majority(home, view)
    if lost is not None:
        lost.outcomes = error.outcomes
        return lost
    error.advice = starting_advice(home)
    return error


def if_lost(home: Home, error: EtcdError) -> QuorateError:
    """Returns the error of a verb for which no member answered, or no quorum did: where too little data is left for one, no
    start helps, and that is what is said."""
    # By the files first: a look at members that cannot elect a leader takes seconds.
    lost = lost_majority(home, None)
    lost = lost_majority(home, _view(home)) if lost is not None else None
    if lost is None:
        return error
    lost.outcomes = error.outcomes
    return lost


def starting_advice(home: Home) -> str:
    """Returns the command that brings back the members which do not run, with their names."""
    where = home.layout.option
    voters = _saved_voters(home)
    paused = [name for name in voters if is_paused(home.daemon(name))]
    if paused:
        return " && ".join(f"quorate local resume {name} {where}" for name in paused)
    down = [name for name in voters if name not in home.running()]
    if not down:
        return f"quorate local status {where}    # every member runs: wait for an election, or look at what it shows"
    return f"quorate local up {where}    # starts {', '.join(down)}; then run the same command again"


def _voters(home: Home, view: ClusterView | None) -> tuple[int, int, list[str]]:
    """Returns the number of voters, how many of them are of other directories, and the names of those of this one: by the list,
    even if it is one member's own copy; by the saved state where there is none."""
    if view is None:
        own = _saved_voters(home)
        return len(own), 0, own
    rows = [(row.name, listed_row(home, view, row)) for row in home.load().members]
    own = [name for name, found in rows if found is not None and not found.is_learner]
    return len(view.voters), len(view.voters) - len(own), own


def _saved_voters(home: Home) -> list[str]:
    members = [row.name for row in home.load().members if row.phase in _VOTING]
    return [name for name in members if not home.daemon(name).ended_by_removal()]


def _view(home: Home) -> ClusterView | None:
    if not home.running():
        return None
    try:
        return home.look()
    except EtcdError:
        return None
