"""Manifests that patches have spoilt: refused before they are written, and by name. A reset has to read etcd's later."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from kubeadm_cases import MINIMAL, context_of, setup_of

from quorate.errors import ConfigError
from quorate.phases.node import etcd_manifest, static_pods

ETCD, API = "etcd", "kube-apiserver"
EXTERNAL = "etcd: {external: {endpoints: ['https://192.0.2.9:2379'], caFile: /a, certFile: /b, keyFile: /c}}\n"


def write(root: Path, name: str, patch: str, *, target: str = ETCD, arguments: str = "") -> Path:
    """Writes the manifest of a component with one patch of that name; returns its path."""
    folder = root / "patches"
    folder.mkdir()
    if patch:
        (folder / name).write_text(patch)
    text = MINIMAL + (f"etcd: {{local: {{extraArgs: [{arguments}]}}}}\n" if arguments else "")
    context = replace(context_of(setup_of(text), root), patches="/patches")
    if target == ETCD:
        static_pods.write_etcd(context)
    else:
        static_pods.write_control_plane(target)(context)
    return root / f"etc/kubernetes/manifests/{target}.yaml"


@pytest.mark.parametrize("target", [ETCD, API])
@pytest.mark.parametrize(
    "patch",
    [
        "{spec: null}",
        "{spec: x}",
        "{spec: []}",
        "{spec: {containers: null}}",
        "{spec: {containers: x}}",
        "{spec: {containers: [x]}}",
        "{spec: {containers: []}}",
        "{spec: {initContainers: x}}",
        "{spec: {initContainers: [[]]}}",
        "{kind: Deployment}",
        "{apiVersion: apps/v1}",
        "{metadata: x}",
    ],
)
def test_what_a_patch_leaves_is_still_a_pod(tmp_path: Path, target: str, patch: str) -> None:
    name = f"{target}+merge.yaml"
    with pytest.raises(ConfigError) as error:
        write(tmp_path, name, patch, target=target)
    assert f"the patches {name} do not leave {target} a pod" in error.value.what
    assert not (tmp_path / f"etc/kubernetes/manifests/{target}.yaml").exists()


@pytest.mark.parametrize(
    ("patch", "why"),
    [
        ("{spec: {containers: [{name: etcd, command: []}]}}", "not etcd itself"),
        ("{spec: {containers: [{name: etcd, command: [sh, -c, etcd]}]}}", "not etcd itself"),
        ("{spec: {containers: [{name: a}, {name: b}]}}", "2 containers that may be etcd"),
        ("{spec: {containers: [{name: etcd, command: [etcd]}]}}", "does not set --data-dir"),
        ("{spec: {containers: [{name: etcd, command: [etcd, --config-file=/x]}]}}", "its settings are in a file"),
    ],
)
def test_an_etcd_that_a_reset_could_not_read_is_not_written(tmp_path: Path, patch: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as error:
        write(tmp_path, "etcd0+merge.yaml", patch)
    assert error.value.what.startswith("the patches etcd0+merge.yaml: the manifest ")
    assert not (tmp_path / "etc/kubernetes/manifests/etcd.yaml").exists()


def test_a_log_elsewhere_is_refused(tmp_path: Path) -> None:
    """By its log alone it is known whose data it is: a join's undo deleted that of a voter."""
    with pytest.raises(ConfigError, match=r"the extra arguments of etcd: its log would be elsewhere \(--wal-dir\)"):
        write(tmp_path, "", "", arguments="{name: wal-dir, value: /var/lib/etcd/wal}")


def test_an_argument_that_hides_the_others_is_refused_as_well(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"the extra arguments of etcd: the manifest .* cannot be understood"):
        write(tmp_path, "", "", arguments="{name: config-file, value: /x}")


@pytest.mark.parametrize(
    "patch",
    [
        "{spec: {containers: [{name: etcd, resources: {limits: {cpu: 1}}}, {name: beside, image: x}]}}",
        "{spec: {initContainers: null, priorityClassName: x}}",
        "{metadata: {annotations: {a: b}}}",
    ],
)
def test_a_patch_that_leaves_an_etcd_is_taken(tmp_path: Path, patch: str) -> None:
    path = write(tmp_path, "etcd.yaml", patch)
    assert etcd_manifest.parse(path.read_bytes(), str(path)).data_dir == "/var/lib/etcd"


@pytest.mark.parametrize(("target", "etcd", "fails"), [(ETCD, "", True), (API, "", True), (ETCD, EXTERNAL, False)])
def test_all_manifests_are_made_before_the_first_change(tmp_path: Path, target: str, etcd: str, fails: bool) -> None:
    """A join with a bad patch for etcd had added its learner before it was refused."""
    (tmp_path / "patches").mkdir()
    (tmp_path / f"patches/{target}+merge.yaml").write_text("{spec: null}")
    context = replace(context_of(setup_of(MINIMAL + etcd), tmp_path), patches="/patches")
    with pytest.raises(ConfigError, match=f"do not leave {target} a pod") if fails else nullcontext():
        static_pods.check_manifests(context)
    assert not (tmp_path / "etc").exists()
