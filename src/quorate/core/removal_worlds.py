"""What the removal of a voter costs while it is not known which links are cut (decision 21)."""

from __future__ import annotations

from dataclasses import replace

from quorate.core.heirs import named_links, without
from quorate.core.links import pair
from quorate.core.membership import ClusterView, removal_margins
from quorate.core.quorum import fewer_may_fail


def lowers_somewhere(view: ClusterView, target: int, *, dead: bool, at_most: int | None) -> str | None:
    """Returns why the removal lowers the margin, in the view or in any world that the counters allow. One cut that may be here
    or there was counted before the removal and not after it: a live voter left without consent. `at_most`: the margin that a
    replacement began with, which counts where it is lower."""
    if view.links.doubtful:
        return "too many links between the voters are not known to work to tell what it would cost"
    worlds = [view, *(replace(view, links=replace(view.links, down=cut)) for cut in view.links.worlds)]
    for world in worlds:
        before, after = removal_margins(world, target, dead=dead)
        # A replacement alone is no consent to a lower margin: where it was, a NEW that was a voter already, and an operator who
        # removed another voter meanwhile, cost a cluster of three its tolerance.
        before = before if at_most is None else min(before, at_most)
        if after < before:
            unsure = f": {_unsure_links(view, target)}" if world is not view else ""
            return f"{fewer_may_fail(after, before)}{unsure}"
    return _lowers_if_alive(view, target)


def _lowers_if_alive(view: ClusterView, target: int) -> str | None:
    """Returns why the removal of a voter that is silent to us and to the leader lowers the margin if it lives: its heartbeats
    may stand in for those of a link between two others that is cut."""
    leader = view.leader
    if view.answer(target) is not None or leader is None:
        return None
    for cut in view.links.if_alive:
        world = replace(view, links=replace(view.links, down=cut | {pair(leader.id, target)}))
        before, after = removal_margins(world, target, dead=False)
        if after < before:
            return f"{fewer_may_fail(after, before)} if it lives, which nobody here can tell: stop its process for good first"
    return None


def _unsure_links(view: ClusterView, target: int) -> str:
    unknown = named_links(view, without(view, target), view.proven_link)
    return f"one of the links {unknown} does not work, or more"
