"""Control planes over an etcd that runs elsewhere: nobody touches its members."""

from __future__ import annotations

import pytest

from e2e.kubelab import KubeLab, KubeNode, until
from e2e.steps import joined, parse, ready, taken_off

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

CERTS = "/etc/kubernetes/pki"
CONFIG = """apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
nodeRegistration: {{name: {node.name}}}
localAPIEndpoint: {{advertiseAddress: {node.address}}}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
controlPlaneEndpoint: {node.address}
etcd:
  external:
    endpoints: ['https://{etcd.address}:2379']
    caFile: {certs}/etcd-ca.crt
    certFile: {certs}/etcd-client.crt
    keyFile: {certs}/etcd-client.key
"""


def serve_etcd(node: KubeNode) -> None:
    """An etcd as others run it, with certificates of its own CA."""
    for name in ("etcd-ca", "etcd-server", "apiserver-etcd-client"):
        flags = [] if name != "etcd-server" else ["--config", "/etc/node.yaml"]
        node.path("/etc/node.yaml").write_text(
            "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\n"
            f"nodeRegistration: {{name: {node.name}}}\nlocalAPIEndpoint: {{advertiseAddress: {node.address}}}\n"
        )
        done = node.quorate("init", "phase", "certs", name, *flags)
        assert done.returncode == 0, done.stderr
    node.serve(
        "etcd", "etcd-3.6", "--data-dir=/var/lib/etcd/data", "--name=elsewhere", "--client-cert-auth",
        f"--trusted-ca-file={CERTS}/etcd/ca.crt", f"--cert-file={CERTS}/etcd/server.crt", f"--key-file={CERTS}/etcd/server.key",
        f"--listen-client-urls=https://{node.address}:2379", f"--advertise-client-urls=https://{node.address}:2379",
    )  # fmt: skip
    until(lambda: "elsewhere" in members_of(node), 20, "the etcd elsewhere answers")


def members_of(node: KubeNode) -> str:
    files = [f"--cacert={CERTS}/etcd/ca.crt", f"--cert={CERTS}/etcd/server.crt", f"--key={CERTS}/etcd/server.key"]
    return node.run("etcdctl", f"--endpoints=https://{node.address}:2379", *files, "member", "list").stdout


def test_control_planes_over_an_external_etcd(lab: KubeLab) -> None:
    first, second, etcd = lab.node("cp1"), lab.node("cp2"), lab.node("w1")
    serve_etcd(etcd)
    before = members_of(etcd)
    pairs = {
        "etcd/ca.crt": "etcd-ca.crt",
        "apiserver-etcd-client.crt": "etcd-client.crt",
        "apiserver-etcd-client.key": "etcd-client.key",
    }
    first.path(CERTS).mkdir(parents=True)
    for theirs, ours in pairs.items():
        first.path(f"{CERTS}/{ours}").write_bytes(etcd.path(f"{CERTS}/{theirs}").read_bytes())
        first.path(f"{CERTS}/{ours}").chmod(0o600)
    first.path("/etc/init.yaml").write_text(CONFIG.format(node=first, etcd=etcd, certs=CERTS))
    done = first.quorate("init", "--config", "/etc/init.yaml", "--upload-certs")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    joining = parse(done.stdout)
    joined(second, joining.control_plane(second))
    ready(first, "cp1", "cp2")
    assert second.path(f"{CERTS}/etcd-client.key").stat().st_mode & 0o777 == 0o600
    assert not second.path("/etc/kubernetes/manifests/etcd.yaml").exists()
    assert (
        f"--etcd-servers=https://{etcd.address}:2379"
        in second.path("/etc/kubernetes/manifests/kube-apiserver.yaml").read_text()
    )
    taken_off(first, second)
    assert members_of(etcd) == before
    assert first.kubectl("get", "--raw", "/readyz").stdout == "ok"
