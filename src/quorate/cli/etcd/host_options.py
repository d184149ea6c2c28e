"""`--runtime` and its options: the new member's etcd is started and supervised on this host."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quorate.cli.common.completion import files, folders
from quorate.cli.common.folders import FOLDER
from quorate.cli.common.option_groups import given_flags, packed
from quorate.cli.etcd.connection import say
from quorate.cli.etcd.join_options import join_options
from quorate.cli.local.completers import clusters
from quorate.core.new_member import check_new_path
from quorate.errors import ConfigError
from quorate.host.units import refuse_no_unit

if TYPE_CHECKING:
    from quorate.deadline import SystemClock
    from quorate.etcd.client.endpoint import TlsFiles
    from quorate.member.join_here import Host
    from quorate.member.spec import EtcdSpec

_PATH = click.Path(path_type=Path)
_OPTIONS = (
    click.option(
        "--runtime",
        type=click.Choice(["process", "systemd"]),
        help="Run the new member's etcd on this host, and remove it when the join fails; not with --start.",
    ),
    click.option(
        "--data-dir",
        type=_PATH,
        help="etcd's data directory; must be empty.  [default: /var/lib/etcd]",
        shell_complete=folders,
    ),
    click.option("--client-urls", "client_url", metavar="URL", help="URL for clients.  [default: peer host, port 2379]"),
    click.option("--etcd", "program", metavar="PATH", help="etcd binary to run.  [default: from PATH]", shell_complete=files),
    click.option("--cert-file", type=_PATH, help="Server certificate."),
    click.option("--key-file", type=_PATH, help="Key of the server certificate."),
    click.option("--trusted-ca-file", type=_PATH, help="CA of client certificates.  [default: --cacert]"),
    click.option("--peer-cert-file", type=_PATH, help="Peer certificate."),
    click.option("--peer-key-file", type=_PATH, help="Key of the peer certificate."),
    click.option("--peer-trusted-ca-file", type=_PATH, help="CA of peer certificates.  [default: --trusted-ca-file]"),
    click.option("--etcd-arg", multiple=True, metavar="NAME=VALUE", help="Additional etcd flag; may be repeated."),
    click.option("--unit", default="etcd", show_default=True, help="systemd: name of the unit, without .service."),
    click.option("--run-as", metavar="USER", help="systemd: user that etcd runs as.  [default: root]"),
    click.option("--no-inbound-probe", is_flag=True, help="Do not check that the voters reach this host before etcd starts."),
)


_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}\$?")
_FLAG = re.compile(r"[a-z][a-z0-9-]{0,99}")


@dataclass(frozen=True, slots=True)
class HostOptions:
    """The host options of the command line; `runtime` is None when this host does not run the new member."""

    runtime: str | None
    data_dir: Path | None
    client_url: str | None
    program: str | None
    cert_file: Path | None
    key_file: Path | None
    trusted_ca_file: Path | None
    peer_cert_file: Path | None
    peer_key_file: Path | None
    peer_trusted_ca_file: Path | None
    etcd_arg: tuple[str, ...]
    unit: str
    run_as: str | None
    no_inbound_probe: bool


host_options = packed(HostOptions, "host", _OPTIONS)


def check_host(host: HostOptions) -> None:
    """Raises `ConfigError` for options whose --runtime is missing, and for invalid names and paths."""
    given = given_flags(HostOptions) if host.runtime is None else []
    if given:
        raise ConfigError(f"{', '.join(given)} {'needs' if len(given) == 1 else 'need'} --runtime process or systemd")
    if host.run_as and host.runtime != "systemd":
        raise ConfigError("--run-as needs --runtime systemd")
    if host.run_as and not _USER.fullmatch(host.run_as):
        raise ConfigError(f"--run-as {host.run_as[:40]!r} is not a valid user name")
    refuse_no_unit(host.unit)
    paths = (host.data_dir, host.cert_file, host.key_file, host.trusted_ca_file, host.peer_cert_file, host.peer_key_file)
    for path in (*paths, host.peer_trusted_ca_file, host.program):
        if path is not None:
            check_new_path(str(path), "the path")


def host_of_options(options: HostOptions, name: str, peer_url: str, clock: SystemClock) -> Host:
    """Returns this host as the options describe it. Raises `ConfigError`."""
    from quorate.member.join_here import Host

    spec = _spec(options, name, peer_url)
    if options.runtime == "systemd":
        from quorate.host.systemd import Systemd
        from quorate.member.systemd import SystemdUnit

        unit = SystemdUnit(spec, options.unit, options.run_as, Systemd(cancel=clock.cancel))
        return Host(spec, unit, unit.findings)
    from quorate.member.process import process_of

    return Host(spec, process_of(spec, clock))


def _spec(host: HostOptions, name: str, peer_url: str) -> EtcdSpec:
    from quorate.core.ids import address_of, normalise_url, url_host
    from quorate.host import etcd_binary
    from quorate.member.spec import EtcdSpec

    url = normalise_url(peer_url)
    scheme = url.partition("://")[0]
    address = url_host(address_of(url))
    client_ca = host.trusted_ca_file or _cacert()
    return EtcdSpec(
        name,
        etcd_binary.find(host.program).path,
        Path(os.path.abspath(host.data_dir or "/var/lib/etcd")),
        url,
        normalise_url(host.client_url or f"{scheme}://{address}:2379"),
        _files(client_ca, host.cert_file, host.key_file),
        _files(host.peer_trusted_ca_file or client_ca, host.peer_cert_file, host.peer_key_file),
        tuple(map(_setting, host.etcd_arg)),
    )


def _cacert() -> Path | None:
    """Returns the CA file of our own connection, or None."""
    from quorate.cli.etcd.connection import given_value

    value = given_value("cacert")
    return Path(value) if value else None


def _files(ca: Path | None, cert: Path | None, key: Path | None) -> TlsFiles | None:
    from quorate.etcd.client.endpoint import TlsFiles

    if cert is None and key is None:
        return None
    return TlsFiles(*(path.absolute() if path else None for path in (ca, cert, key)))


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.lstrip("-").partition("=")
    if not equals or not _FLAG.fullmatch(name) or not value.isprintable():
        raise ConfigError(f"--etcd-arg {text[:80]!r} is not of the form NAME=VALUE")
    return name, value


def _say_what_learner_is(_ctx: click.Context, _param: click.Parameter, value: bool | None) -> None:
    if value is not None:
        say(
            "--learner: every new member is a learner first, and gets its vote here once it is aligned; "
            "'quorate etcd member add' only registers one"
        )


def new_member_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options of a command that joins one new member."""
    for option in (
        join_options,
        host_options,
        click.option(
            "--dir",
            "folder",
            type=FOLDER,
            help="Directory of a local cluster ('quorate local'), whose members need no option about a host; not with "
            "--peer-urls or the flags of a connection.",
            shell_complete=clusters,
        ),
        click.option(
            "--learner/--no-learner",
            default=None,
            expose_value=False,
            callback=_say_what_learner_is,
            help="Accepted; a new member is always a learner first.",
        ),
        click.option("--peer-urls", "peer_url", metavar="URL", help="URL where the other members will reach the new one."),
    ):
        command = option(command)
    return command
