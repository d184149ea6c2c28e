"""`quorate kubeconfig user`: makes a kubeconfig for a user."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from quorate.cli.common import commands
from quorate.cli.common.exit_codes import READS
from quorate.cli.common.output import document
from quorate.cli.kubeadm import overlay, render, setup
from quorate.cli.kubeadm.flags import ROOTFS, Given, with_flags
from quorate.errors import ConfigError
from quorate.report import Notice, Report, silent

if TYPE_CHECKING:
    from quorate.phases.base.context import Context


@commands.group("kubeconfig", ends=READS, hands_down=ROOTFS)
@with_flags(())
def group(**_parameters: Any) -> None:
    """Make kubeconfig files for users.

    \b
    Example:
      quorate kubeconfig user --client-name alice --org developers
    """


@group.command()
@with_flags(
    ("client-name", "config", "org", "token", "validity-period"),
    {"token": "Token that the user presents, instead of a client certificate."},
)
def user(**parameters: Any) -> None:
    """Print a kubeconfig for a user, with a client certificate signed by the cluster's CA, or with a token.

    \b
    Example:
      quorate kubeconfig user --config kubeadm-config.yaml --client-name alice > alice.conf
    """
    from quorate.phases.node.user_config import user_kubeconfig
    from quorate.secret import Secret

    given = Given.of(parameters)
    name = given.text("client-name")
    if not name:
        raise ConfigError("--client-name is needed", advice="pass --client-name NAME, the user that the API server will see")
    period = overlay.duration(given, "validity-period")
    file = Given({key: value for key, value in given.values.items() if key in ("config", "rootfs")})
    report = render.to_stderr()
    # Without a configuration there is nothing to warn of: which version is assumed does not matter to a kubeconfig.
    made = setup.init_setup(file, report if file.text("config") else silent)
    context = setup.init_context(made, file, setup.tree_for(file, report), report)
    if file.text("rootfs") and not file.text("config"):
        context = _at_the_node(context, report)
    if not context.cluster.control_plane_endpoint:
        setup.refuse_unknown_address(context)
    if period is not None:
        context = dataclasses.replace(context, cluster=replace(context.cluster, certificate_validity_period=period))
    token = Secret(given.text("token")) if given.text("token") else None
    document(user_kubeconfig(context, name, given.words("org"), token))


def _at_the_node(context: Context, report: Report) -> Context:
    """Returns the context with the API server of the node below --rootfs, as its admin.conf has it: the address of this host is
    that of another machine."""
    from quorate.pki.kubeconfig import parse

    path = f"{context.config_folder}/admin.conf"
    found = context.tree.read(path)
    server = parse(found, path).server.removeprefix("https://").rstrip("/") if found is not None else ""
    if not server:
        text = (
            f"there is no {path} below --rootfs: the file names {context.endpoint.advertise_address}, an address of this host"
        )
        report(Notice(f"{text}; give the node's own with --config", "warning"))
        return context
    return dataclasses.replace(context, cluster=replace(context.cluster, control_plane_endpoint=server))
