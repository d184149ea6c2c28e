"""The functions of reset's phases."""

from __future__ import annotations

from quorate.phases.base.runner import Steps
from quorate.phases.reset import cleanup, etcd
from quorate.phases.reset.state import ResetRun, confirm

STEPS: Steps[ResetRun] = Steps(
    {"preflight": confirm, "remove-etcd-member": etcd.remove_member, "cleanup-node": cleanup.clean_up}
)
