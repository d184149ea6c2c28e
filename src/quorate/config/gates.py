"""kubeadm's feature gates by Kubernetes minor version: their names, defaults and locks.

Source: kubeadm's feature list of each release, facts gathered from its changelogs and checked against built versions.
"""

from __future__ import annotations

from msgspec import Struct

from quorate.config.problems import Problems

LEARNER = "EtcdLearnerMode"
_FOREVER = 999


class Gate(Struct, frozen=True):
    """A feature gate. `since` and `gone`: the first minor version that knows the name, and the first that does not. `on` and
    `locked`: the first minor version where the gate is on by default, and where it cannot be switched off."""

    name: str
    since: int
    gone: int = _FOREVER
    on: int = _FOREVER
    locked: int = _FOREVER


GATES = (
    Gate("ControlPlaneKubeletLocalMode", 31, gone=36, on=33, locked=35),
    Gate(LEARNER, 27, gone=33, on=29, locked=32),
    Gate("NodeLocalCRISocket", 32, on=34, locked=36),
    Gate("PublicKeysECDSA", 19),
    Gate("RootlessControlPlane", 22),
    Gate("UpgradeAddonsBeforeControlPlane", 28, gone=31),
    Gate("WaitForAllControlPlaneComponents", 30, gone=35, on=33, locked=34),
)


def known(minor: int) -> list[str]:
    """Returns the names that a minor version knows."""
    return [gate.name for gate in GATES if gate.since <= minor < gate.gone]


def is_on(name: str, minor: int, given: dict[str, bool]) -> bool:
    """Returns whether a gate is on: locked, given, or by default."""
    gate = next(gate for gate in GATES if gate.name == name)
    if minor >= gate.locked:
        return True
    return given.get(name, minor >= gate.on)


def wants_voter_join(given: dict[str, bool]) -> bool:
    """Returns whether the user switched learner mode off. In 1.27 and 1.28 the gate is off by default, but a join through a
    learner is possible, and safer."""
    return given.get(LEARNER) is False


def check(given: dict[str, bool], minor: int, problems: Problems) -> list[str]:
    """Adds problems with the given gates to `problems`; returns notes for the user.

    `EtcdLearnerMode: true` is accepted on every version, so that existing files keep working: where the gate is locked on or
    gone, every join uses a learner anyway. kubeadm 1.33 and newer refuse the name.
    """
    notes: list[str] = []
    for name, value in sorted(given.items()):
        gate = next((gate for gate in GATES if gate.name == name), None)
        path = f"featureGates.{name}"
        if gate is not None and name == LEARNER and minor >= gate.locked:
            _check_learner(value, minor, problems, notes)
        elif gate is None or not gate.since <= minor < gate.gone:
            problems.add(path, f"Kubernetes 1.{minor} has no such feature gate; it has {', '.join(known(minor))}")
        elif minor >= gate.locked and not value:
            problems.add(path, f"this gate is locked on since Kubernetes 1.{gate.locked} and cannot be switched off")
        elif name == LEARNER and not value:
            notes.append(
                f"{LEARNER}: false: every new etcd member has a vote before it runs and before it has the data. With one "
                "member so far, all writes stop until the new one runs, and a join that fails cannot be rolled back. Delete "
                "this line"
            )
    return notes


def _check_learner(value: bool, minor: int, problems: Problems, notes: list[str]) -> None:  # noqa: FBT001
    if not value:
        problems.add(
            f"featureGates.{LEARNER}", f"learner mode cannot be switched off since Kubernetes 1.32, and this is 1.{minor}"
        )
        return
    notes.append(f"{LEARNER}: true: every join uses a learner since Kubernetes 1.32; you can delete this line")
