"""An etcd that a reset may overlook: under another name, started in another way, from a folder that other settings name. Each
was "there is no etcd", and the node was wiped with its voter still listed."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from member_data import write_log

from hostile.test_reset import Node
from hostile.test_reset_beside import MANIFESTS, OLD, TEXT, reset
from quorate.errors import HostError, Refused
from quorate.host import etcd_identity
from quorate.host.kubelets import RunningKubelet, running_kubelets
from quorate.phases.node import local_etcd
from quorate.phases.node.etcd_signs import may_run_etcd, mounted_paths
from quorate.phases.node.kubelet_sources import static_pod_places
from quorate.phases.node.local_etcd import doubt_without_manifest, refuse_other_etcds
from quorate.phases.reset import etcd
from quorate.pki.certificates import LeafSpec, make_ca, make_leaf
from quorate.pki.store import write_pair
from quorate.tree import RealTree


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
        POD.format(kind="containers", image="x", command="[!!binary ZXRjZA==]", args="[]"),
        '# a comment\u2028{"spec": {"containers": [{"name": "a", "command": ["etcd"]}]}}',
        POD.format(kind="containers", image="x", command="[sh, -c]", args="['etcdctl get x; exec $BIN']\n    name: etcd"),
        POD.format(kind="containers", image="x", command="[sh, -c, 'etcdctl get x; \"$RUN\"']", args="[]")
        + "    env: [{name: ETCD_INITIAL_CLUSTER, value: a}]\n",
        POD.format(kind="containers", image="x", command="[kube-apiserver]", args="['--initial-cluster=a=https://b']"),
        POD.format(kind="containers", image="x", command="[sleep]", args="[]")
        + "    lifecycle: {postStart: {exec: {command: [etcd, --name=a]}}}\n",
        POD.format(kind="containers", image="x", command="[nice, -n, 5, tini, sh, -c, 'cd /; etcd']", args="[]"),
        POD.format(kind="containers", image="x", command="[run]", args="[--auto-compaction-mode=periodic]"),
        POD.format(kind="containers", image="x", command="[sh, -c, 'echo $(etcd --name=a)']", args="[]"),
        POD.format(kind="containers", image="x", command="[sh, -c, 'echo exec etcd > /r; sh /r']", args="[]"),
        POD.format(kind="containers", image="x", command="[sh, -c, 'echo etcd | sh']", args="[]"),
        POD.format(kind="containers", image="x", command="[run]", args="[--config-file=/etc/kv/etcd.conf.yml]"),
        POD.format(kind="containers", image="x", command="[$(PROG)]", args="[]")
        + "    env: [{name: PROG, valueFrom: {fieldRef: {fieldPath: x}}}]\n",
        POD.format(kind="containers", image="x", command="[$(PROG)]", args="[]") + "    env: [{name: PROG, value: etcd}]\n",
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
        POD.format(kind="containers", image="cilium:1", command="[cilium-agent, --kvstore, etcd]", args="[]"),
        POD.format(kind="containers", image="vault:1", command="[vault]", args="[-storage, etcd]"),
        POD.format(kind="containers", image="c", command="[start]", args="[]\n    env: [{name: DATASTORE_TYPE, value: etcd}]"),
        POD.format(kind="containers", image="nginx", command="[sh, -c, 'echo waiting for etcd; exec nginx']", args="[]"),
        POD.format(kind="containers", image="nginx", command="[sh, -c]", args='["# until etcd is there\\nexec nginx"]'),
        POD.format(kind="containers", image="consul:1", command="[consul]", args="['--snapshot-count=3']"),
        "\ufeff# nothing here\n",
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
    with pytest.raises(Refused, match=r"db\.yaml mounts"):
        etcd.remove_member(reset(node))
    volumes = f"  volumes: [{{name: a, hostPath: {{path: {mounted}}}}}]\n"
    reads = "    volumeMounts: [{name: a, mountPath: /host, readOnly: true}]\n"
    node.write(f"{MANIFESTS}/db.yaml", f"{text}{reads}{volumes}")
    etcd.remove_member(reset(node))
    node.write(
        f"{MANIFESTS}/db.yaml",
        f"{text}{reads.replace('true', 'false')}  volumes: [{{name: a, hostPath: {{path: {mounted}}}}}]\n",
    )
    with pytest.raises(Refused, match=r"db\.yaml mounts"):
        etcd.remove_member(reset(node))


def test_what_looks_at_the_whole_disk_is_no_second_etcd(node: Node) -> None:
    """An exporter of metrics, or a backup, beside the etcd of an ordinary control plane: two etcds cannot share its data."""
    write_log(node.root / "var/lib/etcd", OLD)
    node.write(f"{MANIFESTS}/etcd.yaml", TEXT)
    for mounted in ("/", "/var/lib", "/var/lib/etcd"):
        text = POD.format(kind="containers", image="x", command="[look]", args="[]")
        node.write(f"{MANIFESTS}/look.yaml", f"{text}  volumes: [{{name: a, hostPath: {{path: {mounted}}}}}]\n")
        refuse_other_etcds(RealTree(node.root))
    write_log(node.root / "var/lib/etcd-events", OLD)
    node.write(f"{MANIFESTS}/look.yaml", f"{text}  volumes: [{{name: a, hostPath: {{path: /var/lib}}}}]\n")
    with pytest.raises(Refused, match="/var/lib/etcd-events holds the data of an etcd member"):
        refuse_other_etcds(RealTree(node.root))


@pytest.mark.parametrize("place", ["//etc/kubernetes/manifests", "/srv/linked", "/etc/kubernetes/./manifests/"])
def test_the_folder_of_the_manifests_by_another_way_is_no_other(node: Node, place: str) -> None:
    """Whoever moved the second etcd.yaml away, as was advised, ended the member."""
    write_log(node.root / "var/lib/etcd", OLD)
    node.write(f"{MANIFESTS}/etcd.yaml", TEXT)
    (node.root / "srv").mkdir()
    (node.root / "srv/linked").symlink_to("../etc/kubernetes/manifests")
    node.write("var/lib/kubelet/config.yaml", f"staticPodPath: {place}\n")
    refuse_other_etcds(RealTree(node.root))


def test_data_deep_in_a_small_folder_is_found(node: Node) -> None:
    write_log(node.root / "srv/a/b/c/d/e/kv", OLD)
    text = POD.format(kind="containers", image="x", command="[run]", args="[]")
    node.write(f"{MANIFESTS}/kv.yaml", f"{text}  volumes: [{{name: a, hostPath: {{path: /srv}}}}]\n")
    with pytest.raises(Refused, match="/srv/a/b/c/d/e/kv holds the data"):
        etcd.remove_member(reset(node))


def test_a_look_for_data_that_gave_up_is_no_answer(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(30):
        (node.root / f"srv/many/{number}").mkdir(parents=True)
    text = POD.format(kind="containers", image="x", command="[run]", args="[]")
    node.write(f"{MANIFESTS}/kv.yaml", f"{text}  volumes: [{{name: a, hostPath: {{path: /srv}}}}]\n")
    etcd.remove_member(reset(node))
    monkeypatch.setattr(etcd_identity, "_MOST_FOLDERS", 20)
    with pytest.raises(Refused, match="has more folders than can be looked at"):
        etcd.remove_member(reset(node))


@pytest.mark.parametrize("kind", ["fifo", "nowhere", "loop", "folder"])
@pytest.mark.parametrize(
    "path", [f"{MANIFESTS}/x.yaml", "var/lib/kubelet/config.yaml", "usr/lib/systemd/system/kubelet.service"]
)
def test_what_is_no_file_is_no_answer(node: Node, path: str, kind: str) -> None:
    """Exit code 4, as for all that cannot be read: these were errors of the host."""
    place = node.root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    if kind == "fifo":
        os.mkfifo(place)
    elif kind == "folder":
        place.mkdir()
    else:
        place.symlink_to("/nowhere" if kind == "nowhere" else place.name)
    if kind == "folder" and MANIFESTS in path:
        etcd.remove_member(reset(node))
        return
    with pytest.raises(Refused, match=r"it is unknown (whether an etcd|which static pods)"):
        etcd.remove_member(reset(node))


def test_a_configuration_that_says_nothing_names_nothing(node: Node) -> None:
    for text in ("", "\n", "# nothing\n---\n"):
        node.write("var/lib/kubelet/config.yaml", text)
        etcd.remove_member(reset(node))


def test_too_many_files_named_after_etcd_are_no_answer(node: Node) -> None:
    write_log(node.root / "srv/kv", OLD)
    node.write("etc/kubernetes/pki/etcd/member.key", "x")
    for number in range(101):
        node.write(f"etc/kubernetes/etcd-note-{number}", "x")
    with pytest.raises(Refused, match=r"10\d files in /etc/kubernetes are named after etcd"):
        etcd.remove_member(reset(node))


def test_a_member_that_is_no_pod_has_its_key_under_any_name(node: Node) -> None:
    write_log(node.root / "var/lib/etcd", OLD)
    etcd.remove_member(reset(node))
    node.write("etc/kubernetes/pki/etcd/healthcheck-client.key", "x")
    etcd.remove_member(reset(node))
    node.write("etc/kubernetes/pki/etcd/member.key", "x")
    with pytest.raises(Refused, match="/var/lib/etcd holds data of member"):
        etcd.remove_member(reset(node))


def test_a_kubelet_that_runs_counts_more_than_files(tmp_path: Path) -> None:
    node = Node(tmp_path / "root")
    node.write("srv/k.yaml", "staticPodPath: pods\n")
    run = RunningKubelet(("/usr/bin/kubelet", "--config=k.yaml", "--pod-manifest-path", "more"), "/srv")
    assert static_pod_places(RealTree(node.root), [run]) == ["/more", "/srv/more", "/srv/pods"]


def test_reset_asks_the_kubelet_that_runs_on_this_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below --rootfs it is another host's; on this one its command line counts. Nothing is written here."""
    (tmp_path / "etcd.yaml").write_text(TEXT)
    run = RunningKubelet(("/usr/bin/kubelet", f"--pod-manifest-path={tmp_path}"), "/")
    monkeypatch.setattr(local_etcd, "running_kubelets", lambda: [run])
    refuse_other_etcds(RealTree(tmp_path / "elsewhere"))
    with pytest.raises(Refused, match=r"etcd\.yaml runs an etcd"):
        refuse_other_etcds(RealTree(Path("/")))


