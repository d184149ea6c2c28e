"""What quorate writes beside what real kubeadms wrote: stored output of four releases."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from kubeadm_cases import CASES, FACTS, GOLDEN, Case, context_of
from oracle.trees import certificate_fields

from quorate.config.load import load
from quorate.config.printing import init_defaults, join_defaults, migrated, reset_defaults, upgrade_defaults
from quorate.manifests.images import all_images
from quorate.phases.node import certs, kubeconfigs, kubelet_files, static_pods


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return Case(GOLDEN / request.param)


def test_manifests_are_kubeadms_byte_for_byte(case: Case, tmp_path: Path) -> None:
    context = context_of(case.setup, tmp_path)
    static_pods.write_etcd(context)
    static_pods.write_control_plane()(context)
    made = tmp_path / "etc/kubernetes/manifests"
    wanted = case.folder / "manifests"
    assert sorted(path.name for path in made.iterdir()) == sorted(path.name for path in wanted.iterdir())
    for path in wanted.iterdir():
        assert (made / path.name).read_text() == path.read_text()


def test_kubelet_files_are_kubeadms_byte_for_byte(case: Case, tmp_path: Path) -> None:
    kubelet_files.write_all(context_of(case.setup, tmp_path))
    made, wanted = tmp_path / "var/lib/kubelet", case.folder / "var-lib-kubelet"
    assert sorted(path.name for path in made.iterdir()) == sorted(path.name for path in wanted.iterdir())
    for path in wanted.iterdir():
        assert (made / path.name).read_text() == path.read_text()


def test_certificates_say_what_kubeadms_say(case: Case, tmp_path: Path) -> None:
    context = context_of(case.setup, tmp_path)
    certs.ensure_all(context)
    kubeconfigs.ensure_all(context)
    folder = tmp_path / "etc/kubernetes"
    stored = {name: one for name, one in case.pki.items() if name.endswith(".crt")}
    made = {str(path.relative_to(folder)) for path in folder.rglob("*.crt")}
    assert made == set(stored)
    for name, wanted in stored.items():
        got = certificate_fields(x509.load_pem_x509_certificate((folder / name).read_bytes()))
        assert got["subject"].split(",")[::-1] == wanted["subject"].split(",") or got["subject"] == wanted["subject"], name
        assert got["issuer"] == wanted["issuer"] and got["key"] == wanted["key"], name
        assert got["minutes"] // (24 * 60) == int(wanted["validity_days"]), name
        names = wanted.get("subjectAltName", {}).get("value", [])
        assert got["extensions"].get("subjectAltName", (False, []))[1] == names, name
        extensions = {key for key in wanted if isinstance(wanted[key], dict) and "critical" in wanted[key]}
        assert set(got["extensions"]) == extensions, name
        assert {key: got["extensions"][key][0] for key in extensions} == {key: wanted[key]["critical"] for key in extensions}


def test_kubeconfigs_are_kubeadms(case: Case, tmp_path: Path) -> None:
    context = context_of(case.setup, tmp_path)
    certs.ensure_all(context)
    kubeconfigs.ensure_all(context)
    for name, one in case.pki.items():
        if "kubeconfig" not in one:
            continue
        got = yaml.safe_load((tmp_path / "etc/kubernetes" / name).read_text())
        got["clusters"][0]["cluster"]["certificate-authority-data"] = "<CA>"
        got["users"][0]["user"] = dict.fromkeys(got["users"][0]["user"], "<PEM>")
        assert got == one["kubeconfig"], name


def test_modes_are_kubeadms(case: Case, tmp_path: Path) -> None:
    context = context_of(case.setup, tmp_path)
    certs.ensure_all(context)
    kubeconfigs.ensure_all(context)
    static_pods.write_etcd(context)
    static_pods.write_control_plane()(context)
    top = tmp_path / "etc/kubernetes"
    made = {
        f"{stat.filemode(path.stat().st_mode)} {'d' if path.is_dir() else 'f'} ./{path.relative_to(top)}"
        for path in top.rglob("*")
    }
    rows = (case.folder / "modes.txt").read_text().splitlines()
    assert made == {row for row in rows if " ./" in row}


def test_images_are_kubeadms(case: Case) -> None:
    assert all_images(case.setup.cluster) == (case.folder / "images.txt").read_text().split()


@pytest.mark.parametrize("version", ["v1.31.0", "v1.34.4", "v1.37.2"])
def test_print_is_kubeadms(version: str) -> None:
    folder = GOLDEN / "print" / version
    components = ("KubeletConfiguration", "KubeProxyConfiguration")
    assert init_defaults(version) == (folder / "init-defaults.yaml").read_text()
    got = list(yaml.safe_load_all(init_defaults(version, components)))
    wanted = list(yaml.safe_load_all((folder / "init-defaults-components.yaml").read_text()))
    assert sorted(got, key=lambda one: one["kind"]) == sorted(wanted, key=lambda one: one["kind"])
    assert join_defaults("vm") == (folder / "join-defaults.yaml").read_text()
    assert reset_defaults() == (folder / "reset-defaults.yaml").read_text()
    if version != "v1.31.0":
        # 1.31 had no plan.etcdUpgrade.
        assert upgrade_defaults() == (folder / "upgrade-defaults.yaml").read_text()


def test_migration_is_kubeadms() -> None:
    got = list(yaml.safe_load_all(migrated(load(GOLDEN / "migrate" / "c-seed-v1beta3.in.yaml"), FACTS)))
    wanted = list(yaml.safe_load_all((GOLDEN / "migrate" / "c-seed-v1beta3.out.yaml").read_text()))
    for one in (got, wanted):
        one[0]["bootstrapTokens"][0]["token"] = "random"
    assert got == wanted
