"""The configuration API: reading, completing, judging, converting, writing."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from kubeadm_cases import FACTS, GOLDEN, MINIMAL, setup_of

from quorate.config import gates, v1beta3
from quorate.config import types as v4
from quorate.config.duration import Duration
from quorate.config.load import Loaded, load, loads
from quorate.config.printing import init_defaults
from quorate.config.problems import InvalidConfig, Problems
from quorate.config.render import document, to_yaml
from quorate.config.resolve import resolve_any, resolve_init
from quorate.errors import ConfigError, QuorateError

TOKEN = "abcdef.0123456789abcdef"
VERDICTS = [row.split("\t") for row in (GOLDEN / "verdicts" / "verdicts.tsv").read_text().splitlines()[1:]]
STRICTER = {"empty", "external-no-endpoints", "negative-timeout"}
MORE_LENIENT = {"learner-gate-after-ga"}


@pytest.mark.parametrize(("name", "validate", "write", "field"), [(*row, "")[:4] for row in VERDICTS])
def test_verdicts(name: str, validate: str, write: str, field: str) -> None:
    """Each small file gets kubeadm's verdict, or a stricter one that docs/compat.md names; one is more lenient on purpose."""
    del write
    try:
        resolve_any(load(GOLDEN / "verdicts" / f"{name}.yaml"), FACTS)
        refused: QuorateError | None = None
    except QuorateError as error:
        refused = error
    wanted = (validate != "0" or name in STRICTER) and name not in MORE_LENIENT
    assert (refused is not None) == wanted, refused
    if refused is not None:
        assert refused.exit_code == 3
    if refused is not None and field:
        assert field.partition(":")[0] in refused.what


def refused(text: str) -> str:
    with pytest.raises(ConfigError) as error:
        resolve_any(loads(text.encode(), "c.yaml"), FACTS)
    assert error.value.exit_code == 3
    return error.value.what


def cluster(body: str) -> str:
    return f"apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nkubernetesVersion: v1.34.4\n{body}"


def test_all_problems_at_once() -> None:
    text = MINIMAL.replace("name: cp1", "name: Bad_Name").replace("10.77.0.11", "127.0.0.1")
    text += "networking: {serviceSubnet: nonsense, podSubnet: 10.0.0.0/30}\ncertificatesDir: here\n"
    with pytest.raises(InvalidConfig) as error:
        resolve_any(loads(text.encode(), "c.yaml"), FACTS)
    places = {(one.path, one.line) for one in error.value.problems}
    assert places >= {
        ("nodeRegistration.name", 5),
        ("localAPIEndpoint.advertiseAddress", 4),
        ("networking.serviceSubnet", 11),
        ("networking.podSubnet", 11),
        ("certificatesDir", 12),
    }
    assert "c.yaml:5: nodeRegistration.name: 'bad_name'" in error.value.what


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ("etcd: {local: {dataDir: relative}}", "etcd.local.dataDir"),
        ("etcd: {local: {}, external: {endpoints: ['https://a:1']}}", "etcd"),
        ("etcd: {external: {endpoints: ['a:2379']}}", "etcd.external.endpoints[0]"),
        ("etcd: {external: {endpoints: ['http://a:1'], caFile: /ca}}", "etcd.external.endpoints[0]"),
        ("etcd: {external: {endpoints: ['https://a:1'], certFile: /c}}", "etcd.external"),
        ("networking: {serviceSubnet: '10.0.0.0/8'}", "networking.serviceSubnet"),
        ("networking: {serviceSubnet: '10.0.0.0/16,10.1.0.0/16'}", "networking.serviceSubnet"),
        ("networking: {podSubnet: '10.0.0.0/26'}", "networking.podSubnet"),
        ("networking: {podSubnet: '10.0.0.0/7'}", "networking.podSubnet"),
        ("networking: {dnsDomain: 'A_b'}", "networking.dnsDomain"),
        ("controlPlaneEndpoint: 'a b'", "controlPlaneEndpoint"),
        ("controlPlaneEndpoint: 'host:0'", "controlPlaneEndpoint"),
        ("encryptionAlgorithm: DSA", "encryptionAlgorithm"),
        ("imageRepository: 'a//b'", "imageRepository"),
        ("imageRepository: '[fd00::1]x/y'", "imageRepository"),
        ("imageRepository: 'fd00::1/y'", "imageRepository"),
        ("etcd: {external: {endpoints: ['http://a:1,http://b:1']}}", "etcd.external.endpoints[0]"),
        ("apiServer: {extraArgs: [{value: x}]}", "apiServer.extraArgs[0].name"),
        ("certificateValidityPeriod: 0s", "certificateValidityPeriod"),
        ("certificateValidityPeriod: soon", "certificateValidityPeriod"),
        ("apiServer: {certSANs: x}", "apiServer.certSANs"),
        ("apiServer: {certSans: [x]}", "did you mean certSANs"),
        ("dns: {disabled: 'yes please'}", "dns.disabled"),
    ],
)
def test_nonsense_is_refused_with_its_path(body: str, where: str) -> None:
    assert where in refused(cluster(body))