def test_a_kubelet_is_found_by_its_command_line(tmp_path: Path) -> None:
    script = tmp_path / "kubelet"
    script.write_text("#!/bin/sh\necho runs\nread x\n")
    script.chmod(0o755)
    command, pipe = [str(script), "--config=/a b"], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, cwd=tmp_path) as child:
        assert child.stdout is not None
        # Right after its start the kernel has no command line of it yet.
        child.stdout.readline()
        found = [one for one in running_kubelets() if one.folder == str(tmp_path)]
        child.communicate(b"\n")
    assert [one.words[-2:] for one in found] == [(str(script), "--config=/a b")]


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
        (DROP_IN, "[Service]\nExecStart=/usr/bin/kubelet --config-dir=/srv/relative\n"),
        (DROP_IN, "[Service]\nWorkingDirectory=/srv\nExecStart=/usr/bin/kubelet --pod-manifest-path=pods\n"),
        (DROP_IN, "[Service]\nExecStart=/usr/bin/kubelet \\\n# a note\n  --config=/srv/kubelet.yaml\n"),
        (DROP_IN, "[Service]\n# was: \\\nExecStart=/usr/bin/kubelet --config=/srv/kubelet.yaml\n"),
        (DROP_IN, '[Service]\nExecStart=/usr/bin/kubelet "--pod-manifest-path=/srv/my pods"\n'),
        (DROP_IN, "[Service]\nExecStart=/usr/bin/kubelet --pod-manifest-path=/srv/my\\x20pods\n"),
        (DROP_IN, "[Service]\nExecStart=/usr/bin/kubelet --pod-manifest-path='/srv/my pods'\n"),
        (DROP_IN, "[Service]\nExecStart=/bin/sh /srv/start.sh\n"),
        (DROP_IN, "[Service]\nExecStart=-/usr/bin/env bash /srv/start.sh\n"),
        (DROP_IN, "[Service]\nExecStart=/srv/wrapped/kubelet\n"),
        (DROP_IN, "[Service]\nExecStart=/bin/bash -c 'source /srv/flags && exec kubelet $X'\n"),
        (DROP_IN, "[Service]\nExecStart=/srv/sourcing.sh\n"),
        ("var/lib/kubelet/config.yaml", "staticPodPath: !!binary L3Nydi9wb2Rz\n"),
        ("var/lib/kubelet/config.yaml", "staticPodPath: /srv/.hidden.yaml\n"),
        ("etc/default/kubelet", "# was: \\\nKUBELET_EXTRA_ARGS=--pod-manifest-path=/srv/pods\n"),
        ("etc/default/kubelet", "DIR=/srv\nDIR=/nowhere\nKUBELET_EXTRA_ARGS=--pod-manifest-path=${DIR}/pods\n"),
        ("etc/init.d/kubelet", "#!/sbin/openrc-run\ncommand_args='--pod-manifest-path=/srv/pods'\n"),
        ("var/snap/kubelet/current/args", "--pod-manifest-path=/srv/pods\n"),
        ("etc/systemd/system/kube-node.service.d/x.conf", "[Service]\nEnvironment=X=--pod-manifest-path=/srv/pods\n"),
        ("etc/systemd/system/kube-.service.d/x.conf", "[Service]\nEnvironment=X=--pod-manifest-path=/srv/pods\n"),
        ("etc/systemd/system/k8s.service.d/x.conf", "[Service]\nEnvironment=X=--pod-manifest-path=/srv/pods\n"),
        ("run/systemd/generator/kubelet.service.d/x.conf", "[Service]\nEnvironment=X=--pod-manifest-path=/srv/pods\n"),
        ("run/systemd/transient/kubelet.service", "[Service]\nExecStart=/usr/bin/kubelet --pod-manifest-path=/srv/pods\n"),
        ("run/systemd/system.conf.d/x.conf", "[Manager]\nDefaultEnvironment=X=--pod-manifest-path=/srv/pods\n"),
        (DROP_IN, "[Service]\nExecStart=kubelet-start\n"),
        (DROP_IN, "[Service]\nWorkingDirectory=-/srv\nExecStart=/bin/sh start.sh\n"),
        (DROP_IN, "[Service]\nWorkingDirectory=-/srv\nExecStart=/usr/bin/kubelet --pod-manifest-path=pods\n"),
        (DROP_IN, "[Service]\nExecStart=/srv/outer.sh\n"),
        (DROP_IN, "[Service]\nExecStart=/srv/array.sh\n"),
        (DROP_IN, "[Service]\nExecStart=/bin/bash -x /srv/plain\n"),
        (DROP_IN, "[Service]\nExecStart=/bin/bash -eu -o pipefail -c 'exec kubelet --pod-manifest-path=/srv/pods'\n"),
        (DROP_IN, "[Service]\nEnvironmentFile=-/srv/%p.env\nExecStart=/usr/bin/kubelet $X\n"),
        ("etc/default/kubelet", "KUBELET_EXTRA_ARGS=\"--pod-manifest-path='/srv/pods'\"\n"),
        ("etc/default/kubelet", "KUBELET_EXTRA_ARGS=\"--config='/srv/kubelet.yaml' --v=2\"\n"),
        (DROP_IN, "[Service]\nExecStart=/bin/sh -c 'echo --pod-manifest-path=/srv/pods | xargs kubelet'\n"),
        (DROP_IN, "[Service]\nExecStart=/srv/piped.sh\n"),
        (DROP_IN, "[Service]\nExecStart=/srv/wrapper.py\n"),
        (DROP_IN, "[Service]\nExecStart=/srv/function.sh\n"),
        (DROP_IN, "[Service]\nExecStart=/srv/case.sh\n"),
        (DROP_IN, "[Service]\nExecStart=/srv/printf.sh\n"),
        (DROP_IN, "[Service]\nExecStart=/bin/sh -c 'kubelet --pod-manifest-path=/srv/pods>/srv/log'\n"),
        (DROP_IN, "[Service]\nExecStart=/bin/sh -c 'kubelet ${KARGS:---pod-manifest-path=/srv/pods}'\n"),
        (DROP_IN, "[Service]\nExecStart=/bin/sh -c 'load() { . /srv/flags; }; load; exec kubelet $X'\n"),
        (DROP_IN, "[Service]\nExecStart=/bin/sh -c '! . /srv/flags || exec kubelet $X'\n"),
        (DROP_IN, "[Service]\nEnvironmentFile=/srv/my flags\n"),
        (DROP_IN, "[Service]\nEnvironmentFile=/srv/[^a]lags\n"),
        (DROP_IN, "[Service]\nEnvironment=F=pod-manifest-path\nExecStart=/usr/bin/kubelet --${F}=/srv/pods\n"),
        (DROP_IN, "[Service]\nExecStart=/usr/bin/kubelet --pod-manifest-path=/srv/p\\xc3\\xb6ds\n"),
        (DROP_IN, "[Service]\nExecStart=/usr/bin/kubelet --pod-manifest-path=/srv/p\\u00f6ds\n"),
        (DROP_IN, "[Service]\nExecStart=/usr/bin/kubelet --a=b\u2028 --pod-manifest-path=/srv/pods\n"),
    ],
)
def test_the_folder_that_the_kubelet_reads_is_looked_at(node: Node, path: str, text: str) -> None:
    node.write("srv/pods/etcd.yaml", TEXT)
    node.write("srv/flags", "X=--pod-manifest-path=/srv/pods\n")
    node.write("srv/kubelet.yaml", "staticPodPath: pods\n")
    node.write("srv/parts/10.conf", "staticPodPath: /srv/pods\n")
    node.write("srv/deep/sub/10.conf", "staticPodPath: /srv/pods\n")
    node.write("srv/start.sh", "#!/bin/sh\nexec kubelet --pod-manifest-path /srv/pods\n")
    node.write("srv/wrapped/kubelet", "#!/bin/sh\nexec /opt/kubelet --pod-manifest-path /srv/pods\n")
    node.write("srv/sourcing.sh", "#!/bin/sh\n. /srv/flags\nexec kubelet $X\n")
    node.write("srv/relative/a.conf", "staticPodPath: srv/pods\n")
    node.write("srv/my pods/etcd.yaml", TEXT)
    node.write("srv/.hidden.yaml", TEXT)
    node.write("srv/pöds/etcd.yaml", TEXT)
    node.write("srv/my flags", "X=--pod-manifest-path=/srv/pods\n")
    node.write("usr/local/bin/kubelet-start", "#!/bin/sh\nexec kubelet --pod-manifest-path=/srv/pods\n")
    node.write("srv/outer.sh", "#!/bin/sh\nexec /srv/start.sh\n")
    node.write("srv/plain", "exec kubelet --pod-manifest-path=/srv/pods\n")
    node.write("srv/kubelet.env", "X=--pod-manifest-path=/srv/pods\n")
    node.write("srv/piped.sh", "#!/bin/sh\necho --pod-manifest-path=/srv/pods | xargs kubelet\n")
    node.write(
        "srv/function.sh",
        '#!/bin/sh\nlog_and_run() { logger "$*"; "$@"; }\nlog_and_run kubelet --pod-manifest-path=/srv/pods\n',
    )
    node.write("srv/case.sh", "#!/bin/sh\ncase $1 in a) exit 1\n;; *) exec kubelet --pod-manifest-path=/srv/pods\nesac\n")
    node.write("srv/printf.sh", "#!/bin/bash\nprintf -v A %s --pod-manifest-path=/srv/pods\nexec kubelet $A\n")
    node.write("srv/array.sh", "#!/bin/bash\nARGS=(--pod-manifest-path=/srv/pods --v=2)\nexec kubelet ${ARGS[@]}\n")
    node.write("srv/wrapper.py", "#!/usr/bin/python3\nimport os\nos.execv('/k', ['kubelet','--pod-manifest-path=/srv/pods'])\n")
    (node.root / "etc/systemd/system").mkdir(parents=True, exist_ok=True)
    (node.root / "etc/systemd/system/kubelet.service").symlink_to("kube-node.service")
    (node.root / "etc/systemd/system/k8s.service").symlink_to("kubelet.service")
    node.write("etc/systemd/system/kube-node.service", "[Service]\nExecStart=/usr/bin/kubelet\n")
    etcd.remove_member(reset(node))
    node.write(path, text)
    with pytest.raises(Refused, match=r"/srv/(pods/etcd|pöds/etcd|my pods/etcd|\.hidden)\.yaml runs an etcd"):
        etcd.remove_member(reset(node))
    node.write(path, "")
    etcd.remove_member(reset(node))


