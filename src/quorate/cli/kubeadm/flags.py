"""kubeadm's flags. Each is defined once; commands name the flags that they take. No default is filled in here: a flag that
was not given is absent, and the configuration fills in the default that the help shows."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

import click

from quorate.cli.common.completion import files, folders
from quorate.cli.common.folders import FOLDER
from quorate.cli.kubeadm.completers import COMPLETERS

Command = TypeVar("Command", bound=Callable[..., Any])


class Strings(click.ParamType[tuple[str, ...]]):
    """A comma-separated list; the flag may also be repeated."""

    name = "strings"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        del param, ctx
        if isinstance(value, tuple):
            return value
        return tuple(part.strip() for part in str(value).split(",") if part.strip())


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag. `kind`: string, int, strings, duration, bool, or the path of a file, socket or dir. `default`: for the help only;
    the configuration fills it in."""

    name: str
    help: str
    kind: str = "string"
    default: str = ""
    short: str = ""
    secret: bool = False
    hidden: bool = False


_TABLE = (
    Flag("abandon-etcd-member", "Delete etcd's data although the cluster still lists the member.", "bool"),
    Flag("apiserver-advertise-address", "Address where others reach this API server.", default="that of the default route"),
    Flag("apiserver-bind-port", "Port of the API server.", "int", "6443"),
    Flag("apiserver-cert-extra-sans", "Additional names and addresses for the API server's certificate.", "strings"),
    Flag("apiserver-extra-args", "Additional flags of the API server: NAME=VALUE, separated by commas."),
    Flag("controller-manager-extra-args", "Additional flags of the controller manager: NAME=VALUE, separated by commas."),
    Flag("scheduler-extra-args", "Additional flags of the scheduler: NAME=VALUE, separated by commas."),
    Flag("cert-dir", "Directory of the certificates.", "dir", default="/etc/kubernetes/pki"),
    Flag("certificate-key", "Key that encrypts the certificates stored in the cluster.", secret=True),
    Flag("cleanup-tmp-dir", "Also empty /etc/kubernetes/tmp.", "bool"),
    Flag("client-name", "Name of the user: the CN of its certificate."),
    Flag("config", "kubeadm configuration file; - reads standard input.", "file"),
    Flag("control-plane", "Make this node an additional control-plane node.", "bool"),
    Flag("control-plane-endpoint", "Stable name or address of the whole control plane, HOST[:PORT]."),
    Flag("cri-socket", "Socket of the container runtime.", "socket", default="the one on this host"),
    Flag("discovery-file", "File or https URL with the cluster's address and CA.", "file"),
    Flag("discovery-token", "Token that validates the data read from the API server.", secret=True),
    Flag("discovery-token-ca-cert-hash", "sha256:HEX of the cluster's CA; may be repeated.", "strings"),
    Flag("discovery-token-unsafe-skip-ca-verification", "Trust any server that knows the token.", "bool"),
    Flag("dry-run", "Change nothing; show what would be done, as a diff of the files.", "bool"),
    Flag("feature-gates", "NAME=true|false, separated by commas."),
    Flag("force", "Do not ask for confirmation.", "bool", short="f"),
    Flag("ignore-preflight-errors", "Checks whose errors become warnings; 'all' for every check.", "strings"),
    Flag("image-repository", "Registry of the images.", default="registry.k8s.io"),
    Flag("keep-on-failure", "Roll nothing back when the join fails, so that it can be examined.", "bool"),
    Flag("kubeconfig", "kubeconfig for the cluster.", "file", default="/etc/kubernetes/admin.conf"),
    Flag("kubeconfig-dir", "Directory of the kubeconfig files.", "dir", default="/etc/kubernetes"),
    Flag("kubernetes-version", "Version of the control plane.", default="that of the installed kubelet"),
    Flag("node-name", "Name of this node.", default="the host's name"),
    Flag("occupy-the-seat", "Let the standby of --standby keep the only learner seat of etcd.", "bool"),
    Flag("org", "Group of the user: an O of its certificate; may be repeated.", "strings"),
    Flag("patches", "Directory of patches for manifests and the kubelet's configuration.", "dir"),
    Flag("pod-network-cidr", "Network of the pods, in CIDR notation."),
    Flag("print-manifest", "Print the add-on's manifests instead of applying them.", "bool"),
    Flag("service-cidr", "Network of the services, in CIDR notation.", default="10.96.0.0/12"),
    Flag("service-dns-domain", "DNS domain of the services.", default="cluster.local"),
    Flag("skip-certificate-key-print", "Do not print the certificate key.", "bool"),
    Flag("skip-phases", "Phases to leave out.", "strings"),
    Flag("skip-token-print", "Do not print the token.", "bool"),
    Flag("standby", "Keep this node's etcd as a learner and its components unstarted, for the autopilot.", "bool"),
    Flag("tls-bootstrap-token", "Token with which the kubelet requests its certificate.", secret=True),
    Flag("token", "Bootstrap token; a join uses it for discovery and for TLS bootstrap.", secret=True),
    Flag("token-ttl", "Lifetime of the token; with 0 it never expires.", "duration", "24h0m0s"),
    Flag("upload-certs", "Store the shared certificates in the cluster, encrypted, for two hours.", "bool"),
    Flag("validity-period", "Validity of the certificate.", "duration", "8760h0m0s"),
    Flag("description", "What the token is for."),
    Flag("groups", "Groups that the token authenticates as.", "strings", "system:bootstrappers:kubeadm:default-node-token"),
    Flag("print-join-command", "Print the whole join command instead of the token.", "bool"),
    Flag("ttl", "Lifetime of the token; with 0 it never expires.", "duration", "24h0m0s"),
    Flag("usages", "What the token may be used for.", "strings", "signing,authentication"),
    Flag("component-configs", "Also print these defaults: KubeletConfiguration, KubeProxyConfiguration.", "strings"),
    Flag("old-config", "File to convert; - reads standard input.", "file"),
    Flag("new-config", "File for the converted configuration.", "file", default="standard output"),
    Flag("allow-experimental-api", "Accepted; no version is experimental.", "bool", hidden=True),
    Flag("allow-deprecated-api", "Accepted; old versions are always read.", "bool", hidden=True),
    Flag("allow-missing-template-keys", "Accepted, without effect.", "bool", hidden=True),
    Flag("show-managed-fields", "Accepted, without effect.", "bool", hidden=True),
)
FLAGS = {flag.name: flag for flag in _TABLE}
SWITCHES = tuple(flag.name for flag in _TABLE if flag.kind == "bool")