@pytest.mark.parametrize("name", ["reg.example:5000", "reg.example:5000/a/b", "[fd00::1]:5000/x", "[fd00::1]/x"])
def test_a_repository_of_images(name: str) -> None:
    assert setup_of(cluster(f"imageRepository: '{name}'")).cluster.image_repository == name


@pytest.mark.parametrize("body", ["nodeRegistration: {criSocket: run/x.sock}", "timeouts: {discovery: 0s}"])
def test_nonsense_that_kubeadm_takes(body: str) -> None:
    assert refused(f"apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\n{body}")


def test_labels_are_not_resolved() -> None:
    assert "label" in refused(cluster("").replace("v1.34.4", "stable-1"))
    assert "not supported" in refused(cluster("").replace("v1.34.4", "v1.99.0"))


def test_untested_versions_are_named() -> None:
    text = MINIMAL.replace("v1.34.4", "v1.27.3")
    assert any("untested" in note for note in setup_of(text).notes)
    assert not any("untested" in note for note in setup_of().notes)


@pytest.mark.parametrize(
    ("minor", "value", "ok", "note"),
    [
        (27, True, True, ""),
        (27, False, True, "before it has the data"),
        (31, False, True, "before it has the data"),
        (32, False, False, ""),
        (32, True, True, "you can delete this line"),
        (34, True, True, "you can delete this line"),
        (37, False, False, ""),
    ],
)
def test_the_learner_gate_by_version(minor: int, value: bool, ok: bool, note: str) -> None:
    problems = Problems("x")
    notes = gates.check({gates.LEARNER: value}, minor, problems)
    assert (problems.found == []) == ok
    assert (note in " ".join(notes)) if note else notes == []


@pytest.mark.parametrize(
    ("name", "minor", "value", "ok"),
    [
        ("ControlPlaneKubeletLocalMode", 30, True, False),
        ("ControlPlaneKubeletLocalMode", 34, False, True),
        ("ControlPlaneKubeletLocalMode", 35, False, False),
        ("ControlPlaneKubeletLocalMode", 36, True, False),
        ("NodeLocalCRISocket", 34, False, True),
        ("NodeLocalCRISocket", 36, False, False),
        ("Nonsense", 34, True, False),
    ],
)
def test_gates_by_version(name: str, minor: int, value: bool, ok: bool) -> None:
    problems = Problems("x")
    gates.check({name: value}, minor, problems)
    assert (problems.found == []) == ok


