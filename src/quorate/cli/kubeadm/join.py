"""`quorate join` and its phases."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import click

from quorate.cli.common.output import output_option
from quorate.cli.common.signals import cancelling
from quorate.cli.kubeadm import overlay, render, setup
from quorate.cli.kubeadm.flags import Given, with_flags
from quorate.cli.kubeadm.phase_commands import PROXIES, PhasedGroup, phase_group, phased_group
from quorate.config import types as v4
from quorate.deadline import Cancel, SystemClock
from quorate.errors import Refused, UsageProblem
from quorate.phases.join.tree import TREE

if TYPE_CHECKING:
    from quorate.phases.join.request import JoinAccount, JoinRequest, Mode
    from quorate.report import PhaseReport

_FLAGS = (
    "apiserver-advertise-address",
    "apiserver-bind-port",
    "certificate-key",
    "config",
    "control-plane",
    "cri-socket",
    "discovery-file",
    "discovery-token",
    "discovery-token-ca-cert-hash",
    "discovery-token-unsafe-skip-ca-verification",
    "dry-run",
    "ignore-preflight-errors",
    "keep-on-failure",
    "node-name",
    "occupy-the-seat",
    "patches",
    "skip-phases",
    "standby",
    "tls-bootstrap-token",
    "token",
)


_ENDPOINT = "endpoint"


class JoinGroup(PhasedGroup):
    """A group for `join HOST:PORT …` and `join phase …`: a first word that is no command is the endpoint. Flags may stand on
    both sides of it."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands:
            return _ENDPOINT, self.commands[_ENDPOINT], args
        return super().resolve_command(ctx, args)


class _WithEndpoint(click.Context):
    """The run of `join HOST:PORT …`. The command behind it has a name that nobody types: 'join endpoint --help' would take that
    name for the endpoint."""

    @property
    def command_path(self) -> str:
        return self.parent.command_path if self.parent is not None else super().command_path


@phased_group(
    "join",
    TREE,
    cls=JoinGroup,
    variables=PROXIES,
    short_help="Join this host to a cluster, as a worker or a control-plane node.",
    invoke_without_command=True,
    subcommand_metavar="[HOST:PORT] | phase NAME",
)
@with_flags(_FLAGS)
@output_option("text", "json")
@click.pass_context
def group(ctx: click.Context, /, **parameters: Any) -> None:
    """Join this host to a cluster, as a worker or, with --control-plane, as a control-plane node.

    \b
    Examples:
      quorate join lb.example.org:6443 --token TOKEN --discovery-token-ca-cert-hash sha256:HASH
      quorate join lb.example.org:6443 --token TOKEN --discovery-token-ca-cert-hash sha256:HASH --control-plane
      quorate join --config join.yaml
      quorate join --config join.yaml --control-plane --standby --occupy-the-seat
    """
    if ctx.invoked_subcommand is None:
        _join(Given.of(parameters), "")


@group.command(_ENDPOINT, hidden=True)
@click.argument("endpoint", metavar="HOST:PORT")
@with_flags(_FLAGS)
@output_option("text", "json")
@click.pass_context
def _at_endpoint(ctx: click.Context, /, endpoint: str, **parameters: Any) -> None:
    """Join the cluster at an endpoint.

    \b
    Example:
      quorate join lb.example.org:6443 --token TOKEN
    """
    before = ctx.parent.params if ctx.parent else {}
    _join(Given({**Given.of(before).values, **Given.of(parameters).values}), endpoint)


_at_endpoint.context_class = _WithEndpoint


def _join(given: Given, endpoint: str) -> None:
    """Runs the whole join: its phases, the rollback when one fails, and the closing text."""
    from quorate.phases.join.run import carry_out

    report = render.printer(given)
    cancel = Cancel()
    with cancelling(cancel), setup.changing_node(given, "join", report, cancel):
        request = make_request(given, endpoint, report, SystemClock(cancel))
        mode: Mode = "without-etcd" if "etcd-join" in request.config.skip_phases else "whole"
        request = replace(request, mode=mode)
        account = carry_out(request)
    finish(request, account, report)


