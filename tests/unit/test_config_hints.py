"""What a message about a file says to write instead: quotes, moved fields, versions, kinds."""

from __future__ import annotations

import pytest
from msgspec.structs import fields

from quorate.config.api_changes import KINDS, MOVED, has_field
from quorate.config.load import loads
from quorate.config.printing import placeholders
from quorate.config.problems import InvalidConfig
from quorate.config.resolve import resolve_any
from quorate.config.schema import Value
from quorate.config.types import V1BETA3, V1BETA4
from quorate.config.versions import closest
from quorate.errors import ConfigError

FACTS = placeholders("v1.34.4", "cp1")
JOIN = "discovery: {bootstrapToken: {token: abcdef.0123456789abcdef, apiServerEndpoint: a:1, unsafeSkipCAVerification: true}}"


def problems(kind: str, body: str, version: str = V1BETA4) -> list[str]:
    with pytest.raises(InvalidConfig) as error:
        resolve_any(loads(f"apiVersion: {version}\nkind: {kind}\n{body}\n".encode(), "f"), FACTS)
    return [f"{one.path}: {one.text}" for one in error.value.problems]


@pytest.mark.parametrize(
    ("kind", "body", "said"),
    [
        ("ClusterConfiguration", "clusterName: 12", 'clusterName: this must be a string: put it in quotes ("12")'),
        ("ClusterConfiguration", "clusterName: 0x10", 'clusterName: this must be a string: put it in quotes ("0x10")'),
        ("ClusterConfiguration", "clusterName: {a: b}", "clusterName: this must be a string"),
        (
            "ClusterConfiguration",
            "proxy: {disabled: 'yes'}",
            "proxy.disabled: this must be true or false: write it without quotes (yes)",
        ),
        ("ClusterConfiguration", "proxy: {disabled: 'x'}", "proxy.disabled: this must be true or false"),
        ("ClusterConfiguration", "proxy: {disabled: 1}", "proxy.disabled: this must be true or false"),
        (
            "ClusterConfiguration",
            "apiServer: {extraArgs: [{name: audit-log-path, value: no}]}",
            'apiServer.extraArgs[0].value: this must be a string: put it in quotes ("no")',
        ),
        (
            "InitConfiguration",
            "localAPIEndpoint: {bindPort: '6443'}",
            "localAPIEndpoint.bindPort: this must be a whole number: write it without quotes (6443)",
        ),
        (
            "ClusterConfiguration",
            "apiServer: {extraEnvs: [{name: A, value: 17}]}",
            "apiServer.extraEnvs[0].value: this must be a string: put it in quotes",
        ),
    ],
)
def test_quotes_that_are_missing_or_too_many(kind: str, body: str, said: str) -> None:
    assert problems(kind, body) == [said]


def test_a_value_that_was_meant_is_checked_too() -> None:
    example = "use one like v1.30.14. Until then, the rest is checked as of 1.30"
    # Quotes would not help: what is wrong with them, too, is said alone.
    assert problems("ClusterConfiguration", "kubernetesVersion: 1.30") == [
        f"kubernetesVersion: '1.30' is not a Kubernetes version: {example}",
    ]
    assert problems("InitConfiguration", "localAPIEndpoint: {bindPort: '0x1FFFF'}")[1].endswith("is not a port: 1 to 65535")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("InitConfiguration", "certificateKey: SECRET"),
        ("InitConfiguration", "bootstrapTokens: [{token: SECRET}]"),
        ("JoinConfiguration", "discovery: {tlsBootstrapToken: SECRET}"),
        ("JoinConfiguration", "discovery: {bootstrapToken: {token: SECRET}}"),
        ("JoinConfiguration", f"{JOIN}\ncontrolPlane: {{certificateKey: SECRET}}"),
        ("ClusterConfiguration", "etcd: {local: {extraEnvs: [{name: A, value: SECRET}]}}"),
    ],
)
@pytest.mark.parametrize("version", [V1BETA4, V1BETA3])
@pytest.mark.parametrize("secret", ["123456.0123456789012345", "9876543210", "off"])
def test_a_secret_without_quotes_is_not_repeated(kind: str, body: str, version: str, secret: str) -> None:
    text = f"apiVersion: {version}\nkind: {kind}\n{body.replace('SECRET', secret)}\n"
    with pytest.raises(InvalidConfig) as error:
        resolve_any(loads(text.encode(), "f"), FACTS)
    assert error.value.problems
    assert secret not in f"{error.value.what}{error.value.as_dict()}"


@pytest.mark.parametrize("text", ["1.30", "v1.30", "1.30.x", "v1.30.99", "stable-1.30", "kubernetes-1.30"])
def test_an_example_is_of_the_minor_that_was_meant(text: str) -> None:
    assert closest(text) == "v1.30.14"


@pytest.mark.parametrize(
    ("text", "example"), [("1.20.1", "v1.27.16"), ("v1.99.0", "v1.37.2"), ("", "v1.34.4"), ("2.1.30", "v1.34.4")]
)
def test_an_example_is_supported(text: str, example: str) -> None:
    assert closest(text) == example


