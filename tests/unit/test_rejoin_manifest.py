"""The manifest of a member that joins anew is that of the old one, with other rows."""

from __future__ import annotations

import pytest
import yaml

from quorate.errors import Refused
from quorate.phases.node.etcd_manifest import parse
from quorate.phases.rejoin.manifest import image_of, with_rows

ROWS = [("cp1", "https://10.0.0.1:2380"), ("cp$2", "https://10.0.0.2:2380")]
USUAL = ["--name=cp2", "--data-dir=/var/lib/etcd", "--initial-advertise-peer-urls=https://10.0.0.2:2380"]
CLIENTS = ["--listen-client-urls=https://127.0.0.1:2379,https://10.0.0.2:2379"]


def manifest(*words: str, args: list[str] | None = None) -> bytes:
    container = {
        "name": "etcd",
        "image": "mirror.example.org/etcd:3.6.5-0",
        "command": ["etcd", *USUAL, *words],
        "env": [{"name": "HOME", "value": "/root"}],
        "volumeMounts": [{"name": "data", "mountPath": "/var/lib/etcd"}],
        **({"args": args} if args else {}),
    }
    volume = {"name": "data", "hostPath": {"path": "/mnt/etcd", "type": "DirectoryOrCreate"}}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "etcd"},
        "spec": {"containers": [container], "volumes": [volume]},
    }
    return yaml.safe_dump(pod).encode()


@pytest.mark.parametrize(
    "content",
    [
        manifest(*CLIENTS, "--initial-cluster=cp2=https://10.0.0.2:2380"),
        manifest(
            *CLIENTS, "--initial-cluster", "cp9=https://10.0.0.9:2380", "--initial-cluster-state", "new", "--snapshot-count=5"
        ),
        manifest(*CLIENTS, "-initial-cluster=cp9=https://10.0.0.9:2380", "--initial-cluster-state=existing"),
        manifest(*CLIENTS, "--force-new-cluster"),
        manifest(*CLIENTS, args=["--initial-cluster=cp9=https://10.0.0.9:2380", "--snapshot-count=5"]),
        manifest(*CLIENTS),
    ],
)
def test_all_but_the_rows_stays(content: bytes) -> None:
    made = with_rows(content, ROWS)
    before, after = parse(content, "old"), parse(made, "new")
    assert after.rows == dict(ROWS)
    assert (after.name, after.data_dir, after.peer_urls, after.client_urls) == (
        before.name,
        before.data_dir,
        before.peer_urls,
        before.client_urls,
    )
    container = yaml.safe_load(made)["spec"]["containers"][0]
    words = [*container["command"], *container.get("args", [])]
    assert "--initial-cluster-state=existing" in words and not any("force-new-cluster" in word for word in words)
    assert ("--snapshot-count=5" in words) is (b"snapshot-count" in content)
    assert [word for word in words if "initial-cluster-state" in word] == ["--initial-cluster-state=existing"]
    assert "cp9" not in made.decode() and words[0] == "etcd"
    assert image_of(made) == "mirror.example.org/etcd:3.6.5-0"


def test_one_that_says_it_elsewhere_is_refused() -> None:
    """A second manifest of the words would be read by nobody: `--` ends the flags for Go."""
    with pytest.raises(Refused, match="cannot be understood"):
        with_rows(manifest(*CLIENTS, "--config-file=/etc/etcd.yaml"), ROWS)


def test_variables_that_say_the_same_as_the_flags_go_too() -> None:
    """With ETCD_FORCE_NEW_CLUSTER, which no flag takes back, the member made a cluster of its own at its next start."""
    pod = yaml.safe_load(manifest(*CLIENTS))
    variables = [
        {"name": f"ETCD_{name}", "value": "x"} for name in ("FORCE_NEW_CLUSTER", "INITIAL_CLUSTER", "QUOTA_BACKEND_BYTES")
    ]
    pod["spec"]["containers"][0]["env"] += variables
    made = yaml.safe_load(with_rows(yaml.safe_dump(pod).encode(), ROWS))
    assert [one["name"] for one in made["spec"]["containers"][0]["env"]] == ["HOME", "ETCD_QUOTA_BACKEND_BYTES"]