COMPUTED = (
    'ARGS=(--config=/x)\nARGS+=(--hostname-override="$(hostname -f)")\nexec kubelet "${ARGS[@]}"',
    'while read -r A; do B+=("$A"); done < /srv/where\nexec kubelet "${B[@]}"',
    'run() { nice -n 5 "$@"; }\nrun kubelet',
    "A=$(cat /srv/where)\nexec kubelet $A",
    'declare -a args="($(cat /srv/where))"\nexec kubelet "${args[@]}"',
    'set -- $(cat /srv/where)\nexec kubelet "$@"',
    'A="$(< /srv/where)"\nexec kubelet --v=2 ${A}',
    "read -r A < /srv/where\nexec kubelet $A",
    "mapfile -t A < /srv/where\nexec kubelet ${A[@]}",
    "cat /srv/where | xargs kubelet",
    "exec kubelet --{v=2,pod-manifest-path=/srv/pods}",
)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("var/lib/kubelet/config.yaml", "a: ["),
        ("var/lib/kubelet/config.yaml", "staticPodURL: http://10.0.0.1/pods\n"),
        ("etc/default/kubelet", "KUBELET_EXTRA_ARGS=--manifest-url=http://10.0.0.1/pods\n"),
        (DROP_IN, "[Service]\nExecStart=/usr/bin/kubelet --pod-manifest-path=$WHO_KNOWS\n"),
        (DROP_IN, "[Service]\nExecStart=/usr/bin/kubelet --config=%d/kubelet.yaml\n"),
        (DROP_IN, "[Service]\nEnvironmentFile=/srv/*/kubelet.env\n"),
        (DROP_IN, "[Service]\nEnvironmentFile=/etc/%i.env\n"),
        (DROP_IN, "[Service]\nExecStart=/usr/bin/kubelet --config=missing.yaml\nWorkingDirectory=/srv\n"),
        (DROP_IN, "[Service]\nExecStart=/srv/%p-start.sh\n"),
        (DROP_IN, "[Service]\nEnvironment=DIR=/srv\nExecStart=/bin/sh ${DIR}/start.sh\n"),
        (DROP_IN, "[Service]\nExecStart=/bin/sh -c 'exec kubelet --pod-manifest-path=`cat /srv/where`'\n"),
        (DROP_IN, "[Service]\nExecStart=/bin/sh -c '! . $WHERE/env || true; exec kubelet $X'\n"),
        (DROP_IN, "[Service]\nExecStart=/bin/sh -c 'load() { . $WHERE/env; }; exec kubelet $X'\n"),
        ("var/lib/kubelet/config.yaml", '{"staticPodPath": "/srv/pods", "staticPodPath": null}'),
        (DROP_IN, "[Service]\nExecStart=/bin/sh -c '. $WHERE/env; exec kubelet $X'\n"),
        ("etc/default/kubelet", "X=--config-dir=/srv/deep\n"),
        (DROP_IN, "[Service]\nExecStart=/bin/sh -c 'exec kubelet $(cat /srv/where)'\n"),
        (DROP_IN, "[Service]\nExecStart=/srv/computed.sh\n"),
    ],
)
def test_settings_of_the_kubelet_that_cannot_be_read_are_no_answer(node: Node, path: str, text: str) -> None:
    (node.root / "srv/deep/1/2/3/4/5/6/7/8/9").mkdir(parents=True)
    node.write("srv/computed.sh", "#!/bin/sh\nexec /usr/bin/kubelet --v=2 `cat /srv/where`\n")
    node.write(path, text)
    with pytest.raises(Refused, match="it is unknown which static pods the kubelet runs"):
        etcd.remove_member(reset(node))


