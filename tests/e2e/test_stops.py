"""Joins that somebody stops: with a signal they are rolled back while that is possible, and else the same command finishes."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from e2e.kubelab import KubeLab, KubeNode
from e2e.steps import Action, Joining, at_events, error_of, files_left, init, joined, members, ready, taken_off

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]


def send(number: int) -> Action:
    def act(running: subprocess.Popen[str]) -> None:
        os.kill(running.pid, number)

    return act


def test_signals_stop_a_join_and_leave_what_can_be_gone_on_from(lab: KubeLab) -> None:
    first, second = lab.node("cp1"), lab.node("cp2")
    joining = init(first)
    taken_back(first, second, joining, signal.SIGTERM, "line download-certs #2")
    taken_back(first, second, joining, signal.SIGINT, "progress catch-up")
    leaves_at_once(second, joining)
    joined(second, joining.control_plane(second))
    assert members(first) == {"cp1": "voter", "cp2": "voter"}
    taken_off(first, second)
    goes_on(first, second, joining)


def taken_back(first: KubeNode, second: KubeNode, joining: Joining, number: int, moment: str) -> None:
    code, events, said = at_events(second, [(moment, send(number))], *command(second, joining))
    error = error_of(events)
    assert (code, error["code"]) == (130, "interrupted") and "was deleted" in error["state"], said
    assert members(first) == {"cp1": "voter"} and files_left(second) == []
    assert "cp2" not in first.kubectl("get", "nodes").stdout
    assert not second.runs("kubelet")


def leaves_at_once(second: KubeNode, joining: Joining) -> None:
    """Once more, while it rolls back: nobody knows then how far it came, and the exit code says so."""
    actions = [("progress catch-up", send(signal.SIGINT)), ("progress undo", send(signal.SIGINT))]
    code, _events, said = at_events(second, actions, *command(second, joining))
    assert code == 5 and "run the same command again" in said, said


def goes_on(first: KubeNode, second: KubeNode, joining: Joining) -> None:
    """Its etcd has a vote: that is not rolled back, not even for a terminal that goes away."""
    code, events, said = at_events(second, [("line mark-control-plane", send(signal.SIGHUP))], *command(second, joining))
    error = error_of(events)
    assert (code, error["code"]) == (130, "interrupted") and "nothing was rolled back" in error["state"], said
    assert members(first) == {"cp1": "voter", "cp2": "voter"}
    joined(second, joining.control_plane(second))
    ready(first, "cp1", "cp2")


def command(node: KubeNode, joining: Joining) -> list[str]:
    return ["quorate", "join", *joining.control_plane(node), "--node-name", node.name]
