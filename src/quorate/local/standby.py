"""A learner of a local cluster that is kept: the autopilot promotes it in the place of a voter that is lost."""

from __future__ import annotations

from dataclasses import replace

from quorate.core.outcome import Joined
from quorate.errors import Refused
from quorate.etcd.autopilot.standbys import mark
from quorate.local.cluster import check_new
from quorate.local.grow import add_standby, refuse_unfit
from quorate.local.home import Home
from quorate.local.size import having_started
from quorate.local.start import start_members, wait_for_quorum


def join_as_standby(home: Home, name: str, etcd: str | None = None, *, occupy_the_seat: bool = False) -> Joined:
    """Adds a standby. Where members allow one learner only it would keep every later join waiting: that needs
    `occupy_the_seat`. Running it again continues."""
    with home.locked("local join --standby"):
        saved = home.load()
        check_new(saved, name)
        if saved.max_learners == 1 and not occupy_the_seat:
            raise Refused(
                "the members of this cluster allow one learner, and a standby keeps that seat: no other member could join",
                state="nothing was changed",
                advice="give the seat to the standby with --occupy-the-seat",
            )
        started = start_members(home)
        wait_for_quorum(home)
        with having_started(started):
            refuse_unfit(home)
        result = add_standby(home, name, etcd)
        with home.access() as access:
            view = home.observe(access)
            mark(access, home.seeds(), home.clock, view, result.member_id)
        home.save(home.load().with_member(replace(home.load().member(name), phase="standby")))
        return result
