"""Trees of phases, what is checked before them, what is waited for, and rolling a join back."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace as with_changes
from pathlib import Path
from typing import Any

import pytest
from kubeadm_cases import MINIMAL, everything, setup_of
from msgspec.structs import replace

from quorate.config import types as v4
from quorate.config.defaults import Facts
from quorate.errors import ConfigError, HostError, PreflightFailed
from quorate.host.kubelet import Kubelet
from quorate.host.node import IPV4_FORWARD, NodeFacts
from quorate.phases.base.context import Context
from quorate.phases.base.runner import Phase, Steps, check_skipped, paths, run_all, run_one
from quorate.phases.cluster import admins
from quorate.phases.init import steps as init_steps
from quorate.phases.init import tree as init
from quorate.phases.join import steps as join_steps
from quorate.phases.join import tree as join
from quorate.phases.join import undo as undo_join
from quorate.phases.join.discovery import Found
from quorate.phases.join.found_cluster import FoundCluster
from quorate.phases.join.prepared_join import PreparedJoin
from quorate.phases.join.request import JoinAccount, JoinRequest
from quorate.phases.node import certs, run_marker
from quorate.phases.node.paths import may_be_made
from quorate.phases.reset import steps as reset_steps
from quorate.phases.reset import tree as reset
from quorate.phases.start import wait_healthy
from quorate.preflight import node
from quorate.report import Notice, RunMessage
from quorate.secret import Secret

# -- phases ------------------------------------------------------------------------------------------------------------


def test_phases_run_in_order_and_can_be_skipped() -> None:
    done: list[str] = []

    def old(name: str) -> Phase:
        return Phase(name, "", aliases=(f"old-{name}",))

    def step(name: str) -> Callable[[None], None]:
        return lambda _: done.append(name)

    tree = (old("a"), Phase("b", "", (old("c"), old("d"))), Phase("e", ""))
    steps: Steps[None] = Steps(
        {"a": step("a"), "b": step("b"), "b/c": step("c"), "b/d": step("d"), "e": step("e")}, when={"e": lambda _: False}
    )
    assert [path for path, _ in paths(tree)] == ["a", "b", "b/c", "b/d", "e"]
    for skipped, wanted in (((), "abcd"), (("b",), "a"), (("b/c", "a"), "bd"), (("old-a", "b/old-d"), "bc")):
        done.clear()
        run_all(tree, steps, None, skipped)
        assert "".join(done) == wanted
    for path, wanted in (("b/d", "d"), ("b", "bcd"), ("e", "")):
        done.clear()
        run_one(tree, steps, path, None)
        assert "".join(done) == wanted


def test_only_phases_of_the_first_level_are_timed() -> None:
    """The seconds of a parent are those of its children: a summary that had both counted them twice."""
    timed_phases: list[str] = []

    @contextmanager
    def around(name: str) -> Iterator[None]:
        timed_phases.append(name)
        yield

    tree = (Phase("a", "", (Phase("x", ""), Phase("y", ""))), Phase("b", ""))
    steps: Steps[None] = Steps({path: lambda _run: None for path in ("a/x", "a/y", "b")})
    run_all(tree, steps, None, (), around)
    assert timed_phases == ["a", "b"]


@pytest.mark.parametrize(
    ("tree", "steps"),
    [(init.TREE, init_steps.STEPS), (join.TREE, join_steps.STEPS), (reset.TREE, reset_steps.STEPS)],
    ids=["init", "join", "reset"],
)
def test_the_steps_are_those_of_the_tree(tree: tuple[Phase, ...], steps: Steps[Any]) -> None:
    """A path that is misspelt would be a phase that does nothing."""
    there = dict(paths(tree))
    checks = {join.PREFLIGHT} if tree is join.TREE else set[str]()
    """The checks of a join come before its steps: they find the cluster that these are given."""
    assert {*steps.do, *steps.when} <= set(there)
    assert {path for path, phase in there.items() if path not in steps.do and not phase.children} == checks


def test_phases_that_do_not_exist_cannot_be_skipped() -> None:
    with pytest.raises(ConfigError, match="there is no phase nonsense"):
        check_skipped((Phase("a", ""),), ["a", "nonsense"])


# -- preflight ---------------------------------------------------------------------------------------------------------

GOOD = NodeFacts(
    uid=0,
    cpus=4,
    memory_mb=8000,
    kernel="6.1",
    system="Linux",
    cgroup_v2=True,
    swap=False,
    programs=frozenset(["mount", "cp", "losetup"]),
    busy_ports=frozenset(),
    kubelet_version="v1.34.4",
    name_resolves=True,
    cri="",
    forwarding={IPV4_FORWARD: "1"},
    services={"kubelet": "loaded enabled active"},
)


def case(text: str = MINIMAL, there: tuple[str, ...] = (), **facts: object) -> node.NodeCase:
    setup = setup_of(text)
    changed = with_changes(GOOD, **facts)  # type: ignore[arg-type]
    return node.NodeCase(changed, setup.cluster, "cp1", "10.77.0.11", 6443, lambda path: path in there)


def names(one: node.NodeCase, checks: tuple[node.Check, ...] = node.INIT) -> set[tuple[str, str]]:
    return {(finding.name, finding.level) for finding in node.judge(one, checks, ())}


def test_each_check_of_a_node() -> None:
    assert names(case()) == set()
    for facts, wanted in (
        ({"uid": 1000}, ("IsPrivilegedUser", "error")),
        ({"cpus": 1}, ("NumCPU", "error")),
        ({"memory_mb": 1000}, ("Mem", "error")),
        ({"cri": "it does not answer"}, ("CRI", "error")),
        ({"swap": True}, ("Swap", "warning")),
        ({"cgroup_v2": False}, ("SystemVerification", "warning")),
        ({"system": "Plan9"}, ("SystemVerification", "error")),
        ({"name_resolves": False}, ("Hostname", "warning")),
        ({"kubelet_version": ""}, ("KubeletVersion", "error")),
        ({"kubelet_version": "v1.35.1"}, ("KubeletVersion", "error")),
        ({"kubelet_version": "v1.30.1"}, ("KubeletVersion", "error")),
        ({"services": {}}, ("Service-Kubelet", "warning")),
        ({"services": {"kubelet": "loaded disabled inactive"}}, ("Service-Kubelet", "warning")),
        ({"busy_ports": frozenset([10250])}, ("Port-10250", "error")),
        ({"busy_ports": frozenset([6443])}, ("Port-6443", "error")),
        ({"busy_ports": frozenset([2380])}, ("Port-2380", "error")),
        ({"forwarding": {}}, ("FileContent--proc-sys-net-ipv4-ip_forward", "error")),
        ({"programs": frozenset(["cp", "mount"])}, ("FileExisting-losetup", "error")),
        ({"proxies": {"https_proxy": "http://p", "no_proxy": "10.96.0.0/12"}}, ("HTTPProxy", "warning")),
        ({"proxies": {"https_proxy": "http://p", "no_proxy": "10.77.0.11"}}, ("HTTPProxyCIDR", "warning")),
    ):
        assert names(case(**facts)) == {wanted}
    assert names(case(there=("/etc/kubernetes/manifests/etcd.yaml",))) == {
        ("FileAvailable--etc-kubernetes-manifests-etcd.yaml", "error")
    }
    assert names(case(there=("/var/lib/etcd",))) == {("DirAvailable--var-lib-etcd", "error")}
    old = case(MINIMAL.replace("v1.34.4", "v1.29.6").replace("encryptionAlgorithm: ECDSA-P256", ""), kubelet_version="v1.29.6")
    assert ("FileExisting-conntrack", "error") in names(old) and ("FileExisting-socat", "warning") in names(old)
    newer = case(MINIMAL.replace("v1.34.4", "v1.35.4"), cgroup_v2=False)
    assert names(newer) == {("SystemVerification", "error")}


def test_an_external_etcd_is_checked_instead() -> None:
    text = MINIMAL + "etcd: {external: {endpoints: ['https://e:2379'], caFile: /e/ca.crt}}\n"
    assert names(case(text, busy_ports=frozenset([2379]))) == {("ExternalEtcdClientCertificates", "error")}


def test_errors_can_be_made_warnings_by_name_or_all() -> None:
    one = case(cpus=1, memory_mb=1)
    levels = {finding.name: finding.level for finding in node.judge(one, node.INIT, ("numcpu",))}
    assert levels == {"NumCPU": "warning", "Mem": "error"}
    assert {finding.level for finding in node.judge(one, node.INIT, ("all",))} == {"warning"}
    with pytest.raises(PreflightFailed, match=r"\[ERROR Mem\]") as error:
        node.refuse(node.judge(one, node.INIT, ()))
    assert error.value.exit_code == 2 and os.linesep in error.value.what
    rows = error.value.as_dict()["findings"]
    assert isinstance(rows, list) and {row["name"] for row in rows} == {"NumCPU", "Mem"}


# -- undoing a join ----------------------------------------------------------------------------------------------------


def prepared(context: Context) -> PreparedJoin:
    """A join of a cluster that nobody asks."""
    request = JoinRequest(context, v4.JoinConfiguration(), Facts("cp1", "10.0.0.1", "", "v1.34.4", ""))
    return PreparedJoin(FoundCluster(request, Found("https://127.0.0.1:1", b"", Secret(""))), context, {}, JoinAccount())


def test_an_undo_goes_on_when_the_kubelet_and_the_runtime_do_not(context: Context, tmp_path: Path) -> None:
    """Every step is tried; what failed is said; what was there before the join stays."""
    told: list[RunMessage] = []
    context = with_changes(context, kubelet=Kubelet("/bin/false"), report=told.append)
    context = with_changes(context, registration=replace(context.registration, cri_socket=f"unix://{tmp_path}/no.sock"))
    certs.ensure_named(context, "ca")
    noted, mark = run_marker.noting(context, run_marker.begin(context, "join", may_be_made(context)))
    everything(noted)
    run = prepared(noted)
    (tmp_path / "etc/kubernetes/admin.conf").unlink()
    assert undo_join.take_back(run, undo_join.look(run, mark())).endswith("but see the warnings")
    warned = [one.text for one in told if isinstance(one, Notice)]
    assert [text.partition(":")[0] for text in warned] == ["the kubelet may still run", "pods may still run"]
    assert sorted(str(path.relative_to(tmp_path / "etc")) for path in (tmp_path / "etc").rglob("*") if path.is_file()) == [
        "kubernetes/pki/ca.crt",
        "kubernetes/pki/ca.key",
    ]


def test_an_undo_leaves_the_object_of_a_node_that_was_there_before(context: Context) -> None:
    mark = run_marker.begin(context, "join", (), [undo_join.node_object(context)])
    assert undo_join.node_object(context) in mark.before
    assert undo_join.node_object(context) in run_marker.begin(context, "join", ()).before, "and a resumed run knows it, too"


@pytest.mark.parametrize(("code", "may_run"), [(0, True), (3, False), (4, False), (1, True)])
def test_a_kubelet_may_run_unless_systemd_says_that_it_does_not(tmp_path: Path, code: int, may_run: bool) -> None:
    """A systemctl that cannot ask said "it does not run", and its pod was stopped under a kubelet that starts it again."""
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(f"#!/bin/sh\nexit {code}\n")
    systemctl.chmod(0o755)
    assert Kubelet(str(systemctl)).may_run() is may_run
    systemctl.unlink()
    assert Kubelet(str(systemctl)).may_run(), "nobody can say"


def test_rights_that_the_api_server_denies_to_both_files_are_an_error(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer to super-admin.conf was not looked at: init went on with an admin.conf that may do nothing."""
    asked: list[str] = []

    def denied(_context: Context, path: str) -> bool:
        asked.append(path)
        return False

    monkeypatch.setattr(admins, "_create", denied)
    everything(context)
    with pytest.raises(PreflightFailed, match="denies both"):
        admins.ensure_cluster_admins(context, "/etc/kubernetes/admin.conf")
    assert asked == ["/etc/kubernetes/admin.conf", "/etc/kubernetes/super-admin.conf"]


