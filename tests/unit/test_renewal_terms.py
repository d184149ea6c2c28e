"""`certs renew` without a file: the cluster's configuration, and where there is none, what the certificates themselves say."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import Certificate, load_pem_x509_certificate
from kubeadm_cases import context_of, setup_of

from quorate.cli.main import run_with
from quorate.phases.base.context import Context
from unit.api_answers import serving

HEAD = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: {kind}\n"
CHOSEN = "encryptionAlgorithm: ECDSA-P256\ncertificateValidityPeriod: 26280h\n"


@dataclass(frozen=True)
class Node:
    """A node below a root of its own. `stored`: the ClusterConfiguration that its API server at `port` has."""

    root: Path
    context: Context

    def write(self, cluster: str, port: int = 1) -> None:
        config = self.root / "c.yaml"
        config.write_text(
            HEAD.format(kind="InitConfiguration")
            + "localAPIEndpoint: {advertiseAddress: 10.0.0.11}\nnodeRegistration: {name: cp1}\n---\n"
            + HEAD.format(kind="ClusterConfiguration")
            + "kubernetesVersion: v1.34.4\napiServer: {certSANs: [127.0.0.1]}\n"
            + f"controlPlaneEndpoint: 127.0.0.1:{port}\n{cluster}"
        )

    def run(self, *words: str) -> int:
        return run_with([*words, "--rootfs", str(self.root)])

    def make(self) -> None:
        for kind in ("certs", "kubeconfig"):
            assert self.run("init", "phase", kind, "all", "--config", str(self.root / "c.yaml")) == 0

    def certificate(self, name: str = "apiserver", folder: str = "/etc/kubernetes/pki") -> Certificate:
        return load_pem_x509_certificate((self.root / folder.lstrip("/") / f"{name}.crt").read_bytes())


@pytest.fixture
def node(tmp_path: Path) -> Node:
    root = tmp_path / "root"
    root.mkdir()
    return Node(root, context_of(setup_of(), root))


def years_left(certificate: Certificate) -> float:
    return (certificate.not_valid_after_utc - datetime.now(UTC)) / timedelta(days=365)


def config_map(cluster: str) -> dict[str, object]:
    text = HEAD.format(kind="ClusterConfiguration") + "kubernetesVersion: v1.34.4\n" + cluster
    return {"kind": "ConfigMap", "data": {"ClusterConfiguration": text}}


def renewed_beside(node: Node, written: str, stored: object, status: int = 200) -> int:
    """Makes the node's files by one configuration, and renews them where the cluster has stored another."""
    node.write(written)
    node.make()
    with serving([(status, {})], node.context, stored) as port:
        node.write(written, port)
        for path in (node.root / "etc/kubernetes").glob("*.conf"):
            path.unlink()
        assert node.run("init", "phase", "kubeconfig", "all", "--config", str(node.root / "c.yaml")) == 0
        return node.run("certs", "renew", "all")


