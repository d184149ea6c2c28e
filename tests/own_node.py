"""A control-plane node below a folder: the manifest of its etcd, and kubeadm's certificates."""

from __future__ import annotations

from pathlib import Path

from quorate.phases.node.own_etcd import CERTIFICATES, MANIFEST

NAMES = ("ca.crt", "healthcheck-client.crt", "healthcheck-client.key")


def manifest(listens: str, advertised: str = "https://192.0.2.9:2379") -> str:
    words = [
        "etcd",
        "--data-dir=/var/lib/etcd",
        f"--advertise-client-urls={advertised}",
        "--initial-advertise-peer-urls=https://192.0.2.9:2380",
        *([f"--listen-client-urls={listens}"] if listens else []),
    ]
    return f"apiVersion: v1\nkind: Pod\nmetadata: {{name: etcd}}\nspec: {{containers: [{{name: etcd, command: {words}}}]}}\n"


def make_node(root: Path, listens: str, pki: Path | None = None) -> Path:
    """Makes the files as kubeadm does; the certificates are those of `pki`, or no certificates at all. Returns the root."""
    file = root / MANIFEST.lstrip("/")
    folder = root / CERTIFICATES.lstrip("/") / "etcd"
    root.mkdir(mode=0o755)
    for parent in (file.parent, folder):
        parent.mkdir(parents=True)
    file.write_text(manifest(listens))
    for name in NAMES:
        (folder / name).write_bytes((pki / name).read_bytes() if pki else b"not a certificate")
        (folder / name).chmod(0o600)
    return root
