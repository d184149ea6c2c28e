"""`quorate kubeconfig user`: makes a kubeconfig for a user."""

from __future__ import annotations

import dataclasses
from typing import Any

from msgspec.structs import replace

from quorate.cli.common import commands
from quorate.cli.common.exit_codes import READS
from quorate.cli.common.output import document
from quorate.cli.kubeadm import overlay, render, setup
from quorate.cli.kubeadm.flags import ROOTFS, Given, with_flags
from quorate.errors import ConfigError


@commands.group("kubeconfig", ends=READS, hands_down=ROOTFS)
@with_flags(())
def group(**_parameters: Any) -> None:
    """Make kubeconfig files for users.

    \b
    Example:
      quorate kubeconfig user --client-name alice --org developers
    """


@group.command()
@with_flags(("client-name", "config", "org", "token", "validity-period"))
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
    made = setup.init_setup(file, report)
    context = setup.init_context(made, file, setup.tree_for(file, report), report)
    if period is not None:
        context = dataclasses.replace(context, cluster=replace(context.cluster, certificate_validity_period=period))
    token = Secret(given.text("token")) if given.text("token") else None
    document(user_kubeconfig(context, name, given.words("org"), token))
