"""How a node's own etcd is reached: its own address with TLS, its own files, and never a guess."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from own_node import NAMES, make_node, manifest

from quorate.config.defaults import Facts, default_cluster
from quorate.config.types import ClusterConfiguration
from quorate.errors import ConfigError, HostError, QuorateError, Refused
from quorate.phases.node.own_etcd import CERTIFICATES, MANIFEST, own_etcd
from quorate.phases.node.static_pods import manifest_path
from quorate.tree import RealTree

KUBEADMS = "https://127.0.0.1:2379,https://192.0.2.9:2379"
FOLDER = "etc/kubernetes/pki/etcd"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_node(tmp_path / "node", KUBEADMS)


def test_the_paths_are_those_of_the_phases() -> None:
    assert manifest_path("etcd") == MANIFEST
    facts = Facts("cp1", "192.0.2.9", "unix:///run/x.sock", "v1.34.4", "abcdef.0123456789abcdef")
    assert default_cluster(ClusterConfiguration(), facts).certificates_dir == CERTIFICATES


@pytest.mark.parametrize(
    ("listens", "url"),
    [
        (KUBEADMS, "https://127.0.0.1:2379"),
        ("https://192.0.2.9:2379,https://127.0.0.1:12379", "https://127.0.0.1:12379"),
        ("https://[::1]:2379,https://[fd00::9]:2379", "https://[::1]:2379"),
        ("https://localhost:4001", "https://localhost:4001"),
        ("https://0.0.0.0:2379", "https://127.0.0.1:2379"),
        ("https://[::]:12379", "https://[::1]:12379"),
        ("https://192.0.2.9:2379", "https://192.0.2.9:2379"),
        ("http://127.0.0.1:2379,https://192.0.2.9:2379", "https://192.0.2.9:2379"),
    ],
)
def test_its_own_address_with_tls_is_used(listens: str, url: str, root: Path) -> None:
    (root / MANIFEST.lstrip("/")).write_text(manifest(listens))
    found = own_etcd(RealTree(root))
    assert found is not None and found.url == url and found.endpoint.tls == "on"
    assert (found.files.ca, found.files.cert, found.files.key) == tuple(root / FOLDER / name for name in NAMES)


def test_a_node_without_a_manifest_runs_none(root: Path, tmp_path: Path) -> None:
    """An external etcd, a worker, or no node at all."""
    (root / MANIFEST.lstrip("/")).unlink()
    assert own_etcd(RealTree(root)) is None
    assert own_etcd(RealTree(tmp_path)) is None


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (manifest("http://127.0.0.1:2379"), "it listens at http://127.0.0.1:2379"),
        (manifest(""), "it listens nowhere"),
        (manifest("https://127.0.0.1"), "it listens at https://127.0.0.1, without a port"),
        (manifest("https://me:hunter2@127.0.0.1:2379"), "must not contain a user"),
        (manifest("https://127.0.0.1:99999"), "it listens nowhere"),
        (manifest("http://me:hunter2@127.0.0.1:4001"), "it listens at http://127.0.0.1:4001"),
        ("a: [", "cannot be understood"),
        ("", "cannot be understood"),
    ],
)
def test_a_manifest_without_an_address_with_tls_is_an_error(content: str, why: str, root: Path) -> None:
    """Never the default port without TLS instead."""
    (root / MANIFEST.lstrip("/")).write_text(content)
    with pytest.raises((Refused, ConfigError)) as failed:
        own_etcd(RealTree(root))
    assert why in str(failed.value) and "hunter2" not in str(failed.value)


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_certificate_is_named(name: str, root: Path) -> None:
    (root / FOLDER / name).unlink()
    with pytest.raises(HostError, match=f"there is no /{FOLDER}/{name}"):
        own_etcd(RealTree(root))


@pytest.mark.parametrize("path", [MANIFEST, *(f"/{FOLDER}/{name}" for name in NAMES)])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.chmod(0o666),
        lambda path: path.parent.chmod(0o777),
        lambda path: path.parent.parent.chmod(0o777),
    ],
    ids=["file", "folder", "folder above"],
)
def test_a_file_that_others_could_have_written_is_not_used(path: str, spoil: Callable[[Path], None], root: Path) -> None:
    spoil(root / path.lstrip("/"))
    with pytest.raises(HostError, match="another user could have written it"):
        own_etcd(RealTree(root))


@pytest.mark.parametrize("path", [MANIFEST, f"/{FOLDER}/{NAMES[0]}"])
def test_a_link_is_followed_only_where_nobody_else_could_change_what_it_leads_to(path: str, root: Path) -> None:
    file, elsewhere = root / path.lstrip("/"), root / "srv"
    elsewhere.mkdir()
    shutil.move(file, elsewhere / "file")
    file.symlink_to("/srv/file")
    assert own_etcd(RealTree(root)) is not None, "as the node itself follows it"
    elsewhere.chmod(0o777)
    with pytest.raises(HostError, match="another user could have written it"):
        own_etcd(RealTree(root))
    elsewhere.chmod(0o755)
    file.parent.chmod(0o777)
    with pytest.raises(HostError, match=r"link .* is not followed"):
        own_etcd(RealTree(root))


def test_a_link_that_leads_nowhere_is_no_manifest_and_one_in_a_circle_an_error(root: Path) -> None:
    file = root / MANIFEST.lstrip("/")
    file.unlink()
    file.symlink_to("etcd.yaml")
    with pytest.raises(HostError, match="too many links"):
        own_etcd(RealTree(root))


@contextmanager
def unprivileged(path: Path) -> Iterator[None]:
    """For root, as another user; for any other user, with a file that nobody may read."""
    if os.geteuid() != 0:
        path.chmod(0)
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize(
    ("closed", "named"),
    [("etc/kubernetes/manifests", MANIFEST), (f"{FOLDER}/{NAMES[2]}", f"/{FOLDER}/{NAMES[2]}")],
)
def test_what_this_user_may_not_read_is_an_error_that_names_it(closed: str, named: str) -> None:
    """The folder of manifests is closed to other users, as kubeadm makes it: that is not "there is no manifest"."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        root = make_node(Path(folder) / "node", KUBEADMS)
        for name in NAMES[:2]:
            (root / FOLDER / name).chmod(0o644)
        file = root / closed
        file.chmod(0o700 if file.is_dir() else 0o600)
        with unprivileged(file), pytest.raises(QuorateError, match=f"cannot (read|find) {root}{named}: Permission denied"):
            own_etcd(RealTree(root))
        file.chmod(0o700)