def test_rights_that_were_given_are_used_once_the_api_server_grants_them(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine the request after the binding was still forbidden, and init ended."""
    answers = [False, True, False, False, True]
    asked: list[str] = []

    def create(_context: Context, path: str) -> bool:
        asked.append(path)
        return answers[len(asked) - 1]

    monkeypatch.setattr(admins, "_create", create)
    everything(context)
    admins.ensure_cluster_admins(context, "/etc/kubernetes/admin.conf")
    assert [path.rpartition("/")[2] for path in asked] == ["admin.conf", "super-admin.conf", *["admin.conf"] * 3]


# -- waiting for components --------------------------------------------------------------------------------------------


def test_a_component_that_cannot_start_ends_the_wait_for_the_others(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each may take four minutes; the first that is known to be lost is told at once."""
    context = with_changes(context, registration=replace(context.registration, cri_socket=f"unix://{tmp_path}/no.sock"))
    everything(context)

    def check(self: wait_healthy.CrashWatch) -> None:
        if self._name == "kube-scheduler":
            raise HostError("kube-scheduler cannot start")

    monkeypatch.setattr(wait_healthy.CrashWatch, "check", check)
    with pytest.raises(HostError, match="kube-scheduler cannot start"):
        wait_healthy.wait_components(context)
