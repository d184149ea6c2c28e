"""What would leave a control-plane node useless behind its recovery is said before it: on the data of a real etcd."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from quorate.deadline import SystemClock
from quorate.errors import Refused
from quorate.etcd.client import kv
from quorate.host.kubelet import Kubelet
from quorate.local import cluster
from quorate.local.home import Home
from quorate.offline.look import look
from quorate.phases.recover.fitness import refuse_unfit
from quorate.phases.recover.holding import HeldNode
from quorate.pki.certificates import LeafSpec, Pair, make_ca, make_leaf
from quorate.pki.store import write_pair
from quorate.report import silent
from quorate.tree import RealTree

pytestmark = [pytest.mark.real, pytest.mark.timeout(60)]
SOON = 5.0
NOW = datetime.now(UTC)
KEYS = {"aescbc:v1:second", "kms:v2:cloud"}
PAIRS = ("etcd/server", "etcd/peer", "etcd/healthcheck-client", "apiserver-etcd-client")
CONFIGURATION = {
    "apiVersion": "apiserver.config.k8s.io/v1",
    "kind": "EncryptionConfiguration",
    "resources": [
        {
            "resources": ["secrets"],
            "providers": [
                {"aescbc": {"keys": [{"name": "second", "secret": "c2VjcmV0"}]}},
                {"kms": {"apiVersion": "v2", "name": "cloud", "endpoint": "unix:///x"}},
                {"identity": {}},
            ],
        }
    ],
}


@pytest.fixture
def data(home: Home, etcd36: str) -> Path:
    """Two Secrets were written anew with other keys since; one with a third is gone."""
    cluster.up(home, 1, etcd36)
    with home.access() as access:
        channel = access.channel(home.seeds()[0])
        for name, key in (("a", "aescbc:v1:first"), ("a", "aescbc:v1:second"), ("b", "aescbc:v1:first"), ("b", "kms:v2:cloud")):
            kv.put(channel, f"/registry/secrets/default/{name}".encode(), f"k8s:enc:{key}:\0\1".encode(), timeout=SOON)
        kv.put(channel, b"/registry/secrets/default/c", b"k8s:enc:secretbox:v1:gone:\0", timeout=SOON)
        kv.delete(channel, b"/registry/secrets/default/c", timeout=SOON)
    cluster.down(home)
    return home.layout.member("m1").data


def pair(ca: Pair, at: datetime = NOW) -> Pair:
    return make_leaf(LeafSpec("cp1", ("server", "client"), ("cp1",), kind="ECDSA-P256"), ca, now=at)


@pytest.fixture
def ca() -> Pair:
    return make_ca("etcd-ca", now=NOW - timedelta(days=800), kind="ECDSA-P256")


@pytest.fixture
def node(tmp_path: Path, ca: Pair) -> HeldNode:
    root = tmp_path / "node"
    pki = root / "etc/kubernetes/pki"
    (pki / "etcd").mkdir(parents=True)
    write_pair(pki / "etcd/ca", ca)
    for name in PAIRS:
        write_pair(pki / name, pair(ca))
    (root / "srv/keys").mkdir(parents=True)
    (root / "srv/keys/config.yaml").write_text(yaml.safe_dump(CONFIGURATION))
    container = {
        "name": "kube-apiserver",
        "command": ["kube-apiserver", "--encryption-provider-config=/etc/keys/config.yaml"],
        "volumeMounts": [{"name": "keys", "mountPath": "/etc/keys"}],
    }
    spec = {"containers": [container], "volumes": [{"name": "keys", "hostPath": {"path": "/srv/keys"}}]}
    (root / "etc/kubernetes/manifests").mkdir()
    (root / "etc/kubernetes/manifests/kube-apiserver.yaml").write_text(yaml.safe_dump({"kind": "Pod", "spec": spec}))
    return HeldNode(RealTree(root), SystemClock(), silent, "", Kubelet())


def test_only_what_a_key_holds_now_has_to_be_read(data: Path, node: HeldNode) -> None:
    """A rotation of keys leaves older values in the history until it is compacted: they were no reason to refuse."""
    walk = look(data, deep=True).walk
    assert walk is not None and walk.encryption_keys == KEYS
    refuse_unfit(node, data)


def test_a_key_that_is_missing_is_named(data: Path, node: HeldNode) -> None:
    root = node.tree.at("/")
    file, manifest = root / "srv/keys/config.yaml", root / "etc/kubernetes/manifests/kube-apiserver.yaml"
    file.write_text(file.read_text().replace("second", "third"))
    with pytest.raises(Refused, match=r"encrypted by aescbc:v1:second: /srv/keys/config.yaml does not name them"):
        refuse_unfit(node, data)
    file.unlink()
    with pytest.raises(Refused, match=r"aescbc:v1:second, kms:v2:cloud: .* is not on this host"):
        refuse_unfit(node, data)
    held = manifest.rename(manifest.with_name(".kube-apiserver.yaml"))
    held.write_text(held.read_text().replace("--encryption-provider-config", "--other"))
    with pytest.raises(Refused, match=r"sets no --encryption-provider-config"):
        refuse_unfit(node, data)
    held.unlink()
    refuse_unfit(node, data)


@pytest.mark.parametrize("name", PAIRS)
def test_certificates_with_which_nobody_could_ask_etcd_are_named(data: Path, node: HeldNode, ca: Pair, name: str) -> None:
    base = node.tree.at("/etc/kubernetes/pki") / name
    write_pair(base, pair(ca, NOW - timedelta(days=700)))
    with pytest.raises(Refused, match=f"{name}.crt is valid until 20") as expired:
        refuse_unfit(node, data)
    assert "quorate certs renew all" in expired.value.advice
    write_pair(base, pair(make_ca("etcd-ca", now=NOW, kind="ECDSA-P256")))
    with pytest.raises(Refused, match=f"{name}.crt is not signed by /etc/kubernetes/pki/etcd/ca.crt"):
        refuse_unfit(node, data)
    base.with_name(f"{base.name}.key").unlink()
    with pytest.raises(Refused, match=f"there is no /etc/kubernetes/pki/{name}.key"):
        refuse_unfit(node, data)
