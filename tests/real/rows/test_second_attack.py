"""Rows of the second attack on plain etcds: whose row a node's is, pauses behind the last step, and a NEW that cannot join.
Those of local clusters are in `test_second_attack_local.py`, those that need links in `test_second_attack_links.py`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from quorate.deadline import SystemClock
from quorate.errors import Refused
from quorate.etcd.client.connections import Access
from quorate.etcd.client.endpoint import Endpoint
from quorate.etcd.cluster import Cluster
from quorate.phases.node.etcd_manifest import LocalEtcd
from quorate.phases.reset import etcd as etcd_leave
from quorate.phases.reset.state import ResetRun
from quorate.tree import RealTree
from real.rows.harness import Done, Etcd, Lab, Point, Tool, endpoints

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]


# -- a node that is reset ------------------------------------------------------------------------------------------------


def leave(patch: pytest.MonkeyPatch, etcd: Etcd, *others: Etcd) -> None:
    """The step of `kubeadm reset` that decides whether this node's data may be deleted; it returns when it may."""

    @contextmanager
    def reached(*_: object, without_own: bool = False) -> Iterator[Cluster]:
        seeds = [Endpoint.parse(one.client_url) for one in ([] if without_own else [etcd]) + [*others]]
        with Access(None, None) as access:
            yield Cluster(access, seeds)

    patch.setattr(etcd_leave, "whole_cluster", reached)
    # The node's root is the member's own folder: its notes must not be made on this machine.
    tree = RealTree(etcd.folder)
    run = ResetRun(reset=None, tree=tree, clock=SystemClock(), report=lambda _: None, ask=lambda _: False)  # type: ignore[arg-type]
    data = f"/{etcd.data.relative_to(etcd.folder)}"
    local = LocalEtcd(etcd.name, (etcd.peer_url,), (etcd.client_url,), {}, (etcd.client_url,), data)
    etcd_leave._note_owner(run, local)
    etcd_leave._leave(run, local)


def test_a2_a_reset_removes_a_member_whose_peer_url_was_corrected(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Taken for one that is not listed any more, its data would be deleted beside a row with a vote."""
    # So that etcd removes it at once, and not only when all links are five seconds old.
    a, b, c = (lab.etcd(name, more=("--strict-reconfig-check=false",)) for name in "abc")
    lab.bootstrap(a, b, c)
    corrected = c.peer_url.replace("127.0.0.1", "localhost")
    lab.must(a, "member", "update", lab.id_of(a, "c"), f"--peer-urls={corrected}")
    c.name = "c-in-the-manifest"
    leave(monkeypatch, c, a, b)
    lab.sound(a, {"a", "b"})


def test_a2_a_reset_refuses_where_another_cluster_answers_or_the_data_cannot_be_read(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = lab.etcd("a"), lab.etcd("b")
    lab.bootstrap(a)
    lab.bootstrap(b)
    here = Etcd("b", b.program, b.folder, b.peer_url, a.client_url)
    with pytest.raises(Refused, match="cluster"):
        leave(monkeypatch, here, a)
    b.kill()
    for log in (b.data / "member" / "wal").glob("*.wal"):
        log.write_bytes(b"\0" * 4096)
    with pytest.raises(Refused, match="read"):
        leave(monkeypatch, here, a)
    lab.sound(a, {"a"})


# -- the members stand still behind the last step ----------------------------------------------------------------------


def ends_while_they_stand_still(tool: Tool, members: Sequence[Etcd]) -> Done:
    """The tool stands still at its point; it is to end before the members go on."""
    tool.wait_stopped()
    for member in members:
        member.pause()
    tool.go_on()
    done = tool.end(90)
    for member in members:
        member.go_on()
    return done


@pytest.mark.chaos
def test_c1_a_removal_that_was_carried_out_is_a_success_whoever_stands_still_behind_it(each_lab: Lab) -> None:
    a, b, c, _ = each_lab.voters("a", "b", "c", "d")
    time.sleep(5.5)
    tool = each_lab.quorate("etcd", "remove", "d", endpoints(a, b, c), points=[Point("after MemberRemove")])
    done = ends_while_they_stand_still(tool, [a, b, c])
    assert set(each_lab.roles(a)) == {"a", "b", "c"}
    assert done.code == 0, done


@pytest.mark.chaos
def test_c1_a_member_that_was_added_is_a_success_whoever_stands_still_behind_it(lab: Lab) -> None:
    """As etcdctl does it, which prints what etcd answered."""
    a, b, c = lab.voters("a", "b", "c")
    d = lab.etcd("d")
    time.sleep(5.5)
    arguments = ["etcd", "member", "add", "d", "--learner", f"--peer-urls={d.peer_url}", endpoints(a, b, c)]
    tool = Tool(lab.folder / "run-member-add", arguments, [Point("after MemberAdd")])
    lab.tools.append(tool)
    done = ends_while_they_stand_still(tool, [a, b, c])
    assert "learner" in lab.roles(a).values()
    assert done.code == 0, done


@pytest.mark.chaos
@pytest.mark.parametrize("event", ["after DeleteRange", "after LeaseRevoke"])
def test_c1_a_join_is_a_success_whoever_stands_still_behind_its_last_call(lab: Lab, event: str) -> None:
    a, b, c = lab.voters("a", "b", "c")
    joiner = lab.etcd("d")
    time.sleep(5.5)
    tool = lab.add(joiner, [a, b, c], points=[Point(event, since="after MemberPromote")])
    done = ends_while_they_stand_still(tool, [a, b, c, joiner])
    assert done.code == 0, done
    lab.sound(a, {"a", "b", "c", "d"})


# -- replace -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("why", ["its name cannot be one", "its data folder is not empty"])
def test_c3_a_dead_member_stays_where_its_successor_cannot_join(lab: Lab, why: str) -> None:
    """It is to be removed first, and behind that nobody would take its place."""
    a, b, c = lab.voters("a", "b", "c")
    c.kill()
    joiner = lab.etcd("d")
    if why.startswith("its name"):
        joiner.name = "d=e"
    else:
        joiner.data.mkdir(parents=True)
        (joiner.data / "somebodys").touch()
    tool = lab.add(joiner, [a, b], verb="replace c")
    done = tool.end()
    assert done.code != 0, done
    changes = [event for _, event in tool.trace if event.startswith("before Member") and event != "before MemberList"]
    assert changes == [], done
    assert lab.roles(a) == dict.fromkeys("abc", "voter")