@pytest.mark.parametrize("lines", COMPUTED)
def test_a_shell_that_computes_flags_matters_where_a_member_may_be_hidden(node: Node, lines: str) -> None:
    """Most scripts compute a name or an address, and most nodes have no key of a member without its manifest."""
    (node.root / "etc/kubernetes/pki/etcd/peer.key").unlink(missing_ok=True)
    for path in sorted((node.root / "etc/kubernetes/pki").rglob("*")):
        if "etcd" in str(path.relative_to(node.root)) and path.is_file():
            path.unlink()
    node.write(DROP_IN, "[Service]\nExecStart=/srv/start.sh\n")
    node.write("srv/start.sh", f"#!/bin/bash\n{lines}\n")
    etcd.remove_member(reset(node))
    node.write("etc/kubernetes/pki/etcd/peer.key", "x")
    with pytest.raises(Refused, match=r"may be the key of an etcd member.* may take that manifest from another folder"):
        etcd.remove_member(reset(node))
    node.write(DROP_IN, "[Service]\nExecStart=/usr/bin/kubelet --config=/var/lib/kubelet/config.yaml\n")
    etcd.remove_member(reset(node))


TWICE = (
    '{"kind":"Pod","metadata":{"name":"kv"},"spec":{"containers":[{"name":"kv","image":"x","command":["etcd"]}]},'
    '"spec":{"hostNetwork":true}}'
)


