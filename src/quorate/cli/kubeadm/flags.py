"""kubeadm's flags: each is defined once, commands name those that they take. Nothing is filled in here: a flag that was not
given is absent, and configuration decides; what the help calls a default is the configuration's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


class Strings(click.ParamType[tuple[str, ...]]):
    """A list separated by commas; the flag may also come several times."""

    name = "strings"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        del param, ctx
        if isinstance(value, tuple):
            return value
        return tuple(part.strip() for part in str(value).split(",") if part.strip())


@dataclass(frozen=True, slots=True)
class Flag:
    """`kind`: string, int, strings, duration or bool. `default`: what the help says; the configuration fills it in."""

    name: str
    help: str
    kind: str = "string"
    default: str = ""
    short: str = ""
    secret: bool = False
    hidden: bool = False


_TABLE = (
    Flag("abandon-etcd-member", "Delete etcd's data although the cluster still lists the member.", "bool"),
    Flag("apiserver-advertise-address", "Address of this node's API server that others reach.", default="of the default route"),
    Flag("apiserver-bind-port", "Port of the API server.", "int", "6443"),
    Flag("apiserver-cert-extra-sans", "Further names and addresses of the API server's certificate.", "strings"),
    Flag("apiserver-extra-args", "NAME=VALUE of further flags of the API server, separated by commas."),
    Flag("controller-manager-extra-args", "NAME=VALUE of further flags of the controller manager, separated by commas."),
    Flag("scheduler-extra-args", "NAME=VALUE of further flags of the scheduler, separated by commas."),
    Flag("cert-dir", "Where certificates are.", default="/etc/kubernetes/pki"),
    Flag("certificate-key", "Key that encrypts the certificates kept in the cluster.", secret=True),
    Flag("cleanup-tmp-dir", "Also empty /etc/kubernetes/tmp.", "bool"),
    Flag("client-name", "Name of the user: the CN of its certificate."),
    Flag("config", "kubeadm configuration file."),
    Flag("control-plane", "Make this node a further control-plane node.", "bool"),
    Flag("control-plane-endpoint", "Stable name or address of the whole control plane, HOST[:PORT]."),
    Flag("cri-socket", "Socket of the container runtime.", default="the one that is there"),
    Flag("discovery-file", "File or https URL that the cluster's address and CA are read from."),
    Flag("discovery-token", "Token that proves what is read from the API server.", secret=True),
    Flag("discovery-token-ca-cert-hash", "sha256:HEX of the cluster's CA; may be repeated.", "strings"),
    Flag("discovery-token-unsafe-skip-ca-verification", "Trust whoever knows the token.", "bool"),
    Flag("dry-run", "Show what would be done, as a difference to what is there.", "bool"),
    Flag("feature-gates", "NAME=true|false, separated by commas."),
    Flag("force", "Do not ask.", "bool", short="f"),
    Flag("ignore-preflight-errors", "Checks whose errors become warnings; all for all of them.", "strings"),
    Flag("image-repository", "Where images come from.", default="registry.k8s.io"),
    Flag("keep-on-failure", "Roll nothing back when the join fails, for a look.", "bool"),
    Flag("kubeconfig", "kubeconfig to reach the cluster with.", default="/etc/kubernetes/admin.conf"),
    Flag("kubeconfig-dir", "Where kubeconfig files go.", default="/etc/kubernetes"),
    Flag("kubernetes-version", "Version of the control plane.", default="of the installed kubelet"),
    Flag("node-name", "Name of this node.", default="the host's name"),
    Flag("org", "Group of the user: an O of its certificate; may be repeated.", "strings"),
    Flag("patches", "Directory of patches for manifests and the kubelet's configuration."),
    Flag("pod-network-cidr", "Network of the pods."),
    Flag("print-manifest", "Print the add-on's manifests instead of applying them.", "bool"),
    Flag("service-cidr", "Network of the services.", default="10.96.0.0/12"),
    Flag("service-dns-domain", "DNS domain of the services.", default="cluster.local"),
    Flag("skip-certificate-key-print", "Do not print the certificate key.", "bool"),
    Flag("skip-phases", "Phases to leave out.", "strings"),
    Flag("skip-token-print", "Do not print the token.", "bool"),
    Flag("tls-bootstrap-token", "Token that the kubelet asks for its certificate with.", secret=True),
    Flag("token", "Bootstrap token; for both uses when joining.", secret=True),
    Flag("token-ttl", "How long the token lives; 0 for ever.", "duration", "24h0m0s"),
    Flag("upload-certs", "Keep the shared certificates in the cluster, encrypted, for two hours.", "bool"),
    Flag("validity-period", "How long the certificate is valid.", "duration", "8760h0m0s"),
    Flag("description", "What the token is for."),
    Flag("groups", "Groups that the token logs in as.", "strings", "system:bootstrappers:kubeadm:default-node-token"),
    Flag("print-join-command", "Print the whole command for joining instead of the token.", "bool"),
    Flag("ttl", "How long it lives; 0 for ever.", "duration", "24h0m0s"),
    Flag("usages", "What the token may be used for.", "strings", "signing,authentication"),
    Flag("component-configs", "Also print these: KubeletConfiguration, KubeProxyConfiguration.", "strings"),
    Flag("old-config", "File to convert."),
    Flag("new-config", "Where to write the converted one.", default="standard output"),
    Flag("allow-experimental-api", "Accepted; no version is experimental.", "bool", hidden=True),
    Flag("allow-deprecated-api", "Accepted; old versions are always read.", "bool", hidden=True),
    Flag("allow-missing-template-keys", "Accepted, without effect.", "bool", hidden=True),
    Flag("show-managed-fields", "Accepted, without effect.", "bool", hidden=True),
)
FLAGS = {flag.name: flag for flag in _TABLE}
SWITCHES = tuple(flag.name for flag in _TABLE if flag.kind == "bool")


def parameter(name: str) -> str:
    return name.replace("-", "_")


def with_flags(names: Iterable[str]) -> Callable[[Command], Command]:
    """Add kubeadm's flags, and those that every command of this kind has here."""

    def add(command: Command) -> Command:
        for name in reversed(list(names)):
            command = _option(FLAGS[name])(command)
        for option in (_ROOTFS, _VERBOSE):
            command = option(command)
        return command

    return add


