"""`quorate reset` and its phases."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from quorate.cli.common.output import echo, output_option
from quorate.cli.common.signals import asking, cancelling
from quorate.cli.kubeadm import overlay, render, setup
from quorate.cli.kubeadm.flags import Given, with_flags
from quorate.cli.kubeadm.phase_commands import phase_group, phased_group
from quorate.config import types as v4
from quorate.deadline import Cancel, SystemClock
from quorate.phases.base.runner import run_all, run_one, timed
from quorate.phases.reset.tree import TREE
from quorate.report import silent

if TYPE_CHECKING:
    from quorate.phases.reset.state import ResetRun

_FLAGS = (
    "abandon-etcd-member",
    "cert-dir",
    "cleanup-tmp-dir",
    "config",
    "cri-socket",
    "dry-run",
    "force",
    "ignore-preflight-errors",
    "kubeconfig",
    "skip-phases",
)


@phased_group("reset", TREE, invoke_without_command=True)
@with_flags(_FLAGS)
@output_option("text", "json")
@click.pass_context
def group(ctx: click.Context, /, **parameters: Any) -> None:
    """Roll back what init or join made on this host.

    \b
    Examples:
      quorate reset
      quorate reset --dry-run
    """
    if ctx.invoked_subcommand is None:
        _carry_out(Given.of(parameters), _all_phases, _CLOSING)


_CLOSING = """
Not touched: the CNI configuration in /etc/cni/net.d, rules of iptables, nftables and IPVS, kubeconfig files of users.
The Node object stays as well; delete it with: kubectl delete node NAME"""


def _all_phases(run: ResetRun) -> None:
    from quorate.phases.reset.steps import STEPS

    run_all(TREE, STEPS, run, run.reset.skip_phases, partial(timed, run.clock, run.report))


def _carry_out(given: Given, steps: Callable[[ResetRun], None], closing: str = "") -> None:
    report = render.printer(given)
    cancel = Cancel()
    with cancelling(cancel), setup.changing_node(given, "reset", report, cancel):
        run = make_run(given, report, SystemClock(cancel))
        steps(run)
    render.finish(report, (), run.tree, dry_run=run.dry_run, closing="" if run.dry_run else closing)


def _ask(question: str) -> bool:
    try:
        with asking():
            return click.confirm(question, default=False, err=True)
    except click.Abort as error:
        if not isinstance(error.__context__, EOFError):
            raise
        # Nobody is there to answer, as in a script: that is no interruption, and a no. The question has no line break.
        echo(err=True)
        return False


def make_run(given: Given, report: render.Printer, clock: SystemClock) -> ResetRun:
    """Returns the run from the file and the flags, completed and checked. Raises `ConfigError`."""
    from msgspec.structs import replace

    from quorate.config.resolve import resolve_reset
    from quorate.host.kubelet import Kubelet
    from quorate.phases.reset.state import ResetRun

    loaded = setup.read_config(given)
    reset = loaded.reset or (None if given.text("config") else v4.ResetConfiguration())
    if reset is not None:
        loaded = replace(loaded, reset=overlay.overlay_reset(reset, given))
    # What is reported of the facts is that no version is known, and a reset needs none.
    resolved = resolve_reset(loaded, setup.facts_for(loaded, setup.root_of(given), silent))
    setup.warn_of_unknown_checks(resolved.ignore_preflight_errors, report)
    return ResetRun(
        resolved,
        setup.tree_for(given, report),
        clock,
        report,
        _ask,
        kubelet=Kubelet.of(setup.root_of(given)),
        kubeconfig=setup.kubeconfig_of(given, "/etc/kubernetes/admin.conf"),
        abandon=given.on("abandon-etcd-member"),
        dry_run=given.on("dry-run"),
        this_node=setup.this_node(given),
    )


def run_phase(path: str, given: Given, _endpoint: str) -> None:
    """Runs one phase, for the command of that phase."""
    from quorate.phases.reset.steps import STEPS

    _carry_out(given, lambda run: run_one(TREE, STEPS, path, run, partial(timed, run.clock, run.report)))


group.add_command(phase_group("reset", TREE, run_phase))
