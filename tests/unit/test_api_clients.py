"""The controller manager and the scheduler are started when the API server has their roles, and not before."""

from __future__ import annotations

from dataclasses import replace as with_changes
from pathlib import Path

import pytest
from kubeadm_cases import everything
from msgspec.structs import replace

from quorate.config.duration import Duration
from quorate.errors import HostError
from quorate.manifests.control_plane import PODS
from quorate.phases import doctor
from quorate.phases.base.context import Context
from quorate.phases.init import steps as init_steps
from quorate.phases.init.state import InitRun
from quorate.phases.node import static_pods
from quorate.phases.start import staged_start, wait_healthy
from unit.api_answers import Answer, serving

YES: Answer = (200, {})
NOT_YET: Answer = (404, {})
FORBIDDEN: Answer = (403, {})
STARTING: Answer = (500, {})


@pytest.fixture
def node(context: Context) -> Context:
    """With certificates and kubeconfig files, whose API server is at 127.0.0.1."""
    context = with_changes(context, endpoint=replace(context.endpoint, advertise_address="127.0.0.1"))
    everything(context)
    return context


def at(context: Context, port: int) -> Context:
    return with_changes(context, endpoint=replace(context.endpoint, bind_port=port))


def started(context: Context) -> set[str]:
    return {name for name in PODS if context.tree.is_file(static_pods.manifest_path(name))}


def test_a_whole_init_holds_them_back_and_a_phase_does_not(context: Context) -> None:
    run = InitRun(context, init=None, waits=True)  # type: ignore[arg-type]
    for name in PODS:
        init_steps.component(run, name)
    assert started(context) == {"kube-apiserver"} and staged_start.are_waiting(context)
    waiting = {name: static_pods.manifest(context, name) for name in staged_start.NAMES}
    staged_start.start(context)
    assert started(context) == set(PODS) and not staged_start.are_waiting(context)
    assert waiting == {name: context.tree.read(static_pods.manifest_path(name)) for name in staged_start.NAMES}
    context.tree.remove(static_pods.manifest_path("kube-scheduler"))
    init_steps.component(with_changes(run, waits=False), "kube-scheduler")
    assert "kube-scheduler" in started(context)


@pytest.mark.parametrize(
    ("answer", "there"), [(YES, True), (NOT_YET, False), (FORBIDDEN, False), (STARTING, False)], ids=["yes", "no", "403", "500"]
)
def test_whether_the_role_is_there_is_asked_once(node: Context, answer: Answer, there: bool) -> None:
    with serving([answer], node) as port:
        assert staged_start.have_roles(at(node, port)) is there


def test_nobody_who_answers_has_no_roles(node: Context) -> None:
    with serving([YES], node) as port:
        pass
    assert not staged_start.have_roles(at(node, port))


def hold_back(context: Context) -> None:
    for name in staged_start.NAMES:
        context.tree.remove(static_pods.manifest_path(name))
    static_pods.stage(context, staged_start.NAMES, "told")


def test_they_are_started_when_the_role_is_made(node: Context) -> None:
    hold_back(node)
    answers = [STARTING, NOT_YET, NOT_YET, YES]
    with serving(answers, node) as port:
        together = wait_healthy.HealthWait(at(node, port), 10.0)
        together.start_clients()
    assert started(node) == set(PODS) and together.started.is_set()
    assert answers == [YES], "it was asked until the role was there"


def test_they_are_started_beside_a_healthy_api_server_whatever_it_says(node: Context) -> None:
    """An administrator without rights, or roles by other names, must not keep a control plane from coming up."""
    hold_back(node)
    with serving([FORBIDDEN], node) as port:
        together = wait_healthy.HealthWait(at(node, port), 10.0)
        together.healthy.set()
        together.start_clients()
    assert started(node) == set(PODS)


def test_they_are_not_started_when_the_wait_is_in_vain(node: Context) -> None:
    hold_back(node)
    with serving([NOT_YET], node) as port:
        together = wait_healthy.HealthWait(at(node, port), 10.0)
        together.in_vain.set()
        together.start_clients()
    assert started(node) == {"kube-apiserver"} and not together.started.is_set()


def test_they_are_not_waited_for_before_they_are_started(node: Context, tmp_path: Path) -> None:
    """What the API server lacks must not be told as theirs: where it never answers, theirs is not the error."""
    timeouts = replace(node.timeouts, control_plane_component_health_check=Duration(300_000_000))
    node = with_changes(node, timeouts=timeouts)
    node = with_changes(node, registration=replace(node.registration, cri_socket=f"unix://{tmp_path}/no.sock"))
    hold_back(node)
    with pytest.raises(HostError, match="kube-apiserver is not healthy"):
        wait_healthy.wait_components(node)
    assert started(node) == {"kube-apiserver"}


def test_a_manifest_that_is_written_makes_one_that_waits_void(node: Context) -> None:
    """The old one would be put in its place by the next wait."""
    hold_back(node)
    static_pods.write_control_plane()(node)
    assert not staged_start.are_waiting(node) and started(node) == set(PODS)


def test_the_doctor_names_what_was_never_started(node: Context) -> None:
    hold_back(node)
    for name in ("etcd", "kube-apiserver"):
        node.tree.remove(static_pods.manifest_path(name))
    found = [one.text for one in doctor.check_pods(node, "")]
    assert len(found) == 2 and all("/etc/kubernetes/manifests/." in text for text in found)


def test_what_has_no_manifest_is_not_waited_for(node: Context) -> None:
    """Its phase was skipped: whoever did that runs it elsewhere, or later."""
    for name in PODS:
        node.tree.remove(static_pods.manifest_path(name))
    wait_healthy.wait_components(node)


def test_an_api_server_that_cannot_start_ends_the_wait_for_those_that_were_never_started(
    node: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = with_changes(node, registration=replace(node.registration, cri_socket=f"unix://{tmp_path}/no.sock"))
    hold_back(node)

    def check(self: wait_healthy.CrashWatch) -> None:
        if self._name == "kube-apiserver":
            raise HostError("kube-apiserver cannot start")

    monkeypatch.setattr(wait_healthy.CrashWatch, "check", check)
    with pytest.raises(HostError, match="kube-apiserver cannot start"):
        wait_healthy.wait_components(node)
    assert started(node) == {"kube-apiserver"}