def parameter(name: str) -> str:
    return name.replace("-", "_")


def with_flags(names: Iterable[str], meant: Mapping[str, str] = MappingProxyType({})) -> Callable[[Command], Command]:
    """Returns a decorator that adds kubeadm's flags of these names, and --rootfs, which all these commands have. `meant`: the
    help of those that mean something of their own here."""

    def add(command: Command) -> Command:
        for name in reversed(list(names)):
            flag = FLAGS[name]
            command = _option(dataclasses.replace(flag, help=meant.get(name, flag.help)))(command)
        params: list[click.Parameter] = command.__dict__.setdefault("__click_params__", [])
        params.append(rootfs_option())
        return command

    return add


def _handed_down(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Returns the value, or that of the nearest group above that hands it down. This is the rule of --rootfs: each group takes
    it before the command, but for those that are a run of their own (init, join, reset), which would read it for that run."""
    above = ctx.parent
    while value is None and above is not None:
        if param.name in getattr(above.command, "hands_down", ()):
            value = above.params.get(str(param.name))
        above = above.parent
    return value


def rootfs_option() -> click.Option:
    """Returns --rootfs, which every command has that reads or writes files of a node, and every group of such commands."""
    return click.Option(
        ["--rootfs"],
        type=FOLDER,
        metavar="DIR",
        help="Read and write below this directory as if it were /, except for the configuration file.",
        callback=_handed_down,
        shell_complete=folders,
    )


ROOTFS = frozenset({"rootfs"})
"""What a group of commands of a node hands down."""


_PATHS = {"file": files, "socket": files, "dir": folders}


def _option(flag: Flag) -> Callable[[Command], Command]:
    spelling = [f"--{flag.name}", parameter(flag.name), *([f"-{flag.short}"] if flag.short else [])]
    if flag.kind == "bool":
        return click.option(*spelling, is_flag=True, default=False, help=flag.help, hidden=flag.hidden)
    shown: Any = flag.default or False
    kinds: dict[str, Any] = {"int": int, "strings": Strings()}
    return click.option(
        *spelling,
        type=kinds.get(flag.kind, str),
        multiple=flag.kind == "strings",
        default=None,
        show_default=shown,
        metavar=None if flag.kind == "int" else flag.kind.upper(),
        help=flag.help,
        hidden=flag.hidden,
        shell_complete=COMPLETERS.get(flag.name) or _PATHS.get(flag.kind),
    )


@dataclass(frozen=True, slots=True)
class Given:
    """The flags that were given in one call."""

    values: dict[str, Any]

    @classmethod
    def of(cls, parameters: dict[str, Any]) -> Given:
        """Returns the flags that were given. The values of a repeated list flag are joined."""
        values = {
            name: tuple(part for group in value for part in group) if isinstance(value, tuple) else value
            for name, value in parameters.items()
        }
        return cls({name: value for name, value in values.items() if value not in (None, (), False)})

    def text(self, flag: str) -> str:
        return str(self.values.get(parameter(flag), ""))

    def words(self, flag: str) -> tuple[str, ...]:
        found: tuple[str, ...] = self.values.get(parameter(flag), ())
        return found

    def on(self, flag: str) -> bool:
        return bool(self.values.get(parameter(flag), False))

    def names(self) -> set[str]:
        """Returns the names of the flags as they are spelled on the command line."""
        return {name.replace("_", "-") for name in self.values}