_ROOTFS = click.option(
    "--rootfs", metavar="DIR", help="Write and look below this directory, as if it were /; the configuration file is not in it."
)
_VERBOSE = click.option("-v", "--v", "verbosity", type=int, default=0, help="Say more: 1 names every file that is written.")


def _option(flag: Flag) -> Callable[[Command], Command]:
    spelling = [f"--{flag.name}", parameter(flag.name), *([f"-{flag.short}"] if flag.short else [])]
    if flag.kind == "bool":
        return click.option(*spelling, is_flag=True, default=False, help=flag.help, hidden=flag.hidden)
    shown: Any = flag.default or False
    kinds: dict[str, Any] = {"int": int, "strings": Strings(), "duration": str, "string": str}
    return click.option(
        *spelling,
        type=kinds[flag.kind],
        multiple=flag.kind == "strings",
        default=None,
        show_default=shown,
        metavar=None if flag.kind == "int" else flag.kind.upper(),
        help=flag.help,
        hidden=flag.hidden,
    )


@dataclass(frozen=True, slots=True)
class Given:
    """The flags of one call, those that were given."""

    values: dict[str, Any]

    @classmethod
    def of(cls, parameters: dict[str, Any]) -> Given:
        """Lists are joined over repetitions; what was not given is left out."""
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

    @property
    def verbosity(self) -> int:
        return int(self.values.get("verbosity", 0))

    def names(self) -> set[str]:
        """As they are spelled on the command line."""
        return {name.replace("_", "-") for name in self.values}