def test_a_key_that_is_said_twice_is_no_answer() -> None:
    """The kubelet decodes both into one pod: with its container, and with the network of the host."""
    assert may_run_etcd(TWICE.encode()) == "says a key twice, and may run an etcd"
    assert may_run_etcd(TWICE.replace(',"spec":{"hostNetwork":true}', "").encode()) == "runs an etcd, or may"
    assert may_run_etcd(b'{"kind":"Pod","spec":{"containers":[{"name":"a","image":"nginx"}]}}') == ""


def test_a_pod_is_looked_for_where_its_mount_begins(node: Node) -> None:
    """The whole folder may have more in it than can be looked at."""
    write_log(node.root / "srv/a/b/c/d/e/kv", OLD)
    mount = "volumeMounts: [{name: v, mountPath: /x, subPath: a/b/c/d/e}]"
    volumes = "volumes: [{name: v, hostPath: {path: /srv}}]"
    node.write(f"{MANIFESTS}/kv.yaml", f"kind: Pod\nspec:\n  containers: [{{name: kv, image: x, {mount}}}]\n  {volumes}\n")
    assert mounted_paths((node.root / MANIFESTS / "kv.yaml").read_bytes()) == ["/srv/a/b/c/d/e"]
    with pytest.raises(Refused, match="/srv/a/b/c/d/e/kv holds the data of an etcd member"):
        etcd.remove_member(reset(node))