@pytest.mark.parametrize("version", [V1BETA4, V1BETA3])
@pytest.mark.parametrize("part", ["apiServer", "controllerManager", "scheduler", "etcd: {local", "kubelet"])
def test_arguments_in_the_form_of_the_other_version(version: str, part: str) -> None:
    given = '{v: "2"}' if version == V1BETA4 else '[{name: v, value: "2"}]'
    kind, body = "ClusterConfiguration", f"{part}: {{extraArgs: {given}}}" + ("}" if "{" in part else "")
    if part == "kubelet":
        kind, body = "InitConfiguration", f"nodeRegistration: {{kubeletExtraArgs: {given}}}"
    (said,) = problems(kind, body, version)
    assert ("v1beta4 wants a name and a value" in said and "config migrate" in said) == (version == V1BETA4)
    assert ("v1beta3 wants v:" in said) == (version == V1BETA3)


def paths(made: type[Value], above: str = "") -> list[str]:
    from quorate.config.api_changes import _inside
    from quorate.config.schema import key_of

    found = []
    for info in fields(made):
        path = f"{above}{key_of(info.name, info.encode_name)}"
        inner = _inside(info.type)
        found.append(path)
        if isinstance(inner, type) and issubclass(inner, Value):
            found += paths(inner, f"{path}.")
    return found


def test_every_field_that_v1beta4_lacks_has_a_place_that_is_there() -> None:
    lost = {
        f"{kind}.{path}" for kind, made in KINDS[V1BETA3].items() for path in paths(made) if not has_field(V1BETA4, kind, path)
    }
    assert lost == set(MOVED)
    assert has_field(V1BETA4, "InitConfiguration", "timeouts.controlPlaneComponentHealthCheck")
    assert has_field(V1BETA4, "JoinConfiguration", "timeouts.controlPlaneComponentHealthCheck")
    assert has_field(V1BETA4, "JoinConfiguration", "timeouts.discovery")


@pytest.mark.parametrize(
    ("version", "kind", "body", "said"),
    [
        (
            V1BETA4,
            "ClusterConfiguration",
            "apiServer: {timeoutForControlPlane: 4m}",
            "timeouts.controlPlaneComponentHealthCheck of Init",
        ),
        (V1BETA4, "JoinConfiguration", f"{JOIN[:-1]}, timeout: 5m}}", "in v1beta4 it is timeouts.discovery"),
        (V1BETA4, "ClusterConfiguration", "dns: {type: CoreDNS}", "v1beta2 was the last that had it"),
        (V1BETA3, "ClusterConfiguration", "useHyperKubeImage: true", "v1beta2 was the last that had it"),
        (V1BETA3, "ClusterConfiguration", "encryptionAlgorithm: RSA-4096", "it is there since v1beta4"),
        (V1BETA3, "InitConfiguration", "nodeRegistration: {imagePullSerial: true}", "it is there since v1beta4"),
        (V1BETA4, "ClusterConfiguration", "localAPIEndpoint: {}", "it is a field of InitConfiguration"),
        (V1BETA4, "InitConfiguration", "networking: {}", "it is a field of ClusterConfiguration"),
    ],
)
def test_a_field_of_another_version_or_kind(version: str, kind: str, body: str, said: str) -> None:
    (found,) = problems(kind, body, version)
    assert "there is no such field; " in found and said in found and "did you mean" not in found


@pytest.mark.parametrize(
    ("version", "kind", "said"),
    [
        (V1BETA4, "clusterConfiguration", "did you mean ClusterConfiguration?"),
        (V1BETA4, "Cluster", "did you mean ClusterConfiguration?"),
        (V1BETA4, "Pod", "kinds are InitConfiguration, "),
        ("v1", "kubeletconfiguration", "did you mean KubeletConfiguration?"),
        ("kubelet.config.k8s.io/v1", "KubeletConfiguration", "KubeletConfiguration is of kubelet.config.k8s.io/v1beta1"),
        ("kubeadm.k8s.io/v1", "ClusterConfiguration", f"use {V1BETA4} or {V1BETA3}"),
        ("kubeadm.k8s.io/v1beta2", "ClusterConfiguration", "kubeadm 1.22 converts v1beta2"),
        (V1BETA3, "ResetConfiguration", f"use {V1BETA4}"),
    ],
)
def test_a_kind_or_version_that_is_not_read(version: str, kind: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        loads(f"apiVersion: {version}\nkind: {kind}\n".encode(), "f")
    assert said in error.value.what and "still reads" not in error.value.what


def test_the_problems_of_all_kinds_are_reported_at_once() -> None:
    parts = [
        f"apiVersion: {V1BETA4}\nkind: ClusterConfiguration\nclusterName: x\ncertificatesDir: here\n",
        f"apiVersion: {V1BETA4}\nkind: JoinConfiguration\ncaCertPath: here\n{JOIN}\n",
        f"apiVersion: {V1BETA4}\nkind: ResetConfiguration\ncertificatesDir: here\n",
        f"apiVersion: {V1BETA4}\nkind: UpgradeConfiguration\nplan: {{kubernetesVersion: '1.3'}}\n",
    ]
    with pytest.raises(InvalidConfig) as error:
        resolve_any(loads("---\n".join(parts).encode(), "f"), FACTS)
    assert [(one.line, one.path) for one in error.value.problems] == [
        (4, "certificatesDir"),
        (8, "caCertPath"),
        (13, "certificatesDir"),
        (17, "plan.kubernetesVersion"),
    ]
