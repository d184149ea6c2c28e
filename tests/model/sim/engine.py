"""What the simulation takes from the engine beside its channels and messages. Where a module moves, this file follows."""

from __future__ import annotations

# The verbs import what they need when they need it: here all of it must be there before the clock is put in.
from quorate.etcd.cluster import Cluster
from quorate.etcd.coordination import learner_seat, pending_joins
from quorate.etcd.membership import join, register, remove, replacement
from quorate.etcd.membership.runtime import JoinSpec, Process
from quorate.etcd.observation import absence_watch, member_list_check

__all__ = ["LOADED", "Cluster", "JoinSpec", "Process"]

LOADED = (learner_seat, pending_joins, join, register, remove, replacement, absence_watch, member_list_check)
