"""What `config validate` and `config migrate` say of whole files, and a join of its flags, as a user reads it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from conftest import RunCli, engine

INIT = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\n"
CLUSTER = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nkubernetesVersion: v1.34.4\n"
JOIN = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\n"
RESET = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ResetConfiguration\n"
KUBELET = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n"
PROXY = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n"
TOKEN = "apiServerEndpoint: 'a:6443', token: abcdef.0123456789abcdef, unsafeSkipCAVerification: true"
DISCOVERY = f"discovery: {{bootstrapToken: {{{TOKEN}}}}}\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "c.yaml"


def validated(cli: RunCli, file: Path, text: str) -> tuple[int, str]:
    file.write_text(text)
    done = cli("config", "validate", str(file))
    return done.returncode, done.stderr.replace(str(file), "FILE")


@pytest.mark.parametrize("text", [KUBELET + "maxPods: 50\n", PROXY + "mode: ipvs\n", f"{KUBELET}---\n{PROXY}"])
def test_a_component_configuration_alone_is_a_configuration(text: str, cli: RunCli, file: Path) -> None:
    assert validated(cli, file, text)[0] == 0


@pytest.mark.oracle
def test_the_real_kubeadm_takes_a_component_configuration_alone(file: Path) -> None:
    file.write_text(KUBELET + "maxPods: 50\n")
    assert subprocess.run([engine("kubeadm"), "config", "validate", "--config", str(file)], check=False).returncode == 0


def test_a_component_configuration_alone_is_checked(cli: RunCli, file: Path) -> None:
    code, said = validated(cli, file, KUBELET + "maxPods: -1\n")
    assert code == 3
    assert "FILE:3: maxPods: -1 is too small" in said


@pytest.mark.parametrize("head", [INIT, JOIN + DISCOVERY, RESET])
def test_phases_and_checks_are_judged_as_the_run_does(head: str, cli: RunCli, file: Path) -> None:
    ignored = "ignorePreflightErrors: [Swapp]"
    named = ignored if head == RESET else f"nodeRegistration: {{{ignored}}}"
    code, said = validated(cli, file, f"{head}{named}\n")
    assert code == 0
    assert "no preflight check is called Swapp, so that nothing is ignored by it: did you mean Swap?" in said
    code, said = validated(cli, file, f"{head}skipPhases: [preflight, preflihgt, zzz]\n")
    assert code == 3
    line = len(head.splitlines()) + 1
    assert f"FILE:{line}: skipPhases[1]: there is no phase 'preflihgt'; did you mean preflight?" in said
    assert f"FILE:{line}: skipPhases[2]: there is no phase 'zzz'; 'quorate " in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("# x\napiVersion: kubeadm.k8s.io/v1beta4\nskipPhases: []\nkind: InitConfiguraton\n", "FILE:4: kind: "),
        ("kind: InitConfiguration\nskipPhases: []\napiVersion: kubeadm.k8s.io/v1beta9\n", "FILE:3: apiVersion: "),
        ("apiVersion: kubeadm.k8s.io/v1beta4\nx: y\nkind: 5\n", "FILE:3: kind: this must be a string"),
        ("x: y\nkind: InitConfiguration\n", "FILE:1: apiVersion: this document has no apiVersion"),
        (f"{CLUSTER}---\nx: y\n{CLUSTER}", "FILE:7: kind: there is a ClusterConfiguration already, at line 1"),
    ],
)
def test_a_wrong_kind_has_its_own_line(text: str, said: str, cli: RunCli, file: Path) -> None:
    code, found = validated(cli, file, text)
    assert code == 3
    assert f"error: {said}" in found


def test_a_version_without_its_patch_needs_no_quotes_but_a_patch(cli: RunCli, file: Path) -> None:
    code, said = validated(cli, file, CLUSTER.replace("v1.34.4", "1.34"))
    assert code == 3
    assert "FILE:3: kubernetesVersion: '1.34' is not a Kubernetes version: use one like v1.34.4" in said
    assert "quotes" not in said


@pytest.mark.parametrize("label", ["stable", "stable-1", "latest-1.34", "ci/latest"])
def test_a_label_is_said_to_be_one(label: str, cli: RunCli, file: Path) -> None:
    code, said = validated(cli, file, CLUSTER.replace("v1.34.4", label))
    assert code == 3
    assert f"{label!r} is a label that only a server can resolve: name the version, such as v1.34" in said
    assert "no Kubernetes version is given" not in said


def test_migrate_says_what_it_leaves_out(cli: RunCli, file: Path) -> None:
    file.write_text(f"{INIT}metadata: {{name: x}}\n---\n{CLUSTER}---\n{KUBELET}")
    done = cli("config", "migrate", "--old-config", str(file))
    assert done.returncode == 0
    assert "KubeletConfiguration" not in done.stdout
    assert f"{file}:9: KubeletConfiguration is not in the result" in done.stderr
    assert "metadata: InitConfiguration has no such field: ignored" in done.stderr
    file.write_text(f"{INIT}---\n{CLUSTER}")
    assert "not in the result" not in cli("config", "migrate", "--old-config", str(file)).stderr


def test_a_join_without_a_token_says_what_to_run(cli: RunCli, file: Path) -> None:
    done = cli("join", "10.0.0.1:6443", "--discovery-token-unsafe-skip-ca-verification")
    assert done.returncode == 3
    assert "no token is given for 10.0.0.1:6443: give --token and --discovery-token-ca-cert-hash" in done.stderr
    assert "'quorate token create --print-join-command' on a control-plane node prints the whole command" in done.stderr
    code, said = validated(cli, file, JOIN + "discovery: {bootstrapToken: {apiServerEndpoint: 'a:6443'}}\n")
    assert code == 3
    assert "a token is missing: 'quorate token create --print-join-command'" in said
    assert "caCertHashes" not in said


FORMS = {
    f"{{{CLUSTER.strip().replace(chr(10), ', ')}}}\n": "as JSON, and this is none",
    '{"apiVersion": "kubeadm.k8s.io/v1beta4", "kind": "ClusterConfiguration", "kubernetesVersion": "v1.34.4"}\n': "",
    f"# c\n{{{CLUSTER.strip().replace(chr(10), ', ')}}}\n": "",
    f"{CLUSTER}---\n\n {{{INIT.strip().replace(chr(10), ', ')}}}\n": "as JSON, and this is none",
    f"{CLUSTER}--- {{{INIT.strip().replace(chr(10), ', ')}}}\n": "nothing behind ---",
    f"{CLUSTER}--- # and\n{INIT}": "",
    f"{CLUSTER}---  \n{INIT}...\n": "",
    f"%YAML 1.1\n---\n{CLUSTER}": "a directive of YAML",
}
"""Forms of a file that YAML allows, with what is said against them: kubeadm reads some of them otherwise, or not at all."""


@pytest.mark.parametrize("text", FORMS)
def test_a_form_that_kubeadm_does_not_read_is_named(text: str, cli: RunCli, file: Path) -> None:
    code, said = validated(cli, file, text)
    assert (code == 0) is (not FORMS[text]) and FORMS[text] in said, said


@pytest.mark.oracle
@pytest.mark.parametrize("text", FORMS)
def test_the_real_kubeadm_reads_the_same_forms(text: str, file: Path) -> None:
    file.write_text(text)
    done = subprocess.run([engine("kubeadm"), "config", "validate", "--config", str(file)], check=False, capture_output=True)
    assert (done.returncode == 0) is (not FORMS[text])


def test_the_kind_of_a_hash_may_have_capitals(cli: RunCli, file: Path) -> None:
    pinned = TOKEN.replace("unsafeSkipCAVerification: true", f"caCertHashes: ['SHA256:{'Ab' * 32}']")
    assert validated(cli, file, f"{JOIN}discovery: {{bootstrapToken: {{{pinned}}}}}\n")[0] == 0
