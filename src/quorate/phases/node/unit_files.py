"""The files of a systemd unit on a node: the unit, its other names, and the drop-ins of each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from quorate.errors import HostError
from quorate.tree import Tree

_BASES = ("/etc", "/run", "/usr/local/lib", "/usr/lib", "/lib")
_FOLDERS = (
    *(f"{base}/systemd/{kind}" for kind in ("system", "system.control", "system.attached") for base in _BASES),
    *(f"/run/systemd/{kind}" for kind in ("generator", "generator.early", "generator.late", "transient")),
)
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


def is_enabled(tree: Tree, unit: str) -> bool:
    """Returns whether something that is started at boot wants a unit: one that nobody wants is not what starts the program that
    it names."""
    names = frozenset(_names_of(tree, unit))
    wanting = (
        f"{folder}/{name}" for folder in _FOLDERS for name in tree.names(folder) if name.endswith((".wants", ".requires"))
    )
    return any(not names.isdisjoint(tree.names(one)) for one in wanting)


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
