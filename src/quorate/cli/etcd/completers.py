"""What the names and ids of members complete to. One quick look, with the flags and variables of the command line."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import click

from quorate.cli.common.completion import Completer, is_plain, limited, matching

if TYPE_CHECKING:
    from quorate.cli.common.completion import Items
    from quorate.core.membership import Member

_SECONDS = 1.0


def _any(_member: Member) -> bool:
    return True


def _is_learner(member: Member) -> bool:
    return member.is_learner


def _is_voter(member: Member) -> bool:
    return not member.is_learner


def _names(ctx: click.Context, param: click.Parameter, incomplete: str, *, wanted: Callable[[Member], bool]) -> Items:
    """Completes names. A name that no shell could take as it is, or that two members have, is not offered; the id is."""
    if ctx.params.get("folder") is not None:
        from quorate.cli.local.completers import member_names

        return member_names(ctx, param, incomplete)
    listed = _members(ctx)
    names = [member.name for member in listed]
    known = {
        member.name if is_plain(member.name) and names.count(member.name) == 1 else f"{member.id:x}": _role(member)
        for member in listed
        if wanted(member)
    }
    return matching(known, incomplete)


def _ids(ctx: click.Context, _param: click.Parameter, incomplete: str, *, wanted: Callable[[Member], bool]) -> Items:
    """Completes ids, as etcdctl's spelling wants them."""
    return matching({f"{one.id:x}": f"{one.name} ({_role(one)})" for one in _members(ctx) if wanted(one)}, incomplete)


def _role(member: Member) -> str:
    return "learner" if member.is_learner else "voter"


def _members(ctx: click.Context) -> tuple[Member, ...]:
    """Returns the members as the first endpoint that answers lists them. Raises when none does."""
    from quorate.cli.etcd.connection import connected
    from quorate.deadline import SystemClock
    from quorate.etcd.client.anyone import ask_anyone
    from quorate.etcd.client.channel import Channel
    from quorate.etcd.observation.reads import MemberList, local_list

    def ask(channel: Channel, seconds: float) -> MemberList:
        return local_list(channel, timeout=seconds)

    with limited(_SECONDS), ctx.scope(cleanup=False), connected() as connection:
        seconds = min(connection.timeout, 0.9 * _SECONDS)
        return ask_anyone(connection.access, connection.endpoints, ask, SystemClock(), seconds=seconds).members


member_names: Completer = partial(_names, wanted=_any)
learner_names: Completer = partial(_names, wanted=_is_learner)
voter_names: Completer = partial(_names, wanted=_is_voter)
member_ids: Completer = partial(_ids, wanted=_any)
learner_ids: Completer = partial(_ids, wanted=_is_learner)
