"""The connection to an etcd cluster from etcdctl's flags and ETCDCTL_* variables, but never with a password in argv."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from quorate.cli.common.completion import Completer, files, folders
from quorate.cli.common.durations import DURATION, WAIT
from quorate.cli.common.folders import FOLDER
from quorate.cli.common.logs import Logs
from quorate.cli.common.output import echo
from quorate.errors import ConfigError, QuorateError, UsageProblem
from quorate.foreign.text import OUR_FLAGS, to_paste

if TYPE_CHECKING:
    from quorate.deadline import Cancel
    from quorate.etcd.client.connections import Access
    from quorate.etcd.client.endpoint import Endpoint, Login
    from quorate.phases.node.own_etcd import OwnEtcd

Command = Callable[..., Any]
_KEY, _RANK = "quorate.connection", "quorate.connection.rank"
_NAMED, _OWN = "quorate.connection.named", "quorate.connection.own"
_OURS = ("quorate etcd ", "quorate autopilot ")
"""How each command that takes these flags begins where an error advises it."""


@dataclass(frozen=True, slots=True)
class _Flag:
    """One of etcdctl's persistent flags. An `ignored` flag is accepted and has no effect here. `names`: it says which cluster
    is meant, or who asks: with one of these, or its variable, nothing is taken from this node."""

    spelling: tuple[str, ...]
    help: str = ""
    kind: click.ParamType[Any] | type | None = None
    default: object = None
    ignored: bool = False
    names: bool = False
    completes: Completer | None = None


_FLAGS = (
    _Flag(("--endpoints",), "Members to connect to, HOST:PORT[,HOST:PORT].", default=("127.0.0.1:2379",), names=True),
    _Flag(("--cacert",), "CA that signed the servers' certificates.", names=True, completes=files),
    _Flag(("--cert",), "Client certificate.", names=True, completes=files),
    _Flag(("--key",), "Key of the client certificate.", names=True, completes=files),
    _Flag(("--user",), "User name; the password comes from ETCDCTL_PASSWORD, --password-file or a prompt.", names=True),
    _Flag(("--password",), "Not accepted: a password in argv is visible to every user.", names=True),
    _Flag(("--password-file",), "File that contains the password.", names=True, completes=files),
    _Flag(("--command-timeout",), "Timeout of each request.", WAIT, "5s"),
    _Flag(("--dial-timeout",), "Accepted; connecting counts towards --command-timeout.", DURATION, "2s"),
    _Flag(("--insecure-skip-tls-verify",), "Not accepted: TLS is always verified.", bool, default=False, names=True),
    _Flag(("--insecure-transport",), kind=bool, default=True, ignored=True, names=True),
    _Flag(("--insecure-discovery",), kind=bool, default=True, ignored=True, names=True),
    _Flag(("--keepalive-time",), kind=DURATION, default="2s", ignored=True),
    _Flag(("--keepalive-timeout",), kind=DURATION, default="6s", ignored=True),
    _Flag(("--max-recv-bytes",), kind=int, default=0, ignored=True),
    _Flag(("--max-request-bytes",), kind=int, default=0, ignored=True),
    _Flag(("--debug",), kind=bool, default=False, ignored=True),
    _Flag(("-d", "--discovery-srv"), "Not supported: name the members with --endpoints.", names=True),
    _Flag(("--discovery-srv-name",), ignored=True, names=True),
)

CONNECTION = frozenset({"rootfs", *(flag.spelling[-1].removeprefix("--").replace("-", "_") for flag in _FLAGS)})
"""The parameters that say which cluster is meant. A group hands them down: they may stand before the command."""

_IGNORED = {flag.spelling[-1].removeprefix("--").replace("-", "_") for flag in _FLAGS if flag.ignored}
_NAMING = {flag.spelling[-1].removeprefix("--").replace("-", "_") for flag in _FLAGS if flag.names}


def connection_options(command: Command) -> Command:
    """Adds the flags. They may be given to the group or to the command; the command's values win."""
    for flag in reversed(_FLAGS):
        name = flag.spelling[-1].removeprefix("--")
        spelling = flag.spelling if flag.kind is not bool else (f"--{name}/--no-{name}",)
        option = click.option(
            *spelling,
            type=flag.kind if flag.kind is not bool else click.BOOL,
            default=flag.default,
            multiple=isinstance(flag.default, tuple),
            help=flag.help,
            hidden=flag.ignored or flag.help.startswith("Not "),
            envvar=f"ETCDCTL_{name.upper().replace('-', '_')}",
            expose_value=False,
            callback=_remember,
            shell_complete=flag.completes,
        )
        command = option(command)
    return click.option(
        "--rootfs",
        type=FOLDER,
        metavar="DIR",
        help="Directory of a control-plane node's files, whose own etcd is asked.  [default: /]",
        expose_value=False,
        callback=_remember,
        shell_complete=folders,
    )(command)


