"""`quorate token`: bootstrap tokens."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quorate.cli.common import commands
from quorate.cli.common.dry_run import NOTHING_DONE
from quorate.cli.common.exit_codes import PRINTS, READS
from quorate.cli.common.output import (
    KUBEADM_VERSION,
    document,
    echo,
    emit_document,
    emit_event,
    enveloped,
    output_option,
    print_table,
)
from quorate.cli.kubeadm import overlay, render, setup
from quorate.cli.kubeadm.flags import Given, with_flags
from quorate.deadline import SystemClock
from quorate.errors import ConfigError
from quorate.foreign.trust import distrust_way
from quorate.report import Notice
from quorate.secret import random_token
from quorate.tree import RealTree

if TYPE_CHECKING:
    from quorate.kube.client import KubeClient
    from quorate.kube.tokens import Token

_FLAGS = ("dry-run", "kubeconfig")
_MASK = "*" * 16
_ADMIN = "/etc/kubernetes/admin.conf"


@commands.group("token", hands_down=("rootfs", "dry_run", "kubeconfig"))
@with_flags(_FLAGS)
def group(**_parameters: Any) -> None:
    """Manage the bootstrap tokens that nodes join with.

    \b
    Examples:
      quorate token generate
      quorate token create --print-join-command
    """


@group.command(ends=PRINTS)
@with_flags(_FLAGS)
def generate(**_parameters: Any) -> None:
    """Print a random token; nothing is stored.

    \b
    Example:
      quorate token generate
    """
    echo(random_token())


_DEFAULT_GROUP = "system:bootstrappers:kubeadm:default-node-token"


def _given(ctx: click.Context, parameters: dict[str, Any]) -> Given:
    """Returns the flags of the group and the command; those of the command win."""
    before = ctx.parent.params if ctx.parent else {}
    return Given({**Given.of(before).values, **Given.of(parameters).values})


@contextmanager
def _api(given: Given) -> Iterator[KubeClient]:
    from quorate.phases.cluster import tokens

    with tokens.client(RealTree(setup.root_of(given)), _kubeconfig(given), SystemClock(), setup.this_node(given)) as api:
        yield api


def _kubeconfig(given: Given) -> str:
    """Returns the kubeconfig as kubeadm finds it: --kubeconfig, KUBECONFIG, that of kubectl, admin.conf; and says so where it
    is not the node's own."""
    if given.text("kubeconfig") or setup.root_of(given) != Path("/"):
        return setup.kubeconfig_of(given, _ADMIN)
    listed = [path for path in os.environ.get("KUBECONFIG", "").split(os.pathsep) if path]
    if len(listed) > 1:
        raise ConfigError(
            f"KUBECONFIG lists {len(listed)} files, and quorate merges none",
            state="nothing was changed",
            advice="name one with --kubeconfig",
        )
    found = os.path.abspath(listed[0]) if listed else _of_kubectl() or _ADMIN
    if found != _ADMIN:
        render.to_stderr()(Notice(f"using the kubeconfig {found}"))
    return found


def _of_kubectl() -> str:
    """Returns the file that kubectl uses by default; empty where there is none, or it is another user's: with sudo the home can
    be somebody else's, who would choose the cluster."""
    path = Path.home() / ".kube" / "config"
    return str(path) if path.is_file() and not distrust_way(path) else ""


@group.command()
@click.argument("token", required=False)
@with_flags((*_FLAGS, "certificate-key", "config", "description", "groups", "print-join-command", "ttl", "usages"))
@click.pass_context
def create(ctx: click.Context, /, token: str | None, **parameters: Any) -> None:
    """Store a token in the cluster and print it.

    \b
    Example:
      quorate token create --ttl 2h --print-join-command
    """
    from quorate.phases.base.api_access import read
    from quorate.phases.cluster import tokens

    given = _given(ctx, parameters)
    made = _token(given, token or random_token())
    is_plan = given.on("dry-run")
    with _api(given) as api:
        if is_plan:
            tokens.refuse_existing(api, made)
            echo(f"[dryrun] would create the token {made.id}", err=True)
        else:
            tokens.create(api, made)
    if given.on("print-join-command"):
        tree, key = RealTree(setup.root_of(given)), given.text("certificate-key")
        shown = (f"{made.id}.{_MASK}", key and _MASK) if is_plan else (made.reveal(), key)
        parsed = read(tree, _kubeconfig(given), setup.this_node(given))
        document(tokens.join_command(parsed, *shown) + "\n")
    elif not is_plan:
        echo(made.reveal())
    if is_plan:
        echo(NOTHING_DONE, err=True)


