"""Builds what phases need from a command line: reads the file, applies flags and this host's defaults, checks the result."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace as changed
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from msgspec.structs import replace

from quorate.cli.kubeadm import overlay
from quorate.cli.kubeadm.flags import Given
from quorate.config import types as v4
from quorate.config.defaults import Facts, is_unspecified
from quorate.config.load import Loaded, is_metadata, load, noting
from quorate.config.versions import DEFAULT, is_label
from quorate.errors import ConfigError
from quorate.foreign.paths import clean
from quorate.host import facts as host
from quorate.report import Notice, PhaseReport, Report
from quorate.secret import random_token

if TYPE_CHECKING:
    from quorate.config.resolve import InitSetup
    from quorate.deadline import Cancel, SystemClock
    from quorate.phases.base.context import Context, HostFacts
    from quorate.phases.base.this_node import ThisNode
    from quorate.tree import Tree


def root_of(given: Given) -> Path:
    """Returns the directory of --rootfs, or /. Raises `ConfigError` when it does not exist: a mistyped path is not created."""
    root = Path(given.text("rootfs") or "/").absolute()
    if not root.is_dir():
        raise ConfigError(f"--rootfs: there is no directory {root}", advice="create it, or correct the path")
    return root


def this_node(given: Given) -> ThisNode:
    """Returns what makes the commands that errors advise. Standard input cannot be named again: it was read."""
    from quorate.phases.base.this_node import ThisNode

    config = given.text("config")
    return ThisNode(
        given.text("rootfs"), "FILE" if config == "-" else config, given.text("cert-dir"), given.text("kubeconfig-dir")
    )


@contextmanager
def changing_node(given: Given, command: str, report: PhaseReport, cancel: Cancel) -> Iterator[None]:
    """Lets no other command of this tool change the node during the block. A dry run changes nothing, and waits for nobody."""
    if given.on("dry-run"):
        yield
        return
    from quorate.deadline import SystemClock
    from quorate.host import node_lock

    with node_lock.changing_node(root_of(given), command, SystemClock(cancel), report):
        yield


def kubeconfig_of(given: Given, default: str) -> str:
    """Returns the path of --kubeconfig, or the default. A relative one is meant from the working directory, unless it is below
    another root."""
    named = given.text("kubeconfig")
    return os.path.abspath(named) if named and root_of(given) == Path("/") else named or default


def read_config(given: Given) -> Loaded:
    """Returns the configuration in the file of --config, or an empty one. Raises `ConfigError`."""
    overlay.check_mix(given)
    path = given.text("config")
    return noting(load(Path(path)), is_metadata) if path else Loaded("the command line")


def with_init_flags(loaded: Loaded, given: Given) -> Loaded:
    """Returns the configuration of init with the flags applied. Without a file they are applied to an empty one."""
    init, cluster = loaded.init, loaded.cluster
    if not given.text("config") and cluster is None:
        init, cluster = v4.InitConfiguration(), v4.ClusterConfiguration()
    return replace(
        loaded,
        init=overlay.overlay_init(init or v4.InitConfiguration(), given) if init or cluster else None,
        cluster=overlay.overlay_cluster(cluster or v4.ClusterConfiguration(), given) if init or cluster else None,
    )


RuntimeChoice: TypeAlias = Callable[[Path], str]
"""Names the socket of the container runtime that a configuration leaves out."""


def usual_runtime(_root: Path) -> str:
    """Returns kubeadm's default, for commands that ask no container runtime: two on a host are no reason to refuse them."""
    return f"unix://{host.CRI_SOCKETS[0]}"


def the_runtime(root: Path) -> str:
    """Returns the one at which something listens. Raises `ConfigError` when there are several."""
    found = host.cri_sockets(root)
    if len(found) > 1:
        raise ConfigError(
            f"there are several container runtimes: {', '.join(found)}",
            advice="choose one with --cri-socket or nodeRegistration.criSocket",
        )
    return f"unix://{found[0]}" if found else usual_runtime(root)


def facts_for(loaded: Loaded, root: Path, report: Report, runtime: RuntimeChoice = the_runtime) -> Facts:
    """Returns this host's values for what the configuration leaves out. The kubelet is run only when its version is needed."""
    address = "" if _has_address(loaded) else _default_address(loaded)
    return Facts(host.hostname(), address, _socket(loaded) or runtime(root), _version(loaded, report), random_token())


def _has_address(loaded: Loaded) -> bool:
    """Returns whether the configuration needs no address of this host."""
    if loaded.init is None and loaded.cluster is None and loaded.join is None:
        return True
    ends = _ends(loaded)
    return bool(ends) and not any(is_unspecified(end.advertise_address) for end in ends)


def _default_address(loaded: Loaded) -> str:
    """Returns an address of this host, of IPv6 first where the configuration says `::`."""
    wants_ipv6 = any(":" in end.advertise_address for end in _ends(loaded) if is_unspecified(end.advertise_address))
    return host.default_address(("AF_INET6", "AF_INET")) if wants_ipv6 else host.default_address()


def _ends(loaded: Loaded) -> list[v4.APIEndpoint]:
    found = [loaded.init.local_api_endpoint] if loaded.init else []
    return found + ([loaded.join.control_plane.local_api_endpoint] if loaded.join and loaded.join.control_plane else [])


def _version(loaded: Loaded, report: Report) -> str:
    wanted = loaded.cluster.kubernetes_version if loaded.cluster else ""
    if wanted and not is_label(wanted):
        return wanted
    installed = host.kubelet_version()
    if not installed and not wanted:
        # A label is an error of its own.
        report(Notice(f"no Kubernetes version is given and no kubelet is installed: using {DEFAULT}", "warning"))
    return installed or DEFAULT


