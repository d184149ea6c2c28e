"""A whole init: all phases in order, with a mark on the node, so that the same command goes on after a failure."""

from __future__ import annotations

from quorate.phases import marker, undo_join
from quorate.phases.init import TREE
from quorate.phases.init_steps import InitRun
from quorate.phases.runner import run_all
from quorate.report import Notice


def carry_out(run: InitRun) -> None:
    """Raises what the phase raised that failed. Nothing is taken back: what is there is gone on from."""
    skipped = frozenset(run.init.skip_phases)
    checks, rest = TREE[:1], TREE[1:]
    run_all(checks, run, skipped & {"preflight"})
    if run.dry_run:
        run_all(rest, run, skipped - {"preflight"})
        return
    mark = marker.begin(run.context, "init", undo_join.may_be_made(run.context))
    if mark.resumed:
        run.context.report(Notice("an init of this node was cut off here: going on from what is there"))
    run_all(rest, run, skipped - {"preflight"})
    marker.finish(run.context)
