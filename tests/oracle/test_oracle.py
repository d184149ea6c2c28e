"""The real kubeadm of four releases beside quorate: the same configuration, the same files."""

from __future__ import annotations

import subprocess
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from itertools import takewhile
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, engine
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from user_files import GOOD, WRONG, good_with_notes

from oracle.strategies import Values, component_of, init_files
from oracle.trees import differences, snapshot
from quorate.cli.main import run_with
from quorate.config.components import KUBELET, PROXY
from quorate.config.render import documents, to_yaml

pytestmark = [pytest.mark.oracle, pytest.mark.timeout(600)]

RELEASES = {"1.29": "v1.29.6", "1.31": "v1.31.0", "1.34": "v1.34.4", "1.37": "v1.37.2"}
PHASES = (("certs", "all"), ("kubeconfig", "all"), ("etcd", "local"), ("control-plane", "all"), ("kubelet-start",))
API = {"1.29": ("v1beta3",), "1.31": ("v1beta3", "v1beta4"), "1.34": ("v1beta3", "v1beta4"), "1.37": ("v1beta4",)}


def kubeadm(release: str) -> str:
    return engine("kubeadm" if release == "1.34" else f"kubeadm-{release}")


@contextmanager
def roots() -> Iterator[tuple[Path, Path]]:
    """Two empty roots, gone afterwards."""
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        for root in (Path(one), Path(other)):
            for folder in ("etc/ca-certificates", "usr/share/ca-certificates", "usr/bin"):
                (root / folder).mkdir(parents=True)
        yield Path(one), Path(other)


