"""Container images of the real components, made on this machine from the engines: one archive, imported by every node."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import tarfile
import tempfile
from pathlib import Path

from conftest import BIN

PAUSE_SOURCE = """
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
static void end(int signal) { (void)signal; _exit(0); }
static void reap(int signal) { (void)signal; while (waitpid(-1, NULL, WNOHANG) > 0); }
int main(void) {
  signal(SIGINT, end); signal(SIGTERM, end); signal(SIGCHLD, reap);
  for (;;) pause();
}
"""
KUBE = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy")


def _layer(files: dict[str, Path], links: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, source in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = source.stat().st_size, 0o755
            with source.open("rb") as content:
                archive.addfile(info, content)
        for name, target in links.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
    return buffer.getvalue()


def _image(archive: tarfile.TarFile, layer: bytes, tags: list[str], entry: list[str]) -> dict[str, object]:
    """Add a layer and a configuration; returns the manifest's row."""
    digest = hashlib.sha256(layer).hexdigest()
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Env": ["PATH=/usr/local/bin:/usr/bin:/bin"], "Entrypoint": entry, "WorkingDir": "/"},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        }
    ).encode()
    name = hashlib.sha256(config).hexdigest()
    for path, content in ((f"{digest}/layer.tar", layer), (f"{name}.json", config)):
        info = tarfile.TarInfo(path)
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return {"Config": f"{name}.json", "RepoTags": tags, "Layers": [f"{digest}/layer.tar"]}


def build(target: Path, names: list[str]) -> None:
    """An archive with the images of these names, as `config images list` prints them."""
    kube = [name for name in names if name.rpartition("/")[2].partition(":")[0] in KUBE]
    etcd = [name for name in names if "/etcd:" in name]
    rest = [name for name in names if name not in kube and name not in etcd]
    with tempfile.TemporaryDirectory() as folder:
        source, pause = Path(folder) / "pause.c", Path(folder) / "pause"
        source.write_text(PAUSE_SOURCE)
        subprocess.run(["cc", "-static", "-Os", "-o", str(pause), str(source)], check=True)
        with tarfile.open(target, "w") as archive:
            program = Path(os.path.realpath(BIN / "kube-apiserver"))
            links = {f"usr/local/bin/{name}": "/usr/local/bin/kube" for name in KUBE}
            rows = [_image(archive, _layer({"usr/local/bin/kube": program}, links), kube, [])]
            tools = {f"usr/local/bin/{name}": Path(os.path.realpath(BIN / file)) for name, file in _ETCD.items()}
            rows.append(_image(archive, _layer(tools, {}), etcd, []))
            # CoreDNS is not built here: its pods are scheduled, and sleep.
            rows.append(_image(archive, _layer({"pause": pause, "coredns": pause}, {}), rest, ["/pause"]))
            content = json.dumps(rows).encode()
            info = tarfile.TarInfo("manifest.json")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


_ETCD = {"etcd": "etcd-3.6", "etcdctl": "etcdctl", "etcdutl": "etcdutl"}