@pytest.mark.parametrize(
    "content",
    [
        b"a: " + b"[" * 5000 + b"]" * 5000,
        b"x: &a [1]\n" + b"\n".join(b"k%d: *a" % number for number in range(1000)),
        b"a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: &d [*c, *c, *c, *c]\ne: [*d, *d]\n" * 60,
        b"a: b\n" * 3_000_000,
        bytes(range(256)) * 100,
        b"a: &a {b: *a}",
        b"!!python/object/apply:os.system ['true']",
        b"? [complex, key]\n: value\n",
        b"<<: {a: b}\n",
        b"\x00\x01\x02",
        b"- just\n- a list\n",
        b"plain text",
        b"{}",
        b"",
        b"---\n---\n",
    ],
    ids=range(15),
)
def test_hostile_files_are_refused_quickly(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(content)
    began = time.process_time()
    with pytest.raises(ConfigError):
        resolve_any(load(path), FACTS)
    # Not a measurement: without the bounds this takes minutes, or all memory.
    assert time.process_time() - began < 20


def test_secrets_do_not_come_back_in_errors() -> None:
    secret = "abcdef.0123456789ABCDEF"
    text = f"apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nbootstrapTokens: [{{token: {secret}}}]\n"
    text += "certificateKey: deadbeefzz\n"
    said = refused(text)
    assert "0123456789ABCDEF" not in said and "deadbeefzz" not in said
    assert "0123" not in repr(v4.BootstrapToken("abcdef.0123456789abcdef"))


@given(st.integers(-(2**62), 2**62))
def test_durations_survive_their_text(value: int) -> None:
    assert Duration.parse(str(Duration(value))) == value or abs(value) > 2**52


@pytest.mark.parametrize(
    ("text", "shown"), [("90s", "1m30s"), ("24h", "24h0m0s"), ("1500ms", "1.5s"), ("0", "0s"), ("-5s", "-5s"), ("1h1ns", None)]
)
def test_durations_as_go_writes_them(text: str, shown: str | None) -> None:
    assert str(Duration.parse(text)) == (shown or "1h0m0.000000001s")


@pytest.mark.parametrize("text", ["", "5", "5 s", "s", "1d", "1.2.3s", "9999999999h"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        Duration.parse(text)


def test_what_is_written_is_read_again() -> None:
    text = init_defaults("v1.34.4")
    loaded = loads(text.encode(), "x")
    assert loaded.init is not None and loaded.cluster is not None
    again = document("InitConfiguration", v4.V1BETA4, loaded.init)
    assert again == text.partition("---\n")[0]


ARGS = st.lists(
    st.tuples(st.sampled_from(["v", "a-b"]), st.text("xyz=,", max_size=4)), max_size=3, unique_by=lambda one: one[0]
)


@given(ARGS, st.booleans(), st.sampled_from(["", "ECDSA-P256"]))
def test_the_older_shape_and_back(args: list[tuple[str, str]], gate: bool, algorithm: str) -> None:
    """What v1beta3 can say survives the way there and back."""
    new = v4.ClusterConfiguration(
        api_server=v4.ApiServer(extra_args=tuple(v4.Arg(*one) for one in sorted(args))),
        etcd=v4.Etcd(v4.LocalEtcd(data_dir="/x")),
        feature_gates={"EtcdLearnerMode": True} if gate else {},
        encryption_algorithm=algorithm,
    )
    old, lost = v1beta3.downgrade_cluster(new)
    assert lost == []
    back = v1beta3.upgrade_cluster(old)
    assert back.api_server == new.api_server and back.etcd == new.etcd
    assert back.encryption_algorithm == algorithm


def test_what_the_older_shape_cannot_say_is_named() -> None:
    new = v4.ClusterConfiguration(
        api_server=v4.ApiServer(extra_args=(v4.Arg("v", "1"), v4.Arg("v", "2")), extra_envs=(v4.EnvVar("A", "1"),)),
        dns=v4.Dns(disabled=True),
        encryption_algorithm="RSA-4096",
    )
    lost = v1beta3.downgrade_cluster(new)[1]
    assert lost == ["apiServer.extraArgs (v several times)", "encryptionAlgorithm", "apiServer.extraEnvs", "dns.disabled"]


@pytest.mark.parametrize(
    "value", ["0", "yes", "null", "1.5", "0x1", "2001-01-01", "a: b", "multi\nline", "", " x", "1:30", "y", "#"]
)
def test_strings_stay_strings(value: str) -> None:
    assert yaml.safe_load(to_yaml({"k": value})) == {"k": value}


def test_a_file_for_another_command_says_what_it_lacks() -> None:
    with pytest.raises(ConfigError, match="neither an InitConfiguration nor a ClusterConfiguration"):
        resolve_init(Loaded("x.yaml"), FACTS)


def test_what_the_kubelet_is_given_otherwise_than_kubeadm_wants_it_is_noted() -> None:
    text = MINIMAL + "---\napiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n"
    text += "rotateCertificates: false\nmaxPods: 77\n"
    setup = setup_of(text)
    assert setup.components["KubeletConfiguration"]["maxPods"] == 77
    assert any("rotateCertificates" in note for note in setup.notes)


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("CLi-0A1B", "cli-0a1b"),
        ('" Worker-1.Lab "', "worker-1.lab"),
        ("node-1", "node-1"),
        ('"\\tCP1\\n"', "cp1"),
        ("A.B.C", "a.b.c"),
    ],
)
def test_a_node_name_is_trimmed_and_in_lower_case(typed: str, name: str) -> None:
    """As kubeadm has it, wherever the name comes from: machines are often called after what their owners typed."""
    text = f"""apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: {{advertiseAddress: 10.0.0.11}}
nodeRegistration: {{name: {typed}}}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v1.34.4
"""
    assert resolve_init(loads(text.encode(), "c.yaml"), FACTS).init.node_registration.name == name


def test_a_node_name_that_is_wrong_otherwise_stays_refused() -> None:
    text = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nnodeRegistration: {name: CP_1}\n"
    with pytest.raises(InvalidConfig, match="'cp_1' is not a DNS name"):
        resolve_init(loads(text.encode(), "c.yaml"), FACTS)


@pytest.mark.parametrize(
    "body",
    [
        "networking: {serviceSubnet: 10.96.0.0/255.240.0.0}",
        "networking: {serviceSubnet: 10.96.0.0/0.15.255.255}",
        "networking: {serviceSubnet: 'fd00::%eth0/112'}",
        "networking: {podSubnet: '10.244.0.0/16,fd01::%1/48'}",
        "networking: {podSubnet: 10.244.0.0}",
        "controlPlaneEndpoint: '[fd00::1%eth0]:6443'",
        "apiServer: {certSANs: ['fe80::1%eth0']}",
    ],
)
def test_what_python_reads_and_go_does_not(body: str) -> None:
    """It was written as it stood, and kube-apiserver ended with "not a valid cidr"."""
    assert refused(cluster(body))


def test_the_size_of_a_nodes_network_is_that_of_the_flag_that_counts() -> None:
    """kubeadm does not read the flag without a family, and refuses a network that the controller manager can divide."""
    small = (
        "networking: {podSubnet: 10.0.0.0/26}\ncontrollerManager: {extraArgs: [{name: node-cidr-mask-size, value: 'SIZE'}]}\n"
    )
    resolve_any(loads(cluster(small.replace("SIZE", "28")).encode(), "c.yaml"), FACTS)
    assert "is smaller than the /24" in refused(cluster(small.replace("SIZE", "24")))


def test_a_discovery_file_need_not_be_where_a_configuration_is_checked() -> None:
    text = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\n"
    resolve_any(
        loads(f"{text}discovery: {{file: {{kubeConfigPath: /nowhere/c.conf}}, tlsBootstrapToken: {TOKEN}}}".encode(), "c"),
        FACTS,
    )


def test_problems_are_in_the_order_of_the_file_and_each_once() -> None:
    text = cluster(
        "certificateValidityPeriod: 1 year\nnetworking:\n  serviceSubnet: x\nclusterNam: x\nencryptionAlgorithm: RSA-1\n"
    )
    with pytest.raises(InvalidConfig) as error:
        resolve_any(loads(text.encode(), "c.yaml"), FACTS)
    lines = [one.line for one in error.value.problems]
    assert lines == sorted(lines) and len(lines) == len(set(lines)) == 4
