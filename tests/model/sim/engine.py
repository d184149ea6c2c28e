"""What the simulation takes from the engine beside its channels and messages. Where a module moves, this file follows."""

from __future__ import annotations

# The verbs import what they need when they need it: here all of it must be there before the clock is put in.
from quorate.etcd.autopilot import act, loop, observer
from quorate.etcd.cluster import Cluster
from quorate.etcd.coordination import learner_seat, pending_joins
from quorate.etcd.membership import engine, join, register, removal_judge, remove, replacement, turn
from quorate.etcd.membership.join_state import JoinPolicy
from quorate.etcd.membership.runtime import JoinSpec, Process
from quorate.etcd.observation import absence_watch, member_list_check

__all__ = ["LOADED", "Cluster", "JoinPolicy", "JoinSpec", "Process"]

LOADED = (
    act,
    loop,
    observer,
    learner_seat,
    pending_joins,
    engine,
    turn,
    join,
    register,
    remove,
    removal_judge,
    replacement,
    absence_watch,
    member_list_check,
)