def _socket(loaded: Loaded) -> str:
    """Returns the socket that the configuration names; empty for none."""
    given = [one.node_registration.cri_socket for one in (loaded.init, loaded.join) if one]
    given += [loaded.reset.cri_socket] if loaded.reset else []
    return next(filter(None, given), "")


def warn_of_unknown_checks(names: Iterable[str], report: Report) -> None:
    """Warns of names in --ignore-preflight-errors that no check has."""
    from quorate.preflight.names import doubts

    for doubt in doubts(names):
        report(Notice(doubt, "warning"))


def setup_to_start(given: Given, report: Report, runtime: RuntimeChoice) -> InitSetup:
    """Returns the setup as `init_setup`, of components that are going to be started."""
    from quorate.config.resolve import resolve_first

    return _resolved(read_config(given), given, report, runtime, resolve_first)


def init_setup(given: Given, report: Report, runtime: RuntimeChoice = usual_runtime) -> InitSetup:
    """Returns the setup of init, completed and checked. Raises `ConfigError` with everything that is wrong."""
    return resolved(read_config(given), given, report, runtime)


def resolved(loaded: Loaded, given: Given, report: Report, runtime: RuntimeChoice = usual_runtime) -> InitSetup:
    """Returns the setup of init as `init_setup`, of a configuration that was read already."""
    from quorate.config.resolve import resolve_init

    return _resolved(loaded, given, report, runtime, resolve_init)


def _resolved(
    loaded: Loaded, given: Given, report: Report, runtime: RuntimeChoice, resolve: Callable[[Loaded, Facts], InitSetup]
) -> InitSetup:
    loaded = with_init_flags(loaded, given)
    setup = resolve(loaded, facts_for(loaded, root_of(given), report, runtime))
    for note in setup.notes:
        report(Notice(note, "warning"))
    return setup


def refuse_unknown_address(context: Context) -> None:
    """Raises `ConfigError` where a file that is made would name this node's address, which nobody knows."""
    from quorate.config.defaults import UNKNOWN

    if context.endpoint.advertise_address == UNKNOWN:
        raise ConfigError(
            "this host has no default route, and so no address by itself",
            advice="give localAPIEndpoint.advertiseAddress in a file with --config",
        )


def host_facts(root: Path) -> HostFacts:
    """Returns this host's name, CA folders, proxy variables and resolv.conf, as phases need them."""
    from quorate.manifests.control_plane import CA_FOLDERS
    from quorate.phases.base.context import HostFacts

    return HostFacts(
        host.hostname(),
        host.existing_folders(CA_FOLDERS, root),
        host.proxy_variables(os.environ),
        host.resolv_conf() if root == Path("/") else "",
    )


def tree_for(given: Given, report: PhaseReport) -> Tree:
    """Returns the real files, or with --dry-run a tree that only records changes."""
    from quorate.dry_tree import DryTree
    from quorate.tree import RealTree

    real = RealTree(root_of(given), report)
    return DryTree(real) if given.on("dry-run") else real


def _folder_of_patches(patches: v4.Patches | None, given: Given) -> str:
    """Returns the directory of patches, empty for none. A relative one is meant from the working directory, and from the
    root of another node, as by kubeadm after its chroot."""
    if patches is None or not patches.directory:
        return ""
    return os.path.abspath(patches.directory) if root_of(given) == Path("/") else clean(f"/{patches.directory}")


def init_context(setup: InitSetup, given: Given, tree: Tree, report: PhaseReport, clock: SystemClock | None = None) -> Context:
    """Returns the context in which the phases of init run."""
    from quorate.deadline import SystemClock
    from quorate.host.kubelet import Kubelet
    from quorate.phases.base.context import CONFIG_FOLDER, Context

    init = setup.init
    assert init.timeouts is not None
    return Context(
        cluster=setup.cluster,
        registration=init.node_registration,
        endpoint=init.local_api_endpoint,
        host=host_facts(root_of(given)),
        tree=tree,
        now=datetime.now(UTC),
        timeouts=init.timeouts,
        components=setup.components,
        patches=_folder_of_patches(init.patches, given),
        dry_run=given.on("dry-run"),
        config_folder=given.text("kubeconfig-dir") or CONFIG_FOLDER,
        kubelet=Kubelet.of(root_of(given)),
        clock=clock or SystemClock(),
        report=report,
        this_node=this_node(given),
    )


def join_context(join: v4.JoinConfiguration, facts: Facts, given: Given, report: PhaseReport, clock: SystemClock) -> Context:
    """Returns the context of a node whose cluster is not known yet. Until discovery, it has an empty cluster configuration of
    the kubelet's version."""
    from quorate.config.defaults import default_cluster
    from quorate.host.kubelet import Kubelet
    from quorate.phases.base.context import Context

    assert join.timeouts is not None
    empty = v4.APIEndpoint(facts.address, 6443)
    return Context(
        cluster=default_cluster(v4.ClusterConfiguration(), facts),
        registration=join.node_registration,
        endpoint=join.control_plane.local_api_endpoint if join.control_plane else empty,
        host=host_facts(root_of(given)),
        tree=tree_for(given, report),
        now=datetime.now(UTC),
        timeouts=join.timeouts,
        patches=_folder_of_patches(join.patches, given),
        control_plane=join.control_plane is not None,
        dry_run=given.on("dry-run"),
        kubelet=Kubelet.of(root_of(given)),
        clock=clock,
        report=report,
        # The file of a join is none for the commands that init has.
        this_node=changed(this_node(given), config=""),
    )
