"""The files of a systemd unit on a node: the unit, its other names, and the drop-ins of each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from quorate.errors import HostError
from quorate.phases.base.node_files import is_masked
from quorate.tree import Tree

_BASES = ("/etc", "/run", "/usr/local/lib", "/usr/lib", "/lib")
_FOLDERS = (
    *(f"{base}/systemd/{kind}" for kind in ("system", "system.control", "system.attached") for base in _BASES),
    *(f"/run/systemd/{kind}" for kind in ("generator", "generator.early", "generator.late", "transient")),
)
_BY_WEIGHT = (
    *("/etc/systemd/system.control", "/run/systemd/system.control", "/run/systemd/transient", "/run/systemd/generator.early"),
    *("/etc/systemd/system", "/etc/systemd/system.attached", "/run/systemd/system", "/run/systemd/system.attached"),
    *("/run/systemd/generator", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"),
    "/run/systemd/generator.late",
)
"""As in systemd.unit(5)."""
_AT_BOOT = ("multi-user.target", "graphical.target", "default.target", "basic.target", "sysinit.target")
_WANTING = ("wants", "requires", "upholds")
_SUFFIX, _DROP_INS = ".service", ".conf"
_MANAGER = tuple(f"{base}/systemd/system{_DROP_INS}" for base in _BASES)


def unit_files(tree: Tree, unit: str) -> list[str]:
    """Returns the units and drop-ins that say how a service is started, also by its other names, and those of systemd itself,
    whose variables every service gets."""
    names = _names_of(tree, unit)
    units = [f"{folder}/{name}" for name in names for folder in _FOLDERS]
    drop_ins = [f"{folder}/{name}.d" for name in [*_shared_by(names), *names] for folder in _FOLDERS]
    found = [f"{folder}/{name}" for folder in drop_ins for name in tree.names(folder) if name.endswith(_DROP_INS)]
    return [*units, *found, *_of_manager(tree)]


def drop_ins_in_force(tree: Tree, unit: str) -> list[str]:
    """Returns the drop-ins that systemd reads for certain: of those of one name the first by the weight of their folders,
    unless it is masked; none of a name that kubelet.service.d and service.d both have: one of them hides the other."""
    names = _names_of(tree, unit)
    found: dict[tuple[str, str], str] = {}
    for folder in _BY_WEIGHT:
        for shared in (*_shared_by(names), *names):
            for name in tree.names(f"{folder}/{shared}.d"):
                if name.endswith(_DROP_INS):
                    found.setdefault((shared, name), f"{folder}/{shared}.d/{name}")
    shared_names = [name for _, name in found]
    return [
        path
        for (_, name), path in found.items()
        if shared_names.count(name) == 1 and not is_masked(tree, path) and tree.read(path)
    ]


def is_enabled(tree: Tree, unit: str) -> bool:
    """Returns whether a target of the usual boot wants a unit: one that nobody wants is not what starts the program that it
    names."""
    names = _names_of(tree, unit)
    wanting = [f"{folder}/{target}.{kind}" for folder in _FOLDERS for target in _AT_BOOT for kind in _WANTING]
    links = [f"{folder}/{name}" for folder in wanting for name in names if name in tree.names(folder)]
    return bool(links) and not any(is_masked(tree, one) for one in links)


def in_force(tree: Tree, unit: str) -> str:
    """Returns the file of a unit that systemd reads; those of the same name in other folders are hidden by it. Empty where
    there is none."""
    paths = (f"{folder}/{name}" for folder in _BY_WEIGHT for name in _names_of(tree, unit))
    return next((one for one in paths if is_masked(tree, one) or tree.is_file(one)), "")


def _of_manager(tree: Tree) -> Iterator[str]:
    for path in _MANAGER:
        yield path
        yield from (f"{path}.d/{name}" for name in tree.names(f"{path}.d") if name.endswith(_DROP_INS))


def _names_of(tree: Tree, unit: str) -> list[str]:
    """Returns all names of a unit: those that link to it, those that it is a link to, and so on."""
    links = [(name, target) for folder in _FOLDERS for name, target in _links_in(tree, folder)]
    known = [unit]
    for name in known:
        known += [other for pair in links if name in pair for other in pair if other not in known]
    return list(dict.fromkeys(known))


def _links_in(tree: Tree, folder: str) -> Iterator[tuple[str, str]]:
    for name in tree.names(folder):
        if name.endswith(_SUFFIX):
            with suppress(OSError, HostError):
                target = (tree.at(folder) / name).readlink().name
                if target.endswith(_SUFFIX):
                    yield name, target


def _shared_by(names: list[str]) -> list[str]:
    """Returns the names of drop-ins for several services: all, and those that begin alike up to a dash."""
    begins = [name[: at + 1] for name in names for at, letter in enumerate(name.removesuffix(_SUFFIX)) if letter == "-"]
    return ["service", *(f"{begin}{_SUFFIX}" for begin in dict.fromkeys(begins))]