_RANKS = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)
"""What counts before what, wherever it stands: a variable replaced the endpoints that were given before the command, and a
member of another cluster was removed."""


def _remember(ctx: click.Context, param: click.Parameter, value: object) -> None:
    """Stores the value for `connected`: what the command line says counts, then the variable, then the default. Of two flags
    the later one counts; endpoints are collected, as in etcdctl."""
    given: dict[str, object] = ctx.meta.setdefault(_KEY, {})
    ranks: dict[str, int] = ctx.meta.setdefault(_RANK, {})
    source, name = ctx.get_parameter_source(str(param.name)), str(param.name)
    rank = _RANKS.index(source) if source in _RANKS else len(_RANKS)
    if isinstance(value, tuple):
        more = [str(given[name])] if ranks.get(name) == rank == 0 else []
        value = ",".join([*more, *value])
    if name == "rootfs":
        value = str(value or "")
    if rank <= ranks.get(name, rank):
        given[name], ranks[name] = value, rank
    if source is not ParameterSource.DEFAULT and param.name in _NAMING:
        ctx.meta.setdefault(_NAMED, []).append(param.opts[-1])
    if source is ParameterSource.COMMANDLINE and value:
        _refuse_unsafe(name, value)
        _refuse_unsupported(name, param.opts[-1])


def named_by_hand() -> list[str]:
    """Returns the flags of the command line, before or after the command, that say which cluster is meant, or who asks."""
    ranks: dict[str, int] = click.get_current_context().meta.get(_RANK, {})
    return [f"--{name.replace('_', '-')}" for name in sorted({"rootfs", *_NAMING}) if ranks.get(name) == 0]


def given_to_etcdctl(ctx: click.Context, rootfs: str, *, named: bool) -> tuple[list[str], str]:
    """Returns the flags that were given up to the command of this context, as etcdctl spells them, and shell text that sets its
    password: etcdctl reads none from a file. `named`: the words that follow say which cluster is meant."""
    given, flags, names = ctx.meta.get(_KEY, {}), list[str](), set[str]()
    above: click.Context | None = ctx
    while above is not None:
        names |= {one for one in given if above.get_parameter_source(one) is ParameterSource.COMMANDLINE}
        above = above.parent
    for flag in _FLAGS:
        name = flag.spelling[-1].removeprefix("--")
        key = name.replace("-", "_")
        if key in names and key not in ("password", "password_file"):
            value = given[key]
            shown = str(value).lower() if isinstance(value, bool) else f"{value:g}s" if isinstance(value, float) else str(value)
            flags.append(f"--{name}={shown}")
    if not ctx.meta.get(_NAMED) and not named:
        flags += _own_flags(rootfs or given.get("rootfs", ""))
    file = given.get("password_file")
    return flags, f'ETCDCTL_PASSWORD="$(cat {to_paste(str(file))})" ' if file else ""


def _own_flags(rootfs: str) -> list[str]:
    """Returns etcdctl's flags for this node's own etcd; none where it has none. Where that is not known, the endpoint is left
    to the user: without one, etcdctl asks whatever listens at its default port."""
    from quorate.cli.etcd import own_node

    try:
        own = own_node.find(rootfs)
    except QuorateError:
        return ["--endpoints=HOST:PORT"]
    if own is None:
        return []
    files = (("cacert", own.files.ca), ("cert", own.files.cert), ("key", own.files.key))
    return [f"--endpoints={own.url}", *(f"--{name}={path}" for name, path in files)]


