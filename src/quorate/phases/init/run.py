"""A whole init: all phases in order, with a marker on the node, so that the same command resumes after a failure."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from quorate.phases.base.runner import run_all, timed
from quorate.phases.init.state import InitRun
from quorate.phases.init.steps import STEPS
from quorate.phases.init.tree import TREE
from quorate.phases.node import paths, run_marker
from quorate.phases.start import staged_start
from quorate.report import Notice


def carry_out(run: InitRun) -> None:
    """Re-raises the error of the phase that failed. An init is not rolled back: the same command resumes from its files."""
    skipped = frozenset(run.init.skip_phases)
    run = replace(run, waits="wait-control-plane" not in skipped)
    checks, rest = TREE[:1], TREE[1:]
    around = partial(timed, run.context.clock, run.context.report)
    was_resumed = run_marker.is_resumed(run.context, "init")
    run_all(checks, STEPS, run, skipped & {"preflight"}, around)
    if run.context.dry_run:
        run_all(rest, STEPS, run, skipped - {"preflight"}, around)
        return
    may_be_made = paths.may_be_made(run.context)
    mark = run_marker.begin(run.context, "init", may_be_made, checked_as_resumed=was_resumed)
    if mark.resumed:
        run.context.report(Notice("an earlier init of this node was cut off: resuming from its files"))
    run = replace(run, context=run_marker.noting(run.context, mark)[0])
    run_all(rest, STEPS, run, skipped - {"preflight"}, around)
    # Without phase wait-control-plane nothing else would start the manifests that an earlier run held back.
    staged_start.start(run.context)
    run_marker.finish(run.context)