def test_any_folder_may_be_called_member(node: Node) -> None:
    node.write("srv/www/site/member/index.html", "x")
    volumes = "volumes: [{name: v, hostPath: {path: /srv/www}}]"
    node.write(f"{MANIFESTS}/www.yaml", f"kind: Pod\nspec:\n  containers: [{{name: www, image: nginx}}]\n  {volumes}\n")
    etcd.remove_member(reset(node))


def test_a_folder_that_cannot_be_read_is_no_answer(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    node.write("srv/www/x", "x")
    volumes = "volumes: [{name: v, hostPath: {path: /srv}}]"
    node.write(f"{MANIFESTS}/www.yaml", f"kind: Pod\nspec:\n  containers: [{{name: www, image: nginx}}]\n  {volumes}\n")
    etcd.remove_member(reset(node))
    scandir = os.scandir

    def broken(path: Path) -> object:
        if str(path).endswith("/srv/www"):
            raise OSError(errno.EIO, "Input/output error")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", broken)
    with pytest.raises(Refused, match=r"it is unknown whether an etcd runs here: cannot read .*/srv/www: Input/output error"):
        etcd.remove_member(reset(node))


def test_the_key_of_a_client_is_no_members(node: Node) -> None:
    """The certificate beside it says whether a server may use it."""
    write_log(node.root / "var/lib/etcd/default.etcd", OLD)
    now, folder = datetime.now(UTC), node.root / "etc/kubernetes/pki/etcd"
    folder.mkdir(parents=True)
    ca = make_ca("etcd-ca", now=now, kind="ECDSA-P256")
    write_pair(folder / "client", make_leaf(LeafSpec("client", ("client",), kind="ECDSA-P256"), ca, now=now))
    etcd.remove_member(reset(node))
    write_pair(folder / "n1", make_leaf(LeafSpec("n1", ("server", "client"), kind="ECDSA-P256"), ca, now=now))
    with pytest.raises(Refused, match=r"/var/lib/etcd/default\.etcd holds data of member .*/pki/etcd/n1\.key may be its key"):
        etcd.remove_member(reset(node))


def test_more_files_than_can_be_looked_at_are_no_answer(node: Node) -> None:
    for number in range(501):
        node.write(f"etc/kubernetes/pki/x{number}.crt", "x")
    node.write("etc/kubernetes/pki/z.key", "x")
    with pytest.raises(HostError, match="more files than can be looked at for keys"):
        etcd.remove_member(reset(node))


@pytest.mark.parametrize("path", ["pki/etcd-peer.key", "pki/etcd/n1/peer.key", "pki/etcd/peer-key.pem", "pki/etcd/member.key"])
def test_a_key_that_may_be_a_members_is_named_where_nothing_else_is_found(node: Node, path: str) -> None:
    node.write(f"etc/kubernetes/{path}", "x")
    assert f"/etc/kubernetes/{path} may be the key of an etcd member" in doubt_without_manifest(
        RealTree(node.root), "/etc/kubernetes/pki"
    )


START = """#!/bin/sh
x=1 # then . $FILE
[ -n "$C" ] || { echo "usage: $0 --config=$FILE"; exit 2; }
log "source $FILE missing"
crictl --config "$C" ps
kubectl --kubeconfig $K --config-dir=$K get nodes
ip=$(hostname -i)
exec kubelet --node-ip=$ip --hostname-override $(hostname) --node-labels `cat /srv/labels`
"""
"""What scripts say, and ask of others, are no settings; a value that is computed is none of a folder."""


@pytest.mark.parametrize(
    "text",
    [
        "[Service]\nExecStart=/usr/bin/kubelet --container-runtime-endpoint /run/containerd/containerd.sock\n",
        "[Service]\nExecStart=/bin/sh -c 'exec kubelet > /dev/null 2>&1'\n",
        "[Service]\nExecStart=/bin/sh -c 'exec kubelet >> /var/log/kubelet.log 2>&1'\n",
        "[Service]\nExecStart=/bin/sh -c 'echo \"source dir is missing\"; exec kubelet'\n",
        "[Service]\nExecStart=/bin/sh -c 'jq \". + {a: 1}\" /srv/x; exec kubelet'\n",
        "[Service]\nExecStart=/bin/sh -c '. /etc/profile; exec kubelet'\n",
        "[Service]\nExecStart=/bin/sh -c 'curl --config /srv/curl.conf; exec kubelet'\n",
        "[Service]\nExecStart=/usr/bin/kubelet --config=/etc/kubernetes/kubelet/kubelet-config.json\n",
        "[Service]\nExecStart=/srv/start.sh\n",
        "[Service]\nEnvironmentFile=-/etc/sysconfig/%p\nEnvironmentFile=-/etc/default/%N\nExecStart=/usr/bin/kubelet\n",
    ],
)
def test_what_an_ordinary_unit_names_is_no_riddle(node: Node, text: str) -> None:
    (node.root / "run/containerd").mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(node.root / "run/containerd/containerd.sock"))
        node.write("var/log/kubelet.log", 'FLAG: --pod-manifest-path="/srv/old"\n' * 10_000)
        node.write("etc/profile", "for i in /etc/profile.d/*.sh; do . $i; done\n")
        node.write("srv/old/etcd.yaml", TEXT)
        node.write("srv/start.sh", START)
        node.write("etc/systemd/system/kubelet.service", text)
        etcd.remove_member(reset(node))