def left_to_etcdctl(*above: str) -> Callable[[click.Context, Sequence[str]], UsageProblem | None]:
    """Returns what answers a command of etcdctl that a group does not have; `above`: the words before it."""

    def answer(ctx: click.Context, words: Sequence[str]) -> UsageProblem | None:
        from quorate.cli.common.foreign_commands import instead_of

        theirs, flags, before = for_etcdctl(ctx, words)
        return instead_of([*above, *theirs], flags, before)

    return answer


def for_etcdctl(ctx: click.Context, words: Sequence[str]) -> tuple[list[str], list[str], str]:
    """Returns the words without options that only quorate has, the flags that were given up to the command of this context, and
    shell text that sets a password."""
    from quorate.cli.common.foreign_commands import without_option

    theirs, rootfs = without_option(words, "--rootfs")
    named = any(word.lstrip("-").partition("=")[0] in ("endpoints", "cacert", "cert", "key") for word in theirs)
    return theirs, *given_to_etcdctl(ctx, rootfs, named=named)


def _refuse_unsafe(name: str, value: object) -> None:
    if name == "password" or (name == "user" and ":" in str(value)):
        raise ConfigError(
            "a password on the command line can be read by every user of this machine",
            state="nothing was sent",
            advice="set ETCDCTL_PASSWORD, pass --password-file, or enter it at the prompt",
        )


def _refuse_unsupported(name: str, given: str) -> None:
    """Raises `ConfigError` for a flag or variable (`given`) that asks for what is not done here."""
    if name == "insecure_skip_tls_verify":
        raise ConfigError(
            f"{given} is not accepted: TLS is always verified", advice=f"leave out {given}; pass the CA with --cacert"
        )
    if name == "discovery_srv":
        raise ConfigError(f"{given} is not supported", advice=f"leave out {given}; name the members with --endpoints")


def say(text: str) -> None:
    from quorate.loggers import logger

    logger(__name__).info("%s", text)
    if not Logs.quiet:
        echo(text, err=True)


@dataclass(frozen=True, slots=True)
class Connection:
    """The endpoints of a cluster, access to them (TLS and login), and the timeout of a request in seconds."""

    endpoints: list[Endpoint]
    access: Access
    timeout: float


def given_by_hand(name: str) -> bool:
    """Returns whether the running command has the flag on its command line, not from a variable or as a default."""
    return click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE


def given_value(name: str) -> str | None:
    """Returns the running command's value of one of the flags, or None."""
    value = click.get_current_context().meta[_KEY].get(name)
    return str(value) if value else None


@contextmanager
def connected(cancel: Cancel | None = None) -> Iterator[Connection]:
    """Yields the connection that the flags and variables of the running command describe. Where none of them says which cluster
    is meant, this is a control-plane node's own etcd, and on any other host etcdctl's default. Raises `ConfigError`."""
    from quorate.etcd.client.connections import Access
    from quorate.etcd.client.endpoint import TlsFiles, load_tls, parse_endpoints
    from quorate.etcd.observation.explaining import explaining

    meta = click.get_current_context().meta
    given: dict[str, Any] = meta[_KEY]
    for name in ("insecure_skip_tls_verify", "discovery_srv"):
        # Here, not where a variable is read: a flag that comes later may switch it off.
        if given[name]:
            _refuse_unsupported(name, f"ETCDCTL_{name.upper()}")
    if os.environ.get("ETCDCTL_API", "3") != "3":
        raise ConfigError("ETCDCTL_API must be 3: etcd 3.6 removed the old API")
    own_etcd()
    files = TlsFiles(*(Path(given[name]) if given[name] else None for name in ("cacert", "cert", "key")))
    tls = load_tls(files) if any((files.ca, files.cert, files.key)) else None
    endpoints = parse_endpoints([given["endpoints"]])
    with (
        _naming_cluster(),
        Access(tls, _login(given, meta[_RANK]), cancel) as access,
        _naming_local_clusters(),
        explaining(access, endpoints),
    ):
        yield Connection(endpoints, access, given["command_timeout"])


