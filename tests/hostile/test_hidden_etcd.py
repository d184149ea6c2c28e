"""An etcd that a reset may overlook: under another name, started in another way, from a folder that other settings name. Each
was "there is no etcd", and the node was wiped with its voter still listed."""

from __future__ import annotations

from pathlib import Path

import pytest
from member_data import write_log

from hostile.test_reset import Node
from hostile.test_reset_beside import MANIFESTS, OLD, TEXT, reset
from quorate.errors import Refused
from quorate.phases.node.etcd_signs import may_run_etcd
from quorate.phases.reset import etcd


@pytest.fixture
def node(tmp_path: Path) -> Node:
    made = Node(tmp_path / "root")
    (made.root / "var/lib/kubelet").mkdir(parents=True)
    return made


POD = """
apiVersion: v1
kind: Pod
spec:
  {kind}:
  - image: {image}
    command: {command}
    args: {args}
"""


@pytest.mark.parametrize(
    "text",
    [
        POD.format(kind="containers", image="x", command="[sh, -c, 'exec etcd --name=a']", args="[]"),
        POD.format(kind="containers", image="x", command="[sh, -c]", args="['cd /;/usr/bin/etcd']"),
        POD.format(kind="containers", image="registry.k8s.io/etcd:3.6.4-0", command="[]", args="[--name=a]"),
        POD.format(kind="containers", image="host:5000/a/etcd@sha256:0", command="[]", args="[]"),
        POD.format(kind="containers", image="x", command="[env, FOO=1, etcd, --name=a]", args="[]"),
        POD.format(kind="containers", image="x", command="[/usr/local/bin/etcd-3.6]", args="[]"),
        POD.format(kind="initContainers", image="x", command="[etcd]", args="[]"),
        POD.format(kind="containers", image="x", command="[dumb-init, --, etcd, --name=a]", args="[]"),
        POD.format(kind="containers", image="x", command="[sh, -c, --, 'etcd --name=a']", args="[]"),
        POD.format(kind="containers", image="x", command="[ionice, --ignore, etcd]", args="[]"),
        POD.format(kind="containers", image="x", command="[sh, -c, 'exec etcd>>/log']", args="[]"),
        POD.format(kind="containers", image="x", command="[sh, -c, '${ETCD:-etcd} --name a']", args="[]"),
        POD.format(kind="containers", image="registry.k8s.io/etcd:3.6.4-0", command="[/entrypoint.sh]", args="[]"),
        POD.format(kind="containers", image="x/etcd-wrapper:1", command="[]", args="[]"),
        POD.format(kind="containers", image="x/etcd-amd64", command="[run]", args="[]"),
        POD.format(kind="containers", image="x", command="[etcd]", args="[]").encode("utf-16").decode("latin-1"),
        POD.format(kind="containers", image="x", command="[/opt/etcd_server]", args="[]"),
        POD.format(kind="containers", image="a@sha256:0", command="[]", args="['--initial-cluster=a=https://10.0.0.1:2380']"),
        POD.format(
            kind="containers", image="x", command="[sh, -c]", args="['exec $BIN --listen-peer-urls https://10.0.0.1:2380']"
        ),
        POD.format(
            kind="containers", image="x", command="['/run.sh']", args="[]\n    env: [{name: ETCD_DATA_DIR, value: /data}]"
        ),
        POD.format(kind="containers", image="x", command="['/run.sh']", args="[]\n    name: etcd"),
        POD.format(kind="containers", image="x", command="['/run.sh']", args="[]") + "metadata: {labels: {component: etcd}}\n",
        POD.format(kind="containers", image="x", command="['/run.sh']", args="[]") + "metadata: {name: etcd-cp1}\n",
        "containers: [etcd",
        "not: [a manifest",
        "# etcd\n" + "a: b\n" * 400_000,
    ],
)
def test_what_may_be_an_etcd_is_not_no_etcd(node: Node, text: str) -> None:
    node.write(f"{MANIFESTS}/member.yaml", text)
    with pytest.raises(Refused, match=r"member\.yaml (runs an etcd|cannot be read)"):
        etcd.remove_member(reset(node))