def test_the_clusters_configuration_says_what_a_renewed_certificate_is_like(
    node: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    assert renewed_beside(node, "", config_map(CHOSEN)) == 0
    made = node.certificate()
    assert isinstance(made.public_key(), ec.EllipticCurvePublicKey) and years_left(made) > 2.9
    said = capsys.readouterr()
    assert "could not be read" not in said.err and "apiserver has another kind of key, as the configuration says" in said.err


def test_a_shorter_life_is_never_given_without_a_word(node: Node, capsys: pytest.CaptureFixture[str]) -> None:
    assert renewed_beside(node, CHOSEN, config_map("")) == 0
    made = node.certificate()
    assert isinstance(made.public_key(), rsa.RSAPublicKey) and years_left(made) < 1.1
    said = capsys.readouterr().err
    assert "apiserver has another kind of key and an earlier end (it was " in said


def test_a_folder_of_its_own_is_found(node: Node) -> None:
    folder = "certificatesDir: /etc/kubernetes/keys\n"
    node.write(folder)
    node.make()
    before = node.certificate(folder="/etc/kubernetes/keys")
    (node.root / "etc/kubernetes/pki").symlink_to("keys")
    with serving([(200, {})], node.context, config_map(folder)) as port:
        (node.root / "etc/kubernetes/pki").unlink()
        node.write(folder, port)
        (node.root / "etc/kubernetes/admin.conf").unlink()
        assert node.run("init", "phase", "kubeconfig", "admin", "--config", str(node.root / "c.yaml")) == 0
        assert node.run("certs", "renew", "apiserver") == 0
    assert node.certificate(folder="/etc/kubernetes/keys").serial_number != before.serial_number


@pytest.mark.parametrize("answer", ["none", "forbidden"])
def test_where_no_server_gives_it_that_is_said_and_the_certificates_count(
    node: Node, answer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if answer == "none":
        node.write(CHOSEN)
        node.make()
        assert node.run("certs", "renew", "all") == 0
    else:
        assert renewed_beside(node, CHOSEN, {"kind": "Status", "message": "no"}, 403) == 0
    made = node.certificate()
    assert isinstance(made.public_key(), ec.EllipticCurvePublicKey) and years_left(made) > 2.9
    said = capsys.readouterr().err
    assert "the configuration of the cluster could not be read: " in said and "has another" not in said


INIT_ALONE = HEAD.format(kind="InitConfiguration") + "localAPIEndpoint: {advertiseAddress: 10.0.0.11}\n"


@pytest.mark.parametrize("text", ["kind: [", "a: b", "- x", INIT_ALONE])
def test_one_that_cannot_be_understood_stops_the_renewal(node: Node, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It may name another folder, other keys."""
    assert renewed_beside(node, "", {"kind": "ConfigMap", "data": {"ClusterConfiguration": text}}) == 3
    assert "ConfigMap kube-system/kubeadm-config" in capsys.readouterr().err


def stored(text: str, version: str = "v1.34.4", api: str = "v1beta4") -> dict[str, object]:
    head = HEAD.format(kind="ClusterConfiguration").replace("v1beta4", api) + f"kubernetesVersion: {version}\n"
    return {"kind": "ConfigMap", "data": {"ClusterConfiguration": head + text}}


GONE = "featureGates: {ControlPlaneKubeletLocalMode: true}\n"
FOLDER = "certificatesDir: /etc/kubernetes/pki\n"


@pytest.mark.parametrize(
    ("stored", "warned", "is_chosen"),
    [
        (stored(GONE + CHOSEN, "v1.36.1"), "ControlPlaneKubeletLocalMode", True),
        (stored(CHOSEN, "v1.26.0"), "1.26", True),
        (stored(CHOSEN, "v1.38.2"), "1.38", True),
        (stored(CHOSEN, "stable"), "stable", True),
        (stored("networking: {serviceSubnet: 10.0.0.0/8}\n" + CHOSEN), "serviceSubnet", True),
        (stored(FOLDER + CHOSEN, api="v1beta2"), "v1beta2", False),
        (stored(FOLDER + "controlPlaneEndpoint: [1]\n", api="v1beta5"), "v1beta5", False),
        (stored("certificateValidityPeriod: -1h\n"), "certificateValidityPeriod", False),
        (stored("encryptionAlgorithm: RSA-1024\n" + FOLDER), "encryptionAlgorithm", False),
    ],
)
def test_what_does_not_concern_certificates_stops_no_renewal(
    node: Node, stored: dict[str, object], warned: str, is_chosen: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rules are those of a new configuration: a cluster lives on with what it was made from."""
    old = "encryptionAlgorithm: RSA-3072\ncertificateValidityPeriod: 17520h\n"
    assert renewed_beside(node, old, stored) == 0
    made = node.certificate()
    said = capsys.readouterr().err
    assert warned in said and "(what concerns certificates is used)" in said
    if is_chosen:
        assert isinstance(made.public_key(), ec.EllipticCurvePublicKey) and years_left(made) > 2.9
    else:
        assert isinstance(made.public_key(), rsa.RSAPublicKey) and 1.9 < years_left(made) < 2.1
        assert "renewed certificates keep their kind of key" in said


@pytest.mark.parametrize(
    "stored",
    [
        stored("", api="v1beta5"),
        stored(GONE + "certificatesDir: [/etc/kubernetes/pki]\n", "v1.36.1"),
        stored(GONE + "certificatesDir: pki\n", "v1.36.1"),
        stored(FOLDER + "certificatesDir: /etc/kubernetes/keys\n"),
    ],
)
def test_a_folder_that_cannot_be_read_stops_the_renewal(
    node: Node, stored: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    assert renewed_beside(node, "", stored) == 3
    assert "ConfigMap kube-system/kubeadm-config" in capsys.readouterr().err


def test_an_etcd_elsewhere_and_a_folder_are_known_from_a_document_that_breaks_rules(
    node: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    node.write("")
    node.make()
    external = "etcd: {external: {endpoints: ['https://10.0.0.9:2379']}}\nclusterName: [x]\n"
    with serving([(200, {})], node.context, stored(external + GONE + FOLDER.replace("pki", "keys"), "v1.36.1")) as port:
        node.write("", port)
        (node.root / "etc/kubernetes/admin.conf").unlink()
        assert node.run("init", "phase", "kubeconfig", "admin", "--config", str(node.root / "c.yaml")) == 0
        (node.root / "etc/kubernetes/pki").rename(node.root / "etc/kubernetes/keys")
        capsys.readouterr()
        assert node.run("certs", "check-expiration") == 0
    said = capsys.readouterr().out
    assert "etcd" not in said and "!MISSING!" not in said and "apiserver-kubelet-client" in said


@pytest.mark.parametrize("command", [("renew", "apiserver"), ("check-expiration",)])
def test_another_clusters_configuration_does_not_count(
    node: Node, tmp_path: Path, command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """A kubeconfig that was copied from elsewhere: its server is there and trusted, and knows nothing of this node."""
    node.write(CHOSEN)
    node.make()
    (tmp_path / "other").mkdir()
    other = Node(tmp_path / "other", context_of(setup_of(), tmp_path / "other"))
    other.write("")
    other.make()
    with serving([(200, {})], other.context, config_map("certificatesDir: /etc/kubernetes/keys\n")) as port:
        other.write("", port)
        (other.root / "etc/kubernetes/admin.conf").unlink()
        assert other.run("init", "phase", "kubeconfig", "admin", "--config", str(other.root / "c.yaml")) == 0
        content = (other.root / "etc/kubernetes/admin.conf").read_bytes()
        (node.root / "etc/kubernetes/other.conf").write_bytes(content)
        for folder in ("", "/etc/kubernetes/pki"):
            capsys.readouterr()
            words = ("--kubeconfig", "/etc/kubernetes/other.conf", *(("--cert-dir", folder) if folder else ()))
            assert node.run("certs", *command, *words) == 0
            said = capsys.readouterr()
            assert "could not be read: /etc/kubernetes/other.conf trusts another CA than /etc/kubernetes/pki/ca.crt" in said.err
            assert "MISSING" not in said.out and "has another" not in said.err
    made = node.certificate()
    assert isinstance(made.public_key(), ec.EllipticCurvePublicKey) and years_left(made) > 2.9


def test_a_file_that_is_named_counts_alone(node: Node) -> None:
    node.write(CHOSEN)
    node.make()
    node.write("")
    assert node.run("certs", "renew", "apiserver", "--config", str(node.root / "c.yaml")) == 0
    assert years_left(node.certificate()) < 1.1


def test_a_ca_key_that_is_kept_elsewhere_is_not_to_be_made_anew(node: Node, capsys: pytest.CaptureFixture[str]) -> None:
    node.write("")
    node.make()
    (node.root / "etc/kubernetes/pki/etcd/ca.key").unlink()
    assert node.run("certs", "renew", "etcd-server", "--config", str(node.root / "c.yaml")) == 2
    said = capsys.readouterr().err
    assert "copy /etc/kubernetes/pki/etcd/ca.key from the host that keeps it" in said and "certs generate-csr" in said
    assert "init phase certs" not in said
    assert yaml.safe_load((node.root / "etc/kubernetes/admin.conf").read_text())["kind"] == "Config"