def test_a_long_word_costs_little() -> None:
    words = ("a/" * 250_000, "--" * 250_000, "etcd-" * 100_000, "etcd1" + "1." * 250_000, "; " * 250_000, "echo " * 100_000)
    for word in words:
        may_run_etcd(POD.format(kind="containers", image="x", command=f"[sh, -c, '{word}']", args="[]").encode())


def test_long_settings_of_the_kubelet_cost_little(node: Node) -> None:
    for text in ("x", "a\\\n", "'", "A=", "\\x41", "' \" ", "$A ", "A=$A\n"):
        node.write("etc/default/kubelet", text * (250_000 // len(text)))
        etcd.remove_member(reset(node))
    node.write("etc/default/kubelet", "x" * 300_000)
    with pytest.raises(Refused, match="/etc/default/kubelet is too large for settings"):
        etcd.remove_member(reset(node))


def test_a_second_etcd_beside_the_manifest_stays(node: Node) -> None:
    """One for events, with other ports and data: it was deleted with the rest of the folder."""
    node.write(f"{MANIFESTS}/etcd.yaml", TEXT)
    node.write(f"{MANIFESTS}/etcd-events.yaml", TEXT)
    with pytest.raises(Refused, match=r"etcd-events\.yaml runs an etcd"):
        etcd.remove_member(reset(node))


@pytest.mark.parametrize("masked", ["etc/systemd/system/kubelet.service", DROP_IN])
def test_a_unit_that_is_masked_names_nothing(node: Node, masked: str) -> None:
    place = node.root / masked
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to("/dev/null")
    etcd.remove_member(reset(node))


def test_what_else_a_unit_runs_is_not_the_kubelet(node: Node) -> None:
    node.write(DROP_IN, "[Service]\nExecStartPre=/usr/bin/nerdctl --config $HOME/x pull --manifest-url=y\n")
    etcd.remove_member(reset(node))
