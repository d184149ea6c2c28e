"""`config explain` and `config schema`: every field has a meaning; a schema refuses nothing that `config validate` takes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, RunCli
from jsonschema import Draft202012Validator

from quorate.config.component_fields import fields_of
from quorate.config.components import KUBELET, PROXY
from quorate.config.descriptions import CHOICES, texts
from quorate.config.explain import explain, fields_below
from quorate.config.json_schema import schema_of, schema_of_all
from quorate.config.load import V4_KINDS, loads
from quorate.config.printing import init_defaults, join_defaults, placeholders, reset_defaults, upgrade_defaults
from quorate.config.resolve import resolve_any
from quorate.config.schema import Value
from quorate.config.shapes import Shape, kinds, shape_of, versions_of
from quorate.config.v1beta3 import KINDS as V3_KINDS
from quorate.config.versions import NEWEST, OLDEST
from quorate.errors import ConfigError
from quorate.foreign.documents import read_documents

GOLDEN = ROOT / "tests" / "golden"
ALL = [(kind, version) for kind in kinds() for version in versions_of(kind)]


def classes(made: type[Value]) -> set[type[Value]]:
    """The class and those of its fields, all the way down."""
    below = {one for hint in made.__annotations__.values() for one in inner(str(hint), made)}
    return {made}.union(*(classes(one) for one in below))


def inner(hint: str, made: type[Value]) -> list[type[Value]]:
    import sys

    names = sys.modules[made.__module__].__dict__
    words = "".join(char if char.isalnum() or char in "_." else " " for char in hint).split()
    found = [names["v4"].__dict__.get(word[3:]) if word.startswith("v4.") else names.get(word) for word in words]
    return [one for one in found if isinstance(one, type) and issubclass(one, Value)]


def every(shape: Shape, path: str = "") -> list[tuple[str, Shape]]:
    rows = [(f"{path}.{name}", one) for name, one in fields_below(shape).items()]
    return rows + [row for name, one in rows for row in every(one, name)]


def test_every_field_of_kubeadms_kinds_has_a_meaning_and_no_meaning_is_stale() -> None:
    found = set[type[Value]]().union(*(classes(made) for made in (*V4_KINDS.values(), *V3_KINDS.values())))
    fields = {f"{made.__name__}.{name}" for made in found for name in made.__struct_fields__}
    written = texts()["fields"]
    assert [name for name in sorted(fields) if name not in written and f"*.{name.partition('.')[2]}" not in written] == []
    ends = {name.partition(".")[2] for name in fields}
    assert [name for name in written if name not in fields and not (name[:2] == "*." and name[2:] in ends)] == []
    assert [name for name in CHOICES if name not in fields] == []
    assert [text for text in written.values() if not text.endswith((".", "…")) or len(text) > 220] == []


@pytest.mark.parametrize(("kind", "version"), ALL)
@pytest.mark.parametrize("minor", [OLDEST, 34, NEWEST])
def test_every_field_of_every_kind_is_explained(kind: str, version: str, minor: int) -> None:
    rows = every(shape_of(kind, version, minor))
    assert len(rows) > 8
    assert [path for path, shape in rows if not shape.about] == []


@pytest.mark.parametrize("kind", [KUBELET, PROXY])
def test_a_component_has_the_fields_of_its_minor(kind: str) -> None:
    for minor in range(OLDEST, NEWEST + 1):
        rows = {path.removeprefix(".") for path, _ in every(shape_of(kind, versions_of(kind)[0], minor))}
        assert rows == {path.replace("[]", "") for path in fields_of(kind, minor) if not path.endswith("[]")}


def documents(text: str) -> list[Any]:
    return read_documents(text.encode(), "f")


def complaints(document: Any) -> list[str]:
    return [error.message for error in Draft202012Validator(schema_of_all(34)).iter_errors(document)]


def test_the_schemas_are_schemas() -> None:
    for kind, version in ALL:
        Draft202012Validator.check_schema(schema_of(kind, version, NEWEST))
    Draft202012Validator.check_schema(schema_of_all(OLDEST))


@pytest.mark.parametrize(
    "text",
    [
        init_defaults("v1.34.0", (KUBELET, PROXY)),
        join_defaults("node"),
        reset_defaults(),
        upgrade_defaults(),
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nnodeRegistration:\n  taints:\n  kubeletExtraArgs: []\n",
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nlocalAPIEndpoint: {bindPort: 6443.0}\n",
        "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nkubeReserved: {cpu: 500m}\nmemorySwap: {}\n",
        "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nlogging: {flushFrequency: 5s}\n",
    ],
)
def test_what_is_right_is_taken(text: str) -> None:
    found = documents(text)
    assert found
    assert [complaints(one) for one in found] == [[]] * len(found)


def test_the_golden_files_that_are_valid_are_taken() -> None:
    """And what has an unknown field or a wrong type is refused."""
    taken = refused = 0
    for path in sorted(GOLDEN.rglob("*.yaml")):
        try:
            loaded = loads(path.read_bytes(), str(path))
        except ConfigError:
            continue
        found = [
            one for document in documents(path.read_text()) if document.get("kind") in V4_KINDS for one in complaints(document)
        ]
        if any(problem.code == "unknown-field" or "this must be" in problem.text for problem in loaded.problems):
            refused += 1
            assert found, path
        try:
            resolve_any(loaded, placeholders("v1.34.4", "cp1"))
        except ConfigError:
            continue
        taken += 1
        assert found == [], path
    assert taken > 10
    assert refused > 1


@pytest.mark.parametrize(
    ("kind", "body", "said"),
    [
        ("ClusterConfiguration", "networkin: {}", "'networkin'"),
        ("ClusterConfiguration", "networking: {podSubnet: 10}", "10 is not of type 'string'"),
        ("ClusterConfiguration", "encryptionAlgorithm: RSA-1024", "'RSA-1024' is not one of"),
        ("ClusterConfiguration", "certificateValidityPeriod: 1 year", "'1 year' does not match"),
        ("InitConfiguration", "localAPIEndpoint: {bindPort: many}", "'many' is not of type 'integer'"),
        ("JoinConfiguration", "discovery: []", "[] is not of type 'object'"),
        ("KubeletConfiguration", "maxPods: '110'", "'110' is not of type 'integer'"),
        ("KubeletConfiguration", "maxPods: 3000000000", "is greater than the maximum"),
        ("KubeletConfiguration", "clusterDns: []", "'clusterDns'"),
        ("KubeProxyConfiguration", "mode: 5", "5 is not of type 'string'"),
    ],
)
def test_what_is_wrong_is_refused(kind: str, body: str, said: str) -> None:
    (document,) = documents(f"apiVersion: {versions_of(kind)[0]}\nkind: {kind}\n{body}\n")
    (complaint,) = complaints(document)
    assert said in complaint


def test_a_kind_that_there_is_not() -> None:
    assert complaints({"apiVersion": "v1", "kind": "Pod"})
    assert complaints({"kind": "ClusterConfiguration"})


@pytest.mark.parametrize(
    ("name", "path", "type_"),
    [
        ("ClusterConfiguration", "", "object"),
        ("clusterconfiguration.ETCD.local.datadir", "etcd.local.dataDir", "string"),
        ("ClusterConfiguration.apiServer.extraArgs[0].name", "apiServer.extraArgs.name", "string"),
        ("ClusterConfiguration.featureGates", "featureGates", "map[string]bool"),
        ("ClusterConfiguration.featureGates.NodeLocalCRISocket", "featureGates.NodeLocalCRISocket", "bool"),
        ("InitConfiguration.bootstrapTokens", "bootstrapTokens", "[]object"),
        ("KubeletConfiguration.registerWithTaints.effect", "registerWithTaints.effect", "string"),
    ],
)
def test_a_path_names_a_field(name: str, path: str, type_: str) -> None:
    found = explain(name, "", 34)
    assert (found.path, found.shape.shown_type) == (path, type_)
    assert found.shape.about or path.startswith("featureGates.")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ClusterConfig", "did you mean ClusterConfiguration?"),
        ("Cluster", "did you mean ClusterConfiguration?"),
        ("kubelet", "did you mean KubeletConfiguration?"),
        ("networking.podSubnet", "begins with no kind; there is ClusterConfiguration.networking.podSubnet"),
        ("podsubnet", "begins with no kind; there is ClusterConfiguration.networking.podSubnet"),
        (
            "nodeRegistration.taints[0].key",
            "there is InitConfiguration.nodeRegistration.taints.key, JoinConfiguration.nodeRegistration.taints.key",
        ),
        (
            "featureGates",
            "there is ClusterConfiguration.featureGates, KubeletConfiguration.featureGates, KubeProxyConfiguration",
        ),
        ("ClusterConfiguration.networking.podSubnets", "did you mean podSubnet?"),
        ("ClusterConfiguration.clusterName.x", "is a string: it has no fields"),
        ("", "is no kind"),
        ("....", "is no kind"),
        ("ClusterConfiguration.\x1b[31m", "is no field"),
    ],
)
def test_a_path_that_names_nothing(name: str, said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        explain(name, "", 34)


def test_a_version_without_its_group() -> None:
    assert explain("ClusterConfiguration.apiServer.extraArgs", "v1beta3", 34).shape.shown_type == "map[string]string"
    assert explain("KubeletConfiguration", "v1beta1", 34).version == versions_of(KUBELET)[0]
    with pytest.raises(ConfigError, match="ClusterConfiguration has no version v1beta1"):
        explain("ClusterConfiguration", "v1beta1", 34)


def test_defaults_are_those_that_a_file_gets_on_every_host() -> None:
    assert explain("ClusterConfiguration.networking.serviceSubnet", "", 34).shape.default == "10.96.0.0/12"
    assert explain("InitConfiguration.nodeRegistration.name", "", 34).shape.default is None
    assert explain("ClusterConfiguration.kubernetesVersion", "", 34).shape.default is None
    assert explain("KubeletConfiguration.cgroupDriver", "", 34).shape.default == "systemd"
    assert explain("KubeletConfiguration.authentication.anonymous.enabled", "", 34).shape.default is False


def test_on_the_command_line(cli: RunCli, tmp_path: Path) -> None:
    listed = cli("config", "explain")
    assert listed.returncode == 0 and all(kind in listed.stdout for kind in kinds())
    shown = cli("config", "explain", "ClusterConfiguration.networking")
    assert "dnsDomain      string  Domain of the services' names. Default: cluster.local." in shown.stdout.splitlines()
    assert "init writes: systemd." in cli("config", "explain", "KubeletConfiguration.cgroupDriver").stdout.splitlines()
    data = json.loads(cli("config", "explain", "JoinConfiguration.discovery", "-o", "json").stdout)
    assert [row["name"] for row in data["fields"]] == ["bootstrapToken", "file", "tlsBootstrapToken"]
    deep = cli("config", "explain", "ClusterConfiguration.etcd", "--recursive").stdout.splitlines()
    assert deep[:3] == ["ClusterConfiguration.etcd <object>", "  local <object>", "    imageRepository <string>"]
    schema = cli("config", "schema", "clusterconfiguration", "--api-version", "kubeadm.k8s.io/v1beta3")
    assert cli("config", "schema", "clusterconfiguration", "--api-version", "v1beta3").stdout == schema.stdout
    assert json.loads(schema.stdout)["properties"]["apiServer"]["properties"]["extraArgs"]["type"] == ["object", "null"]
    wrong = cli("config", "schema", "ResetConfiguration", "--api-version", "kubeadm.k8s.io/v1beta3")
    assert wrong.returncode == 3 and "next: use kubeadm.k8s.io/v1beta4" in wrong.stderr
    assert cli("config", "explain", "ClusterConfiguration", "--kubernetes-version", "v1.99.0").returncode == 3
    assert "needs a KIND" in cli("config", "schema", "--api-version", "x").stderr