def make_request(given: Given, endpoint: str, report: PhaseReport, clock: SystemClock) -> JoinRequest:
    """Returns the request from the file, the flags and the facts of this host, checked. Raises `ConfigError`."""
    from msgspec.structs import replace as with_changes

    from quorate.config.resolve import resolve_join
    from quorate.phases.join.request import JoinRequest
    from quorate.report import Notice

    _refuse_nothing(given, endpoint)
    loaded = setup.read_config(given)
    join = loaded.join or (None if given.text("config") else v4.JoinConfiguration())
    if join is not None:
        loaded = with_changes(loaded, join=overlay.overlay_join(join, given, endpoint))
    facts = setup.facts_for(loaded, setup.root_of(given), report)
    if not given.text("config") and _has_admin(given):
        # When the phases of a control plane are run one by one, admin.conf takes the place of discovery.
        loaded = with_changes(loaded, join=overlay.without_discovery(loaded.join, facts.token))
    resolved, notes = resolve_join(loaded, facts)
    for note in notes:
        report(Notice(note, "warning"))
    setup.warn_of_unknown_checks(resolved.node_registration.ignore_preflight_errors, report)
    return JoinRequest(
        setup.join_context(resolved, facts, given, report, clock),
        resolved,
        facts,
        keep_on_failure=given.on("keep-on-failure"),
        ends_as=_end_of(given, resolved),
    )


def _end_of(given: Given, join: v4.JoinConfiguration) -> Literal["voter", "standby"]:
    """Returns what this node's etcd is to be. Raises `UsageProblem` where there is none, and `Refused` where a standby would
    keep the only learner seat without consent, as kubeadm's etcd allows one."""
    if not given.on("standby"):
        if given.on("occupy-the-seat"):
            raise UsageProblem("--occupy-the-seat is for a standby", advice="add --standby, or leave it out")
        return "voter"
    if join.control_plane is None:
        raise UsageProblem("a worker has no etcd that could be a standby", advice="add --control-plane, or leave out --standby")
    if not given.on("occupy-the-seat"):
        raise Refused(
            "a standby keeps a learner seat, of which there is one unless all members run with a higher --max-learners: every "
            "later join of a control-plane node would wait for it",
            state="nothing was changed",
            advice="give the seat to the standby with --occupy-the-seat",
        )
    return "standby"


def _refuse_nothing(given: Given, endpoint: str) -> None:
    """Raises `UsageProblem` when nothing says which cluster is to be joined, or with which token."""
    if _has_admin(given) or given.names() & {"config", "token", "discovery-file", "discovery-token"}:
        return
    missing = "no cluster to join is named: give HOST:PORT with" if not endpoint else f"no token is given for {endpoint}: give"
    raise UsageProblem(
        f"{missing} --token and --discovery-token-ca-cert-hash, or --discovery-file, or --config",
        state="nothing was changed",
        advice="'quorate token create --print-join-command' on a control-plane node prints the whole command",
    )


def _has_admin(given: Given) -> bool:
    return given.on("control-plane") and (setup.root_of(given) / "etc/kubernetes/admin.conf").is_file()


def finish(request: JoinRequest, account: JoinAccount, report: render.Printer) -> None:
    """Prints what was made, or would be made in a dry run, and what to do next."""
    closing = ""
    context = request.context
    if account.finished and not context.dry_run:
        from quorate.phases.join.run import closing_words

        closing = closing_words(request, account)
    render.finish(report, account.findings, context.tree, dry_run=context.dry_run, closing=closing)


def run_phase(path: str, given: Given, endpoint: str) -> None:
    """Runs one phase, for the command of that phase."""
    from quorate.phases.join.run import carry_out_phase

    report = render.printer(given)
    cancel = Cancel()
    with cancelling(cancel), setup.changing_node(given, f"join phase {path}", report, cancel):
        request = make_request(given, endpoint, report, SystemClock(cancel))
        account = carry_out_phase(request, path)
    finish(request, account, report)


group.add_command(phase_group("join", TREE, run_phase))