def run_kubeadm(program: str, root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Within `root`; its configuration is /c.yaml there. It finds no kubelet to start, and says so."""
    return subprocess.run(
        [program, *arguments, "--config", "/c.yaml", "--rootfs", str(root)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"PATH": "/usr/bin", "HOME": "/"},
    )


def run_quorate(root: Path, *arguments: str) -> tuple[int, str]:
    out = StringIO()
    with redirect_stdout(out), redirect_stderr(out):
        code = run_with([*arguments, "--config", str(root / "c.yaml"), "--rootfs", str(root)])
    return code, out.getvalue()


def write_both(text: str, *where: Path) -> None:
    for root in where:
        (root / "c.yaml").write_text(text)


@pytest.mark.parametrize("release", RELEASES)
@settings(
    max_examples=60,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    # Making an example smaller costs minutes of real programs; the difference is printed whole.
    phases=[Phase.generate],
    report_multiple_bugs=False,
)
@given(data=st.data())
def test_the_same_configuration_leaves_the_same_files(release: str, data: st.DataObject) -> None:
    api = data.draw(st.sampled_from(API[release]))
    text, cluster = data.draw(init_files(RELEASES[release], api))
    with roots() as (theirs, ours):
        write_both(text, theirs, ours)
        for phase in PHASES:
            if phase[0] == "etcd" and "external" in cluster.get("etcd", {}):
                continue
            real = run_kubeadm(kubeadm(release), theirs, "init", "phase", *phase)
            code, said = run_quorate(ours, "init", "phase", *phase)
            assert (real.returncode == 0) == (code == 0), f"{phase}: kubeadm {real.stdout}{real.stderr}\nquorate {said}\n{text}"
            if code:
                return
        found = differences(snapshot(theirs), snapshot(ours))
        assert found == [], "\n".join(found) + "\n" + text


PORTS = ("port", "healthzPort", "readOnlyPort")


def text_with(release: str, component: Values) -> str:
    """A file for `init` with one component configuration, without ports: two equal ones are refused by quorate alone."""
    component = {name: value for name, value in component.items() if name not in PORTS}
    api = API[release][-1]
    init = {
        "apiVersion": f"kubeadm.k8s.io/{api}",
        "kind": "InitConfiguration",
        "localAPIEndpoint": {"advertiseAddress": "10.7.0.1"},
        "nodeRegistration": {"name": "cp1", "criSocket": "unix:///run/x.sock"},
    }
    cluster = {"apiVersion": f"kubeadm.k8s.io/{api}", "kind": "ClusterConfiguration", "kubernetesVersion": RELEASES[release]}
    return documents([to_yaml(one) for one in (init, cluster, component)])


@pytest.mark.parametrize("release", RELEASES)
@settings(max_examples=40, suppress_health_check=list(HealthCheck), derandomize=True, phases=[Phase.generate])
@given(data=st.data())
def test_a_kubelet_configuration_is_written_byte_for_byte(release: str, data: st.DataObject) -> None:
    text = text_with(release, data.draw(component_of(KUBELET, int(release.split(".")[1]))))
    with roots() as (theirs, ours):
        write_both(text, theirs, ours)
        run_kubeadm(kubeadm(release), theirs, "init", "phase", "kubelet-start")
        code, said = run_quorate(ours, "init", "phase", "kubelet-start")
        assert code == 0, said + text
        found = differences(snapshot(theirs), snapshot(ours))
    assert found == [], "\n".join(found) + "\n" + text


@pytest.mark.parametrize("release", ["1.34", "1.37"])
@settings(max_examples=40, suppress_health_check=list(HealthCheck), derandomize=True, phases=[Phase.generate])
@given(data=st.data())
def test_a_kube_proxy_configuration_is_stored_byte_for_byte(release: str, data: st.DataObject) -> None:
    """Older ones print no manifests of a configuration file."""
    text = text_with(release, data.draw(component_of(PROXY, int(release.split(".")[1]))))
    with roots() as (theirs, ours):
        write_both(text, theirs, ours)
        real = run_kubeadm(kubeadm(release), theirs, "init", "phase", "addon", "kube-proxy", "--print-manifest")
        code, said = run_quorate(ours, "init", "phase", "addon", "kube-proxy", "--print-manifest")
    assert real.returncode == code == 0, f"{real.stderr}\n{said}\n{text}"
    assert proxy_file(said) == proxy_file(real.stdout), text


def proxy_file(manifests: str) -> str:
    """The file in the ConfigMap, among other manifests and messages."""
    _, _, rest = manifests.partition("\n  config.conf: |-\n")
    lines = [line for line in rest.splitlines() if line.strip()]
    return textwrap.dedent("\n".join(takewhile(lambda line: line.startswith("    "), lines)))


VERDICT_FILES = sorted((ROOT / "tests" / "golden" / "verdicts").glob("*.yaml"))
STRICTER = {"empty", "external-no-endpoints", "negative-timeout"}
"""Named in docs/compat.md."""


@pytest.mark.parametrize("path", VERDICT_FILES, ids=lambda path: path.stem)
def test_verdicts_of_the_real_kubeadm(path: Path) -> None:
    """`config validate` of both on the same file."""
    with roots() as (theirs, ours):
        write_both(path.read_text(), theirs, ours)
        real = run_kubeadm(kubeadm("1.34"), theirs, "config", "validate")
        code, said = run_quorate(ours, "config", "validate")
    if path.stem == "learner-gate-after-ga":
        assert real.returncode != 0 and code == 0
    elif path.stem in STRICTER:
        assert real.returncode == 0 and code == 3, said
    else:
        assert (real.returncode == 0) == (code == 0), f"{real.stderr}\n{said}"


@st.composite
def nearly_valid(draw: st.DrawFn) -> str:
    """A good file with one field that may be wrong."""
    field, value = draw(
        st.sampled_from(
            [
                ("networking", {"serviceSubnet": "10.0.0.0/28"}),
                ("networking", {"serviceSubnet": "10.0.0.0/29"}),
                ("networking", {"serviceSubnet": "10.0.0.0/11"}),
                ("networking", {"serviceSubnet": "fd00::/107"}),
                ("networking", {"serviceSubnet": "10.96.0.0/12,fd00::/112,fd01::/112"}),
                ("networking", {"podSubnet": "10.0.0.0/25"}),
                ("networking", {"podSubnet": "10.0.0.0/24"}),
                ("networking", {"podSubnet": "10.0.0.0/8"}),
                ("networking", {"podSubnet": "fd00::/47"}),
                ("networking", {"podSubnet": "fd00::/48"}),
                ("networking", {"dnsDomain": "a..b"}),
                ("controlPlaneEndpoint", "host:port"),
                ("controlPlaneEndpoint", "host:65536"),
                ("controlPlaneEndpoint", "[fd00::1]:6443"),
                ("controlPlaneEndpoint", "HOST"),
                ("controlPlaneEndpoint", "under_score"),
                ("apiServer", {"certSANs": ["*.*.x"]}),
                ("apiServer", {"certSANs": ["a_b"]}),
                ("apiServer", {"certSANs": ["fd00::1"]}),
                ("certificatesDir", "pki"),
                ("encryptionAlgorithm", "RSA-1024"),
                ("encryptionAlgorithm", "RSA-3072"),
                ("encryptionAlgorithm", "ECDSA-P384"),
                ("etcd", {"local": {"dataDir": "x"}}),
                ("etcd", {"local": {"serverCertSANs": ["-x"]}}),
                ("etcd", {"external": {"endpoints": ["http://a:1"], "caFile": "/x"}}),
                ("etcd", {"external": {"endpoints": ["https://a:1"], "certFile": "/x", "keyFile": "/y"}}),
                ("etcd", {"external": {"endpoints": ["https://a:1"], "caFile": "x"}}),
                ("kubernetesVersion", "v1.34"),
                ("kubernetesVersion", "1.34.1"),
                ("clusterName", 5),
                ("scheduler", {"extraArgs": [{"name": "", "value": "x"}]}),
                ("featureGates", {"PublicKeysECDSA": "yes"}),
                ("featureGates", {"NodeLocalCRISocket": False}),
            ]
        )
    )
    return yaml.safe_dump(
        {
            "apiVersion": "kubeadm.k8s.io/v1beta4",
            "kind": "ClusterConfiguration",
            "kubernetesVersion": "v1.34.4",
            field: value,
        }
    )


@settings(max_examples=40, suppress_health_check=list(HealthCheck), derandomize=True, phases=[Phase.generate])
@given(text=nearly_valid())
def test_both_take_or_refuse_the_same(text: str) -> None:
    init = "---\napiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nlocalAPIEndpoint: {advertiseAddress: 10.7.0.1}\n"
    with roots() as (theirs, ours):
        write_both(text + init, theirs, ours)
        real = run_kubeadm(kubeadm("1.34"), theirs, "config", "validate")
        code, said = run_quorate(ours, "config", "validate")
    assert (real.returncode == 0) == (code == 0), f"{text}\nkubeadm: {real.stdout}{real.stderr}\nquorate: {said}"


ETCDS = [
    "--data-dir=/var/lib/etcd", "--initial-advertise-peer-urls=https://10.7.0.1:2380", "--listen-client-urls=https://10.7.0.1:2379",
]  # fmt: skip
"""What a patch has to leave of etcd's flags: ours refuses one that leaves an etcd which a reset could not read."""

STRATEGIC = st.sampled_from(
    [
        {"spec": {"containers": [{"name": "etcd", "resources": {"limits": {"cpu": "1"}}}]}},
        {"spec": {"containers": [{"name": "etcd", "env": [{"name": "A", "value": "1"}]}, {"name": "side", "image": "x"}]}},
        {"spec": {"volumes": [{"name": "new", "emptyDir": {}}, {"name": "etcd-data", "hostPath": {"path": "/z"}}]}},
        {"spec": {"containers": [{"name": "etcd", "volumeMounts": [{"mountPath": "/new", "name": "new"}]}]}},
        {"spec": {"containers": [{"name": "etcd", "command": ["etcd", "--only=this", *ETCDS]}]}},
        {"spec": {"containers": [{"name": "etcd", "livenessProbe": None}]}},
        {"spec": {"volumes": [{"name": "etcd-certs", "$patch": "delete"}]}},
        {"spec": {"securityContext": {"$patch": "replace", "runAsUser": 5}}},
        {"spec": {"tolerations": [{"key": "x", "operator": "Exists"}], "priority": 3}},
        {"metadata": {"labels": {"tier": None, "more": "yes"}, "annotations": {"a": "b"}}},
        {"metadata": {"finalizers": ["a/b"]}},
    ]
)
OTHERS = st.sampled_from(
    [
        ("+merge", {"spec": {"volumes": [{"name": "only", "emptyDir": {}}]}}),
        ("+merge", {"metadata": {"annotations": None}}),
        ("+json", [{"op": "add", "path": "/spec/containers/0/command/-", "value": "--more=1"}]),
        ("+json", [{"op": "replace", "path": "/spec/priority", "value": 7}, {"op": "test", "path": "/kind", "value": "Pod"}]),
        ("+json", [{"op": "move", "from": "/metadata/labels/tier", "path": "/metadata/labels/level"}]),
        ("+json", [{"op": "remove", "path": "/nowhere"}]),
    ]
)


@settings(max_examples=40, suppress_health_check=list(HealthCheck), derandomize=True, phases=[Phase.generate])
@given(strategic=st.lists(STRATEGIC, max_size=3), others=st.lists(OTHERS, max_size=2))
def test_patches_do_what_kubeadms_do(strategic: list[object], others: list[tuple[str, object]]) -> None:
    cluster = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nkubernetesVersion: v1.34.4\n---\n"
    init = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nlocalAPIEndpoint: {advertiseAddress: 10.7.0.1}\n"
    with roots() as (theirs, ours):
        write_both(cluster + init + "nodeRegistration: {name: cp1}\npatches: {directory: /patches}\n", theirs, ours)
        for root in (theirs, ours):
            (root / "patches" / "inner").mkdir(parents=True)
            for number, patch in enumerate(strategic):
                (root / "patches" / f"etcd{number}.yaml").write_text(yaml.safe_dump(patch))
            for number, (kind, patch) in enumerate(others):
                (root / "patches" / "inner" / f"etcd{number}{kind}.yaml").write_text(yaml.safe_dump(patch))
        real = run_kubeadm(kubeadm("1.34"), theirs, "init", "phase", "etcd", "local")
        code, said = run_quorate(ours, "init", "phase", "etcd", "local")
        assert (real.returncode == 0) == (code == 0), f"{real.stdout}{real.stderr}\n{said}"
        if code == 0:
            path = "etc/kubernetes/manifests/etcd.yaml"
            assert (ours / path).read_text() == (theirs / path).read_text()


@pytest.mark.parametrize(
    ("text", "is_good"),
    [
        *((text, True) for text in GOOD.values()),
        *((text, True) for text, _ in good_with_notes().values()),
        *((text, False) for text, _ in WRONG.values()),
    ],
    ids=[*GOOD, *good_with_notes(), *WRONG],
)
def test_verdicts_on_what_people_publish(text: str, is_good: bool) -> None:
    with roots() as (theirs, ours):
        write_both(text, theirs, ours)
        real = run_kubeadm(kubeadm("1.34"), theirs, "config", "validate")
        code, said = run_quorate(ours, "config", "validate")
    assert (real.returncode == 0) == (code == 0) == is_good, f"{real.stderr}\n{said}"
