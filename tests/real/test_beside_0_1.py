"""A run of version 0.1 beside a new one: they take turns, and neither takes the other's learner for its own."""

from __future__ import annotations

import json
import threading

import pytest

from quorate.core.ids import format_id
from quorate.etcd.client import kv, lease
from quorate.etcd.cluster import Cluster
from quorate.etcd.membership import member_rpc
from quorate.etcd.membership.join_state import JoinPolicy
from quorate.report import Recorder
from real.machines import Machine, until

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]


def test_a_running_join_of_0_1_is_waited_for_and_its_learner_is_left_to_it(machine: Machine, target: Cluster) -> None:
    view = target.status()
    channel = target.access.channel(target.endpoints[0])
    url = "https://127.0.0.1:9"
    fields = {"run": "89ab", "name": "old", "peerURL": url, "clusterId": format_id(view.cluster_id), "host": "h", "pid": 7}
    granted = lease.grant(channel, 60, timeout=5)
    kv.put(channel, b"/quorate/seat/89ab", json.dumps(fields).encode(), timeout=5, lease=granted)
    kv.put(channel, b"/quorate/joins/old", json.dumps(fields).encode(), timeout=5)
    theirs = member_rpc.add_learner(channel, [url], timeout=5).member_id
    told, failed = Recorder(), list[BaseException]()

    def join() -> None:
        try:
            Cluster(target.access, target.endpoints, report=told, policy=JoinPolicy(30)).add(
                "m9", machine.peer_url, start=machine.start
            )
        except BaseException as error:
            failed.append(error)

    ours = threading.Thread(target=join)
    ours.start()
    until(lambda: any("waiting for the join of 'old'" in message.text for message in told.messages))
    assert [member.id for member in target.status().learners] == [theirs], "it is left to them"
    # The old one finishes: its learner goes, its place is free.
    member_rpc.remove(channel, theirs, timeout=5)
    lease.revoke(channel, granted, timeout=5)
    ours.join(60)
    assert failed == [] and {member.name for member in target.status().voters} == {"m1", "m9"}