@pytest.mark.parametrize(
    "text",
    [
        POD.format(
            kind="containers", image="etcd:3", command="[etcdctl, snapshot, save, x]", args="[--data-dir, /var/lib/etcd]"
        ),
        POD.format(kind="containers", image="kube-apiserver", command="[kube-apiserver]", args="['--etcd-servers=https://a']"),
        POD.format(kind="containers", image="x", command="[sh, -c, 'etcdutl hashkv --x=/var/lib/etcd']", args="[]"),
        POD.format(kind="containers", image="kube-apiserver", command="[]", args="[]") + "metadata: {name: api-for-etcd}\n",
        POD.format(
            kind="containers",
            image="haproxy:3",
            command="[haproxy]",
            args="[]\n    env: [{name: ETCDCTL_API}]",
        ),
        POD.format(kind="containers", image="calico", command="[x]", args="[]\n    env: [{name: ETCD_ENDPOINTS, value: a}]"),
        POD.format(kind="containers", image="x", command="[node-exporter]", args="['--units=(kubelet|etcd|docker).service']"),
        POD.format(kind="containers", image="x", command="[fluent-bit]", args="['kube-system etcd']"),
        POD.format(kind="containers", image="haproxy", command="[haproxy]", args="[]") + "metadata: {name: haproxy-etcd-lb}\n",
        POD.format(kind="containers", image="etcd:3", command="[sh, -c]", args="['etcdctl snapshot save /backup/etcd.db']"),
        "# nothing here\n",
        "",
        POD.format(kind="containers", image="nginx:1", command="[]", args="[]")
        + "  volumes: [{name: a, hostPath: {path: /etc/nginx}}, {name: b, emptyDir: {}}, {name: c, hostPath: {path: /srv}}]\n",
    ],
)
def test_what_only_works_with_etcd_is_none(node: Node, text: str) -> None:
    node.write(f"{MANIFESTS}/other.yaml", text)
    etcd.remove_member(reset(node))


@pytest.mark.parametrize(
    ("mounted", "data"),
    [
        ("/", "var/lib/db"),
        ("/var", "var/lib/db"),
        ("/var/lib/db", "var/lib/db"),
        ("/var/lib/db/", "var/lib/db"),
        ("/var/lib", "var/lib/db"),
        ("/var/lib/db/member/wal", "var/lib/db"),
    ],
)
def test_a_pod_that_mounts_a_members_data_may_be_it(node: Node, mounted: str, data: str) -> None:
    """Whatever starts there, by whatever name: an etcd cannot be without its data."""
    write_log(node.root / data, OLD)
    text = POD.format(kind="containers", image="a@sha256:0", command="[]", args="[]")
    node.write(f"{MANIFESTS}/db.yaml", f"{text}  volumes: [{{name: a, hostPath: {{path: {mounted}}}}}]\n")
    with pytest.raises(Refused, match=r"db\.yaml mounts .*/var/lib/db holds the data of an etcd member"):
        etcd.remove_member(reset(node))
    api = POD.format(kind="containers", image="x", command="[kube-apiserver]", args="[]")
    node.write(f"{MANIFESTS}/db.yaml", f"{api}  volumes: [{{name: a, hostPath: {{path: {mounted}}}}}]\n")
    etcd.remove_member(reset(node))


def test_a_script_that_asks_etcd_and_starts_it_is_seen_by_its_data(node: Node) -> None:
    write_log(node.root / "srv/kv", OLD)
    script = POD.format(kind="containers", image="x", command="[sh, -c]", args="['etcdctl member add x; exec $PROGRAM']")
    node.write(f"{MANIFESTS}/kv.yaml", script)
    etcd.remove_member(reset(node))
    node.write(f"{MANIFESTS}/kv.yaml", f"{script}  volumes: [{{name: a, hostPath: {{path: /srv/kv}}}}]\n")
    with pytest.raises(Refused, match=r"kv\.yaml mounts"):
        etcd.remove_member(reset(node))


