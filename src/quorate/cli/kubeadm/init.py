"""`quorate init` and its phases."""

from __future__ import annotations

import secrets
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from quorate.cli.common.output import output_option
from quorate.cli.common.signals import cancelling
from quorate.cli.kubeadm import render, setup
from quorate.cli.kubeadm.flags import Given, with_flags
from quorate.cli.kubeadm.phase_commands import PROXIES, phase_group, phased_group
from quorate.deadline import Cancel, SystemClock
from quorate.phases.base.runner import check_skipped, run_one, timed
from quorate.phases.init.tree import TREE
from quorate.secret import Secret

if TYPE_CHECKING:
    from quorate.phases.init.state import InitRun
    from quorate.report import PhaseReport

_FLAGS = (
    "apiserver-advertise-address",
    "apiserver-bind-port",
    "apiserver-cert-extra-sans",
    "cert-dir",
    "certificate-key",
    "config",
    "control-plane-endpoint",
    "cri-socket",
    "dry-run",
    "feature-gates",
    "ignore-preflight-errors",
    "image-repository",
    "kubernetes-version",
    "node-name",
    "patches",
    "pod-network-cidr",
    "service-cidr",
    "service-dns-domain",
    "skip-certificate-key-print",
    "skip-phases",
    "skip-token-print",
    "token",
    "token-ttl",
    "upload-certs",
)


@phased_group("init", TREE, variables=PROXIES, invoke_without_command=True)
@with_flags(_FLAGS)
@output_option("text", "json")
@click.pass_context
def group(ctx: click.Context, /, **parameters: Any) -> None:
    """Make this host the first node of a control plane.

    \b
    Examples:
      quorate init --config kubeadm-config.yaml
      quorate init --control-plane-endpoint lb.example.org:6443 --upload-certs
      quorate init --dry-run
    """
    if ctx.invoked_subcommand is not None:
        return
    from quorate.phases.init.run import carry_out

    given = Given.of(parameters)
    report = render.printer(given)
    cancel = Cancel()
    with cancelling(cancel), setup.changing_node(given, "init", report, cancel):
        run = make_run(given, report, SystemClock(cancel), setup.the_runtime)
        check_skipped(TREE, run.init.skip_phases)
        carry_out(run)
    finish(run, report)


def make_run(given: Given, report: PhaseReport, clock: SystemClock, runtime: setup.RuntimeChoice) -> InitRun:
    """Returns the run from the file and the flags, completed and checked. Raises `ConfigError`."""
    from quorate.phases.init.state import InitRun

    made = setup.setup_to_start(given, report, runtime)
    setup.warn_of_unknown_checks(made.init.node_registration.ignore_preflight_errors, report)
    context = setup.init_context(made, given, setup.tree_for(given, report), report, clock)
    return InitRun(
        context,
        made.init,
        kubeconfig=setup.kubeconfig_of(given, f"{context.config_folder}/admin.conf"),
        upload_certs=given.on("upload-certs"),
        certificate_key=Secret(made.init.certificate_key or secrets.token_hex(32)),
        print_manifest=given.on("print-manifest"),
        skip_token_print=given.on("skip-token-print") or context.dry_run,
        skip_certificate_key_print=given.on("skip-certificate-key-print") or context.dry_run,
    )


_WITH_A_RUNTIME = ("preflight", "kubelet-start", "upload-config", "wait-control-plane")
"""Phases that ask the container runtime, or write its socket for a kubelet."""


def run_phase(path: str, given: Given, _endpoint: str) -> None:
    """Runs one phase, for the command of that phase."""
    from quorate.phases.init.steps import STEPS

    report = render.printer(given)
    cancel = Cancel()
    with cancelling(cancel), setup.changing_node(given, f"init phase {path}", report, cancel):
        runtime = setup.the_runtime if path.partition("/")[0] in _WITH_A_RUNTIME else setup.usual_runtime
        run = make_run(given, report, SystemClock(cancel), runtime)
        run_one(TREE, STEPS, path, run, partial(timed, run.context.clock, report))
    finish(run, report)


def finish(run: InitRun, report: render.Printer) -> None:
    """Prints what was made, or would be made in a dry run, and what to do next."""
    render.finish(report, run.findings, run.context.tree, dry_run=run.context.dry_run, closing="\n".join(run.shown))


group.add_command(phase_group("init", TREE, run_phase))
