"""How many members a local cluster may have: judged before the first change, and again by the list that was read then."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from quorate.core.membership import ClusterView, in_order, size_advice
from quorate.core.quorum import margin
from quorate.errors import ConfigError, PreflightFailed, Refused, having_done
from quorate.etcd.client.errors import EtcdError
from quorate.local import state
from quorate.local.home import Home

_MOST_MEMBERS = 7


def check_size(home: Home, wanted: int) -> None:
    """Raises `ConfigError` for a number of members that a local cluster cannot have."""
    if wanted < 1:
        raise ConfigError(f"{wanted} members: a cluster has at least one")
    if wanted > _MOST_MEMBERS:
        raise _too_many(wanted, f"quorate local up --members {_MOST_MEMBERS} {home.layout.option}")


def check_room(home: Home, voters: int) -> None:
    """Raises `ConfigError` when a local cluster of that many voters cannot have one more."""
    if voters >= _MOST_MEMBERS:
        raise _too_many(voters + 1, f"{_leave(home, 'NAME', voters)}    # then run the same command again")


def _too_many(wanted: int, advice: str) -> ConfigError:
    return ConfigError(
        f"a local cluster has at most {_MOST_MEMBERS} members, not {wanted}: {size_advice(wanted)}",
        state="nothing was changed",
        advice=advice,
    )


def refuse_shrinking(home: Home, names: Sequence[str], wanted: int) -> None:
    """Raises `Refused` when there are more voters than `wanted`."""
    if len(names) > wanted:
        raise Refused(
            f"the cluster has {len(names)} members ({', '.join(names)}), more than the {wanted} asked for",
            state="nothing was changed: members are removed by name only, one at a time",
            advice=f"quorate local up --members {len(names)} {home.layout.option}    # or: {_leaves(home, names, wanted)}",
        )


def _leaves(home: Home, names: Sequence[str], wanted: int) -> str:
    """Returns the commands that bring the cluster from these voters to `wanted`. Only members of this directory can leave."""
    saved = state.load(home.layout.state)
    own = [name for name in names if saved is None or any(row.name == name for row in saved.members)]
    sizes = range(len(names), wanted, -1)
    return " && ".join(_leave(home, name, voters) for name, voters in zip(reversed(own or ["NAME"]), sizes, strict=False))


def _leave(home: Home, name: str, voters: int) -> str:
    """Returns the command by which one of so many voters leaves, with consent where fewer may fail afterwards."""
    lowers = margin(voters - 1, voters - 1) < margin(voters, voters)
    return f"quorate local leave {name}{' --accept-reduced-tolerance' if lowers else ''} {home.layout.option}"


def voters_of(view: ClusterView) -> list[str]:
    """Returns the names of the voters, in the order of the list."""
    return [member.name for member in in_order(view) if not member.is_learner]


def voters_before(home: Home) -> list[str]:
    """Returns the names of the voters before anything is started: as etcd lists them, or as the saved state has them while no
    quorum answers."""
    saved = state.load(home.layout.state)
    if saved is None or not saved.members:
        return []
    try:
        view = home.look()
    except (EtcdError, ConfigError):
        # A missing client certificate is created again at the start.
        view = None
    if view is not None and view.linearizable:
        return voters_of(view)
    settled = [row.name for row in saved.members if row.phase in ("first", "member")]
    return [name for name in settled if not home.daemon(name).ended_by_removal()]


@contextmanager
def having_started(names: Sequence[str]) -> Iterator[None]:
    """Lets a refusal in the block name what was started before it: it is no "nothing was changed" then."""
    try:
        yield
    except (ConfigError, Refused, PreflightFailed) as error:
        if not names:
            raise
        error.state = "no member was added or removed"
        raise having_done(error, f"started: {', '.join(names)}") from error
