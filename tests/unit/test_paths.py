"""Paths of configurations: clean where kubeadm cleans them, and the same ones where they are checked, written and used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from kubeadm_cases import FACTS, MINIMAL, setup_of

from quorate.cli.kubeadm.flags import Given
from quorate.cli.kubeadm.setup import _folder_of_patches
from quorate.cli.main import run_with
from quorate.config import types as v4
from quorate.config.defaults import default_reset
from quorate.config.load import loads
from quorate.config.problems import InvalidConfig
from quorate.config.resolve import resolve_join
from quorate.foreign.paths import clean, prefix, without_backsteps

CLEAN = {
    "/a/b/": "/a/b",
    "/a//b": "/a/b",
    "//a": "/a",
    "///a": "/a",
    "/a/./b": "/a/b",
    "/a/../b": "/b",
    "/../a": "/a",
    "/": "/",
    "//": "/",
    "a/../../b": "../b",
    "": ".",
}


@pytest.mark.parametrize("text", CLEAN)
def test_a_path_is_cleaned_as_go_cleans_it(text: str) -> None:
    assert clean(text) == CLEAN[text]


@given(st.lists(st.sampled_from(["a", "b", ".", "..", ""]), max_size=8).map("/".join))
def test_a_clean_path_stays(text: str) -> None:
    made = clean(f"/{text}")
    assert made == clean(made) and "//" not in made and ".." not in made.split("/")
    assert f"{prefix(made)}/x" == clean(f"{made}/x")


@pytest.mark.parametrize("folder", ["/a/b/", "/a//b", "/a/./b", "//a/b"])
def test_flags_have_clean_paths_and_volumes_those_of_the_file(folder: str, tmp_path: Path) -> None:
    """`/a/b//ca.crt` is the same file, and another text than that of the kubeadm whose cluster this node joins."""
    pods = written(f"{MINIMAL}certificatesDir: {folder}\n", tmp_path)
    flags = [flag for pod in pods for flag in pod["spec"]["containers"][0]["command"] if "/a" in flag]
    assert len(flags) > 20 and all("/a/b/" in flag and "//" not in flag for flag in flags if "https://" not in flag)
    volumes = {volume["hostPath"]["path"] for pod in pods for volume in pod["spec"]["volumes"]}
    assert {folder, f"{folder}/etcd"} <= volumes


def written(text: str, root: Path) -> list[dict[str, Any]]:
    """The manifests of the whole command line."""
    (root / "c.yaml").write_text(text)
    for phase in (("certs", "all"), ("etcd", "local"), ("control-plane", "all")):
        assert run_with(["init", "phase", *phase, "--config", str(root / "c.yaml"), "--rootfs", str(root)]) == 0
    return [yaml.safe_load(path.read_text()) for path in sorted((root / "etc/kubernetes/manifests").iterdir())]


def test_no_path_keeps_its_backsteps(tmp_path: Path) -> None:
    """Such a path ended a run in its middle: "is not an absolute path without ..", after the first certificates."""
    pods = written(f"{MINIMAL}certificatesDir: /a/x/../b\netcd: {{local: {{dataDir: /d/../var/etcd}}}}\n", tmp_path)
    assert ".." not in str(pods) and (tmp_path / "a/b/ca.crt").exists() and (tmp_path / "var/etcd").is_dir()
    external = "etcd: {external: {endpoints: ['https://a:1'], caFile: /a/../c, certFile: /b/../c, keyFile: /c/../c}}"
    made = setup_of(f"{MINIMAL}{external}\n").cluster.etcd.external
    assert made is not None and {made.ca_file, made.cert_file, made.key_file} == {"/c"}
    joins = resolve_join(loads(JOIN.replace("FILE", "/a/../b").encode(), "c"), FACTS)[0]
    assert joins.ca_cert_path == "/x.crt" and joins.discovery.file == v4.FileDiscovery("/b")
    assert default_reset(v4.ResetConfiguration(certificates_dir="/a/../b"), FACTS).certificates_dir == "/b"
    assert without_backsteps("/a//b/") == "/a//b/", "what works is kept as it is written"


JOIN = """apiVersion: kubeadm.k8s.io/v1beta4
kind: JoinConfiguration
caCertPath: /a/../x.crt
discovery:
  file: {kubeConfigPath: FILE}
"""


def test_a_relative_folder_of_patches_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "etcd.yaml").write_text("metadata: {annotations: {patched: 'yes'}}\n")
    head = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\n"
    pods = written(MINIMAL.replace(head, f"{head}patches: {{directory: ./p}}\n"), tmp_path)
    assert [pod["metadata"].get("annotations", {}).get("patched") for pod in pods] == ["yes", None, None, None]
    monkeypatch.chdir(tmp_path)
    assert _folder_of_patches(v4.Patches("p/../p"), Given({})) == str(tmp_path / "p")
    assert _folder_of_patches(v4.Patches("../p"), Given({"rootfs": str(tmp_path)})) == "/p"
    assert _folder_of_patches(v4.Patches(""), Given({})) == _folder_of_patches(None, Given({})) == ""


@pytest.mark.parametrize(
    ("token", "ok"), [("abcdef.0123456789abcdef", True), ("", True), ("a", False), ("ABCDEF.0123456789abcdef", False)]
)
def test_the_token_beside_a_discovery_file_is_checked(token: str, ok: bool) -> None:
    text = f"{JOIN.replace('FILE', '/x')}  tlsBootstrapToken: '{token}'\n".encode()
    if ok:
        assert resolve_join(loads(text, "c"), FACTS)[0].discovery.tls_bootstrap_token == token
        return
    with pytest.raises(InvalidConfig, match=r"c:6: discovery\.tlsBootstrapToken: this is not a bootstrap token"):
        resolve_join(loads(text, "c"), FACTS)
