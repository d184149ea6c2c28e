"""`quorate certs`: shows when certificates expire, renews them, and makes signing requests for an external CA."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quorate.cli.common import commands
from quorate.cli.common.dry_run import NOTHING_DONE
from quorate.cli.common.exit_codes import PRINTS, READS
from quorate.cli.common.output import KUBEADM_VERSION, echo, emit, output_option, print_table
from quorate.cli.kubeadm import render, setup
from quorate.cli.kubeadm.flags import ROOTFS, Given, with_flags
from quorate.errors import ConfigError, HostError
from quorate.report import Notice, silent

if TYPE_CHECKING:
    from quorate.config.load import Loaded
    from quorate.phases.base.context import Context
    from quorate.phases.node.renewal import Expiry

_FLAGS = ("cert-dir", "config", "kubeconfig")
_DRY_RUN = "Change nothing; say what would be renewed, and until when it would be valid."
_PATIENCE = 5 * 10**9
"""Nanoseconds for an API server that may well be down: renewing its certificates is a way to mend it."""
_HOW_TO_RESTART = (
    "A static pod restarts when its manifest is moved out of the manifests folder, and back in once 'crictl ps' no longer "
    "shows its container; one after the other, and on the next node only when this one is healthy."
)
"""The kubelet restarts no pod because a file that it mounts was replaced."""
_RENEWABLE = (
    "admin.conf",
    "apiserver",
    "apiserver-etcd-client",
    "apiserver-kubelet-client",
    "controller-manager.conf",
    "etcd-healthcheck-client",
    "etcd-peer",
    "etcd-server",
    "front-proxy-client",
    "scheduler.conf",
    "super-admin.conf",
)


@commands.group("certs", hands_down=ROOTFS)
@with_flags(())
def group(**_parameters: Any) -> None:
    """Show, renew and request the certificates of a control plane.

    \b
    Examples:
      quorate certs check-expiration
      quorate certs renew all
      quorate certs certificate-key
    """


def _report(given: Given) -> render.Printer:
    return render.to_stderr() if given.text("form") in ("json", "yaml") else render.text_printer()


def _context(given: Given, loaded: Loaded | None = None, over: Mapping[str, Any] | None = None) -> Context:
    """Returns the context of a configuration, by default of the file or of an empty one: only paths, periods and algorithms
    matter here. `over`: fields of the cluster's configuration that go over it."""
    from msgspec.structs import replace

    folder = given.text("cert-dir")
    if folder and not (folder.startswith("/") and ".." not in folder.split("/")):
        raise ConfigError(f"--cert-dir {folder!r} is not an absolute path without ..", advice="pass an absolute path")
    report = _report(given)
    # Without a configuration there is nothing to warn of: which version is assumed does not matter here.
    told = report if loaded or given.text("config") else silent
    made = setup.resolved(loaded or setup.read_config(_without_folder(given)), _without_folder(given), told)
    fields = {**(over or {}), **({"certificates_dir": folder} if folder else {})}
    made = replace(made, cluster=replace(made.cluster, **fields))
    return setup.init_context(made, given, setup.tree_for(given, report), report)


def _without_folder(given: Given) -> Given:
    """Returns the flags without --cert-dir, which goes with --config here, and over whatever is configured."""
    return Given({name: value for name, value in given.values.items() if name != "cert_dir"})


def _context_of_node(given: Given) -> tuple[Context, bool]:
    """Returns the context by the file or, where none is named, by the configuration that the cluster keeps, as kubeadm does;
    and whether it says what new certificates are like. Where there is neither, that is reported."""
    render.say_root(given, _report(given))
    if given.text("config"):
        return _context(given, setup.read_config(_without_folder(given))), True
    stored, usual = _stored(given), _context(given)
    if stored is None:
        return usual, False
    context, says_terms = _by_stored(given, stored.text)
    # Where its folder has no CA, it may be the folder of another cluster's nodes.
    doubt = _doubt(context, stored, (context.pki("ca.crt"), usual.pki("ca.crt")))
    if doubt:
        _not_read(given, doubt)
        return usual, False
    return context, says_terms


@dataclass(frozen=True, slots=True)
class _Stored:
    """The configuration that a cluster keeps. `ca_pem`: the CAs that the kubeconfig at `path` trusts that cluster by."""

    text: str
    path: str
    ca_pem: bytes