DROP_IN = "etc/systemd/system/kubelet.service.d/20-x.conf"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("var/lib/kubelet/config.yaml", "staticPodPath: /srv/pods\n"),
        ("var/lib/kubelet/config.yaml", "staticPodPath: /srv/pods/\n"),
        ("var/lib/kubelet/config.yaml", "staticPodPath: /srv/pods/etcd.yaml\n"),
        ("var/lib/kubelet/config.yaml", "staticPodPath: ../../../srv/pods\n"),
        ("var/lib/kubelet/instance-config.yaml", "staticPodPath: /srv/pods\n"),
        ("var/lib/kubelet/kubeadm-flags.env", 'KUBELET_KUBEADM_ARGS="--a=b --pod-manifest-path=/srv/pods --c=d"\n'),
        ("var/lib/kubelet/kubeadm-flags.env", "KUBELET_KUBEADM_ARGS=--pod-manifest-path=/srv/pods\n"),
        ("var/lib/kubelet/kubeadm-flags.env", "KUBELET_KUBEADM_ARGS='--pod_manifest_path /srv/pods'\n"),
        ("etc/default/kubelet", "# KUBELET_EXTRA_ARGS=\nKUBELET_EXTRA_ARGS=--pod-manifest-path=/srv/pods\n"),
        ("etc/sysconfig/kubelet", 'KUBELET_EXTRA_ARGS="--pod-manifest-path=/srv/pods"\n'),
        ("usr/lib/systemd/system/kubelet.service", "[Service]\nExecStart=/usr/bin/kubelet --pod-manifest-path=srv/pods\n"),
        (DROP_IN, "[Service]\nExecStart=\nExecStart=/usr/bin/kubelet \\\n  --pod-manifest-path \\\n  /srv/pods\n"),
        (DROP_IN, '[Service]\nEnvironment="PODS=/srv" "X=--pod-manifest-path=${PODS}/pods"\nExecStart=/usr/bin/kubelet $X\n'),
        (DROP_IN, "[Service]\nEnvironmentFile=-/srv/flags\nExecStart=/usr/bin/kubelet $X\n"),
        (DROP_IN, '[Service]\nEnvironment="X=--config=/srv/kubelet.yaml"\n'),
        (DROP_IN, "[Service]\nEnvironment=X=--pod-manifest-path=/srv/pods\n"),
        (DROP_IN, "[Service]\nEnvironment = X=--config=/srv/kubelet.yaml Y=1\n"),
        (DROP_IN, "[Service]\nEnvironmentFile = -/srv/fl*s\n"),
        (DROP_IN, "[Service]\nExecStart=/srv/start.sh\n"),
        ("etc/systemd/system/service.d/x.conf", "[Service]\nEnvironment=X=--pod-manifest-path=/srv/pods\n"),
        ("etc/systemd/system.control/kubelet.service.d/x.conf", "[Service]\nEnvironment=X=--pod-manifest-path=/srv/pods\n"),
        ("etc/conf.d/kubelet", 'command_args="--pod-manifest-path=\\\n/srv/pods"\n'),
        ("etc/default/kubelet", "KUBELET_EXTRA_ARGS=--config-dir=/srv/deep\n"),
        (DROP_IN, "[Service]\nExecStart=/usr/bin/kubelet --config-dir=/srv/parts\n"),
    ],
)
def test_the_folder_that_the_kubelet_reads_is_looked_at(node: Node, path: str, text: str) -> None:
    node.write("srv/pods/etcd.yaml", TEXT)
    node.write("srv/flags", "X=--pod-manifest-path=/srv/pods\n")
    node.write("srv/kubelet.yaml", "staticPodPath: pods\n")
    node.write("srv/parts/10.conf", "staticPodPath: /srv/pods\n")
    node.write("srv/deep/sub/10.conf", "staticPodPath: /srv/pods\n")
    node.write("srv/start.sh", "#!/bin/sh\nexec kubelet --pod-manifest-path /srv/pods\n")
    etcd.remove_member(reset(node))
    node.write(path, text)
    with pytest.raises(Refused, match=r"/srv/pods/etcd\.yaml runs an etcd"):
        etcd.remove_member(reset(node))
    node.write(path, "")
    etcd.remove_member(reset(node))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("var/lib/kubelet/config.yaml", "a: ["),
        ("var/lib/kubelet/config.yaml", "staticPodURL: http://10.0.0.1/pods\n"),
        ("etc/default/kubelet", "KUBELET_EXTRA_ARGS=--manifest-url=http://10.0.0.1/pods\n"),
        (DROP_IN, "[Service]\nExecStart=/usr/bin/kubelet --pod-manifest-path=$WHO_KNOWS\n"),
        (DROP_IN, "[Service]\nExecStart=/usr/bin/kubelet --config=%d/kubelet.yaml\n"),
        (DROP_IN, "[Service]\nEnvironmentFile=/srv/*/kubelet.env\n"),
    ],
)
def test_settings_of_the_kubelet_that_cannot_be_read_are_no_answer(node: Node, path: str, text: str) -> None:
    node.write(path, text)
    with pytest.raises(Refused, match="it is unknown which static pods the kubelet runs"):
        etcd.remove_member(reset(node))


def test_a_long_word_costs_little() -> None:
    words = ("a/" * 250_000, "--" * 250_000, "etcd-" * 100_000, "etcd1" + "1." * 250_000)
    for word in words:
        may_run_etcd(POD.format(kind="containers", image="x", command=f"[sh, -c, '{word}']", args="[]").encode())


def test_a_second_etcd_beside_the_manifest_stays(node: Node) -> None:
    """One for events, with other ports and data: it was deleted with the rest of the folder."""
    node.write(f"{MANIFESTS}/etcd.yaml", TEXT)
    node.write(f"{MANIFESTS}/etcd-events.yaml", TEXT)
    with pytest.raises(Refused, match=r"etcd-events\.yaml runs an etcd"):
        etcd.remove_member(reset(node))


@pytest.mark.parametrize("masked", ["etc/systemd/system/kubelet.service", DROP_IN])
def test_a_unit_that_is_masked_names_nothing(node: Node, masked: str) -> None:
    place = node.root / masked
    place.parent.mkdir(parents=True)
    place.symlink_to("/dev/null")
    etcd.remove_member(reset(node))


def test_what_else_a_unit_runs_is_not_the_kubelet(node: Node) -> None:
    node.write(DROP_IN, "[Service]\nExecStartPre=/usr/bin/nerdctl --config $HOME/x pull --manifest-url=y\n")
    etcd.remove_member(reset(node))
