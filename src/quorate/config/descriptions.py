"""What each kind and each field of kubeadm's kinds means: for `config explain` and for editors.

The texts are in `descriptions.json`. Its keys are the class and the field of `config.types` and `config.v1beta3`; `*` stands
for each class that has the field.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from quorate.config.validate import ALGORITHMS, EFFECTS, POLICIES, UNMOUNT_FLAGS, USAGES
from quorate.foreign.documents import read_object

_TABLE = Path(__file__).with_name("descriptions.json")
CHOICES: Final = {
    "BootstrapToken.usages": USAGES,
    "ClusterConfiguration.encryption_algorithm": ALGORITHMS,
    "NodeRegistration.image_pull_policy": POLICIES,
    "ResetConfiguration.unmount_flags": UNMOUNT_FLAGS,
    "Taint.effect": EFFECTS,
    "UpgradeApply.image_pull_policy": POLICIES,
    "UpgradeNode.image_pull_policy": POLICIES,
}
"""The values that a field can have; of a list, those of its items."""


@lru_cache(maxsize=1)
def texts() -> dict[str, dict[str, str]]:
    """Returns the texts of kinds and of fields."""
    found: Any = read_object(_TABLE.read_bytes(), _TABLE.name)
    return dict(found)


def describe_kind(kind: str) -> str:
    return texts()["kinds"][kind]


def describe(made: str, field: str) -> str:
    """Returns what a field of a class means; empty when nothing is written about it."""
    found = texts()["fields"]
    return found.get(f"{made}.{field}", "") or found.get(f"*.{field}", "")