def _doubt(context: Context, stored: _Stored, ca_paths: Sequence[str]) -> str:
    """Returns why the configuration is not that of the cluster whose CA is on this node, at the first of `ca_paths` that is
    there; empty when nothing speaks against it. Another cluster's would decide over the folder, the keys and the periods of
    this node's certificates."""
    from quorate.pki.sealing import pins_of

    for path in ca_paths:
        pem = context.tree.read(path)
        if pem is not None:
            is_same = stored.ca_pem and set(pins_of(pem)) & set(pins_of(stored.ca_pem))
            return "" if is_same else f"{stored.path} trusts another CA than {path}: it is of another cluster"
    return ""


def _not_read(given: Given, why: str) -> None:
    _report(given)(Notice(f"the configuration of the cluster could not be read: {why}", "warning"))


def _by_stored(given: Given, stored: str) -> tuple[Context, bool]:
    """Returns the context by the cluster's configuration. One that breaks a rule, or that another version wrote, still has
    certificates that end: it counts as far as it concerns them."""
    from quorate.phases.cluster.stored_config import certificate_terms, understood

    report = _report(given)
    try:
        return _context(given, understood(stored, report)), True
    except ConfigError as error:
        terms = certificate_terms(stored)
        for line in error.lines():
            report(Notice(f"{line} (what concerns certificates is used)", "warning"))
        if not terms.are_complete:
            report(Notice("renewed certificates keep their kind of key, and end no earlier than before", "warning"))
        return _context(given, over=terms.fields), terms.are_complete


def _stored(given: Given) -> _Stored | None:
    """Returns the configuration of the kubeconfig's cluster. Where no API server gives it, that is reported: it may be down
    because of what is to be renewed."""
    from dataclasses import replace

    from msgspec.structs import replace as replace_struct

    from quorate.config.duration import Duration
    from quorate.errors import PreflightFailed
    from quorate.kube.errors import KubeError
    from quorate.phases.base.api_access import connected
    from quorate.phases.cluster.stored_config import cluster_text

    report = _report(given)
    # What it warns of is said again with the configuration that is used.
    context = setup.init_context(setup.init_setup(_without_folder(given), silent), given, setup.tree_for(given, report), report)
    quick = replace(context, timeouts=replace_struct(context.timeouts, kubernetes_api_call=Duration(_PATIENCE)))
    path = setup.kubeconfig_of(given, f"{context.config_folder}/admin.conf")
    try:
        trusted = _trusted(given, context, path)
        if trusted is None:
            return None
        with connected(quick, path) as client:
            client.rpc_seconds = _PATIENCE / 10**9
            return _Stored(cluster_text(client), path, trusted)
    except (KubeError, PreflightFailed) as error:
        _not_read(given, error.what)
        return None


def _trusted(given: Given, context: Context, path: str) -> bytes | None:
    """Returns the CAs that a kubeconfig trusts. One of this node that cannot be read is reported, and gives None: it may be
    what is to be looked at, or made anew. One that the user names is an error."""
    from quorate.phases.base.api_access import read, server_of

    try:
        parsed = read(context.tree, path, context.this_node)
        server_of(parsed)
    except (ConfigError, HostError) as error:
        if given.text("kubeconfig"):
            raise
        _not_read(given, error.what)
        return None
    return parsed.ca_pem


@group.command("check-expiration", ends=READS)
@with_flags((*_FLAGS, "allow-missing-template-keys", "show-managed-fields"))
@output_option("text", "json", "yaml")
def check_expiration(**parameters: Any) -> None:
    """Show when each certificate expires. Exit code 1 where one cannot be read, or its key does not belong to it.

    \b
    Example:
      quorate certs check-expiration -o json
    """
    from quorate.phases.node.renewal import expiries, refuse_unfit

    given = Given.of(parameters)
    context, _ = _context_of_node(given)
    leaves, authorities = expiries(context)

    def table() -> None:
        headers = ("CERTIFICATE", "EXPIRES", "RESIDUAL TIME", "CERTIFICATE AUTHORITY", "EXTERNALLY MANAGED")
        print_table(headers, [_row(one, context.now, with_authority=True) for one in leaves])
        echo()
        own = ("CERTIFICATE AUTHORITY", "EXPIRES", "RESIDUAL TIME", "EXTERNALLY MANAGED")
        print_table(own, [_row(one, context.now, with_authority=False) for one in authorities])

    emit(given.text("form"), "CertificateExpirationInfo", _as_data(leaves, authorities, context.now), table)
    refuse_unfit((*leaves, *authorities))