def _token(given: Given, text: str) -> Token:
    """Returns the token that the flags describe. Raises `ConfigError` with everything that is wrong with it."""
    from quorate.config import types as v4
    from quorate.config.duration import Duration
    from quorate.config.problems import Problems
    from quorate.config.validate import check_token
    from quorate.kube.tokens import Token

    ttl = overlay.duration(given, "ttl")
    ttl = Duration(24 * 3600 * 10**9) if ttl is None else ttl
    usages = given.words("usages") or ("signing", "authentication")
    groups = given.words("groups") or (_DEFAULT_GROUP,)
    problems = Problems("the command line")
    check_token(v4.BootstrapToken(text, given.text("description"), ttl, None, usages, groups), "token", problems)
    problems.raise_if_any()
    expires = datetime.now(UTC) + timedelta(seconds=ttl.seconds) if ttl else None
    parsed = Token.parse(text)
    return Token(parsed.id, parsed.secret, expires, given.text("description"), usages, groups)


@group.command("list", ends=READS)
@with_flags((*_FLAGS, "allow-missing-template-keys", "show-managed-fields"))
@output_option("text", "json", "yaml")
@click.pass_context
def list_tokens(ctx: click.Context, /, **parameters: Any) -> None:
    """List the cluster's tokens.

    \b
    Example:
      quorate token list
    """
    from quorate.phases.cluster import tokens

    given = _given(ctx, parameters)
    with _api(given) as api:
        found = tokens.found(api)
    now = datetime.now(UTC)

    def table() -> None:
        headers = ("TOKEN", "TTL", "EXPIRES", "USAGES", "DESCRIPTION", "EXTRA GROUPS")
        print_table(headers, [_row(token, tokens.time_left(token, now)) for token in found])

    match given.text("form"):
        case "json":
            _emit_each(found, emit_event)
        case "yaml":
            _emit_each(found, emit_document)
        case _:
            table()


def _emit_each(found: Sequence[Token], emitted: Callable[[Mapping[str, object]], None]) -> None:
    """Prints one document for each token, as kubeadm does: of none there is none."""
    for token in found:
        emitted(enveloped("BootstrapToken", _as_data(token)))


def _row(token: Token, left: str) -> tuple[str, ...]:
    expires = f"{token.expires:%Y-%m-%dT%H:%M:%SZ}" if token.expires else "<never>"
    groups = ",".join(token.groups) or "<none>"
    return (token.reveal(), left, expires, ",".join(token.usages) or "<none>", token.description or "<none>", groups)


def _as_data(token: Token) -> dict[str, object]:
    """Returns the fields of kubeadm's document, which leaves out what is empty."""
    fields = {
        "description": token.description,
        "expires": f"{token.expires:%Y-%m-%dT%H:%M:%SZ}" if token.expires else "",
        "usages": sorted(token.usages),
        "groups": list(token.groups),
    }
    return {"apiVersion": KUBEADM_VERSION, "token": token.reveal(), **{name: value for name, value in fields.items() if value}}


@group.command()
@click.argument("tokens", nargs=-1, required=True)
@with_flags(_FLAGS)
@click.pass_context
def delete(ctx: click.Context, /, tokens: tuple[str, ...], **parameters: Any) -> None:
    """Delete tokens, given by their id or in full.

    \b
    Example:
      quorate token delete abcdef
    """
    from quorate.phases.cluster import tokens as steps

    given = _given(ctx, parameters)
    ids = [steps.id_of(which) for which in tokens]
    with _api(given) as api:
        for token_id in ids:
            if given.on("dry-run"):
                verb = "would delete the token" if steps.is_there(api, token_id) else "there is no token"
                echo(f"[dryrun] {verb} {token_id}", err=True)
                continue
            steps.delete(api, token_id)
            echo(f'bootstrap token "{token_id}" deleted')
    if given.on("dry-run"):
        echo(NOTHING_DONE, err=True)
