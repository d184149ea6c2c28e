"""`quorate token`: bootstrap tokens."""

from __future__ import annotations

from typing import Any

import click

from quorate.cli.kubeadm import setup
from quorate.cli.kubeadm.flags import Given, with_flags
from quorate.cli.output import output_option
from quorate.phases.not_yet import not_yet

_FLAGS = ("dry-run", "kubeconfig")


@click.group("token")
@with_flags(_FLAGS)
def group(**_parameters: Any) -> None:
    """Bootstrap tokens, which nodes join with.

    \b
    Examples:
      quorate token generate
      quorate token create --print-join-command
    """


@group.command()
@with_flags(_FLAGS)
def generate(**_parameters: Any) -> None:
    """Print a random token; nothing is stored.

    \b
    Example:
      quorate token generate
    """
    click.echo(setup.random_token())


@group.command()
@click.argument("token", required=False)
@with_flags((*_FLAGS, "certificate-key", "config", "description", "groups", "print-join-command", "ttl", "usages"))
def create(**parameters: Any) -> None:
    """Store a token in the cluster and print it.

    \b
    Example:
      quorate token create --ttl 2h --print-join-command
    """
    not_yet("token create")(Given.of(parameters))


@group.command("list")
@with_flags((*_FLAGS, "allow-missing-template-keys", "show-managed-fields"))
@output_option("text", "json", "yaml")
def list_tokens(**parameters: Any) -> None:
    """List the cluster's tokens.

    \b
    Example:
      quorate token list
    """
    not_yet("token list")(Given.of(parameters))


@group.command()
@click.argument("tokens", nargs=-1, required=True)
@with_flags(_FLAGS)
def delete(**parameters: Any) -> None:
    """Delete tokens, named by their id or whole.

    \b
    Example:
      quorate token delete abcdef
    """
    not_yet("token delete")(Given.of(parameters))