@contextmanager
def _naming_local_clusters() -> Iterator[None]:
    """Names the local clusters that run, where nothing answers at the default endpoint and nobody named another."""
    from quorate.etcd.client.errors import EtcdError

    try:
        yield
    except EtcdError as error:
        meta = click.get_current_context().meta
        if error.code == "unreachable" and not meta.get(_NAMED) and meta.get(_OWN) is None:
            from quorate.cli.local.forgotten import advice

            error.advice = advice() or error.own_advice
        raise


@contextmanager
def _naming_cluster() -> Iterator[None]:
    """Repeats, in the commands that an error advises, the flags that say which cluster is meant: pasted without them, 'quorate
    etcd remove c' would be about another cluster's c. What a variable says is there when the command is pasted."""
    flags = _flags_to_repeat()
    # To the end of the command: what is printed after its last request advises commands, too.
    OUR_FLAGS.set(tuple(flags))
    try:
        yield
    except QuorateError as error:
        shown = to_paste(*flags)
        # Where a command was made of words it has them. In a text that holds one, which may be quoted, nothing is replaced.
        if flags and shown not in error.advice:
            for ours in _OURS:
                error.advice = error.advice.replace(ours, f"{ours}{shown} ")
        raise


def _flags_to_repeat() -> list[str]:
    """Returns the flags of the command line that say which cluster is meant, and who asks; a password is never in one."""
    meta = click.get_current_context().meta
    given, ranks = meta[_KEY], meta.get(_RANK, {})
    names = [name for name in ("rootfs", *_NAMING) if ranks.get(name) == 0 and isinstance(given[name], str) and given[name]]
    return [f"--{name.replace('_', '-')}={given[name]}" for name in sorted(names) if name != "password"]


def flags_in_full() -> list[str]:
    """Returns the flags that say which cluster is meant and who asks, for a command that runs elsewhere: also what variables
    say now, and this node's own etcd where nothing else is named. Paths are absolute; a password is never in one. Raises
    `ConfigError`."""
    own_etcd()
    given = click.get_current_context().meta[_KEY]
    paths = {name: str(path) for name, path in _paths_named()}
    names = sorted(_NAMING - {"password", "password_file", "rootfs", *_IGNORED})
    values = {**{name: given[name] for name in names if isinstance(given[name], str) and given[name]}, **paths}
    return [f"--{name.replace('_', '-')}={values[name]}" for name in sorted(values)]


def files_named() -> list[Path]:
    """Returns the files that the connection is made with."""
    return [path for _, path in _paths_named()]


def _paths_named() -> list[tuple[str, Path]]:
    given = click.get_current_context().meta[_KEY]
    return [(name, Path(given[name]).absolute()) for name in ("cacert", "cert", "key", "password_file") if given[name]]


def own_etcd() -> OwnEtcd | None:
    """Returns this node's own etcd where the running command uses it, because nothing says which cluster is meant. The first
    call decides, says so, and enters it as what was given. Raises `ConfigError`."""
    meta = click.get_current_context().meta
    if _OWN not in meta:
        given, named = meta[_KEY], meta.get(_NAMED, [])
        if named and given["rootfs"]:
            raise ConfigError(f"--rootfs means the etcd of a node, and {named[0]} or its variable another: leave one out")
        meta[_OWN] = own = None if named else _own_of_node(given["rootfs"])
        if own is not None:
            given.update(endpoints=own.url, cacert=str(own.files.ca), cert=str(own.files.cert), key=str(own.files.key))
            say(f"using this node's etcd: {own.url}, certificates in {own.folder}")
    found: OwnEtcd | None = meta[_OWN]
    return found


def widen_own(others: Callable[[], Sequence[str]]) -> None:
    """Adds further members of the cluster to this node's own etcd, where that is what the running command uses."""
    own = own_etcd()
    if own is not None:
        click.get_current_context().meta[_KEY]["endpoints"] = ",".join(dict.fromkeys([own.url, *others()]))


def _own_of_node(rootfs: str) -> OwnEtcd | None:
    from quorate.cli.etcd import own_node

    return own_node.find(rootfs)


def _login(given: dict[str, Any], ranks: Mapping[str, int]) -> Login | None:
    if not (given["user"] or given["password_file"]):
        return None
    from quorate.cli.etcd.login import login

    return login(given, ranks)