def _row(one: Expiry, now: datetime, *, with_authority: bool) -> tuple[str, ...]:
    authority = [one.authority] if with_authority else []
    if one.unreadable:
        return (one.name, "cannot be read", "", *authority, "")
    if one.unfit:
        return (one.name, "key does not fit", "", *authority, "yes" if one.external else "no")
    if one.expires is None:
        return (f"!MISSING! {one.name}", "", "", *([""] if with_authority else []), "")
    external = "yes" if one.external else "no"
    return (one.name, f"{one.expires:%b %d, %Y %H:%M UTC}", _residual(one, now), *authority, external)


def _residual(one: Expiry, now: datetime) -> str:
    """Returns the time left: in years from 8 years on, in days from 2 days on, in hours from 3 hours on, else in minutes."""
    left = one.left(now)
    seconds = int(left.total_seconds()) if left else 0
    if seconds < 0:
        return "<invalid>"
    for size, unit, least in ((365 * 86400, "y", 8 * 365 * 86400), (86400, "d", 2 * 86400), (3600, "h", 3 * 3600)):
        if seconds >= least:
            return f"{seconds // size}{unit}"
    return f"{seconds // 60}m"


def _seconds_left(one: Expiry, now: datetime) -> int | None:
    """Returns the seconds left; 0 of a certificate that is missing, as kubeadm says it, and None where it cannot be read."""
    left = one.left(now)
    return int(left.total_seconds()) if left is not None else None if one.unreadable else 0


def _as_data(leaves: list[Expiry], authorities: list[Expiry], now: datetime) -> dict[str, object]:
    def rows(found: list[Expiry]) -> list[dict[str, object]]:
        return [
            {
                "name": one.name,
                "missing": one.expires is None and not one.unreadable,
                "expirationDate": f"{one.expires:%Y-%m-%dT%H:%M:%SZ}" if one.expires else None,
                "residualTime": _seconds_left(one, now),
                "caName": one.authority,
                "externallyManaged": one.external,
                **({"error": one.unreadable or one.unfit} if one.unreadable or one.unfit else {}),
            }
            for one in found
        ]

    return {
        "apiVersion": KUBEADM_VERSION,
        "certificates": rows(leaves),
        "certificateAuthorities": rows(authorities),
    }


@group.group(hands_down=ROOTFS)
@with_flags(())
def renew(**_parameters: Any) -> None:
    """Renew certificates: each gets a new key and keeps its subject, names and usages.

    \b
    Examples:
      quorate certs renew all
      quorate certs renew apiserver
    """


def _renewal(name: str) -> click.Command:
    def callback(**parameters: Any) -> None:
        from quorate.phases.node import renewal

        given = Given.of(parameters)
        context, says_terms = _context_of_node(given)
        terms = renewal.as_configured if says_terms else renewal.as_it_was
        with setup.changing_node(given, f"certs renew {name}", context.report, context.clock.cancel):
            if name == "all":
                renewed = renewal.renew_all(context, terms)
            else:
                renewal.renew(context, name, terms)
                renewed = [name]
        users = renewal.users_of(renewed)
        if context.dry_run:
            echo(NOTHING_DONE, err=True)
        elif users:
            echo(f"Restart {', '.join(users)}, so that {'it uses' if len(users) == 1 else 'they use'} the new certificates.")
            echo(_HOW_TO_RESTART)

    what = "Renew every certificate on this host" if name == "all" else f"Renew the certificate {name}"
    text = f"{what}.\n\n\b\nExample:\n  quorate certs renew {name} --dry-run"
    return commands.command(name, help=text)(with_flags((*_FLAGS, "dry-run"), {"dry-run": _DRY_RUN})(callback))


for _name in ("all", *_RENEWABLE):
    renew.add_command(_renewal(_name))


@group.command("certificate-key", ends=PRINTS)
def certificate_key() -> None:
    """Print a new key for encrypting the certificates that are stored in the cluster.

    \b
    Example:
      quorate certs certificate-key
    """
    echo(secrets.token_hex(32))


@group.command("generate-csr")
@with_flags(("cert-dir", "config", "kubeconfig-dir"))
def generate_csr(**parameters: Any) -> None:
    """Make keys and signing requests for an external CA.

    Run again after it was cut off, it keeps what it has made and completes it.

    \b
    Example:
      quorate certs generate-csr --cert-dir ./pki --kubeconfig-dir ./conf
    """
    from quorate.phases.node.csr import generate

    given = Given.of(parameters)
    for flag in ("cert-dir", "kubeconfig-dir"):
        name = flag.replace("-", "_")
        if name in given.values:
            given.values[name] = str(Path(given.text(flag)).absolute())
    render.say_root(given, _report(given))
    context = _context(given)
    setup.refuse_unknown_address(context)
    generate(context)
