"""Who signs is looked at before anything is written: nobody trusts what a CA signs that has ended, or may not sign it."""

from __future__ import annotations

import base64
import ipaddress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from kubeadm_cases import everything

from quorate.errors import HostError, PreflightFailed
from quorate.phases.base.context import Context
from quorate.phases.node import certs, kubeconfigs, renewal
from quorate.pki.certificates import USAGES, LeafSpec, Pair, PrivateKey, certificate_pem, make_key, make_leaf
from quorate.pki.proof import refused
from quorate.pki.store import excluded_names, read_pair, write_pair
from quorate.report import Notice, RunMessage

SERVER, MAIL = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.EMAIL_PROTECTION
ANY = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE

NOW = datetime.now(UTC)
OUTSIDE = x509.NameConstraints([x509.DNSName("example.org")], None)
NO_ADDRESSES = x509.NameConstraints(None, [x509.IPAddress(ipaddress.ip_network("10.0.0.0/8"))])


def authority(
    *,
    days: tuple[float, float] = (-1, 900),
    is_ca: bool = True,
    signs: bool = True,
    limits: x509.NameConstraints | None = None,
    critical: bool = True,
    passes_on: tuple[x509.ObjectIdentifier, ...] = (),
    more: x509.UnrecognizedExtension | None = None,
    key: PrivateKey | None = None,
) -> Pair:
    """Returns a CA that somebody made with other tools."""
    key = key or make_key("ECDSA-P256")
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubernetes")])
    start, end = (NOW + timedelta(days=day) for day in days)
    usages = [True, False, False, False, False, signs, True, False, False]
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), start, end)
    builder = builder.add_extension(x509.BasicConstraints(is_ca, None), critical=True)
    builder = builder.add_extension(x509.KeyUsage(*usages), critical=True)
    if limits:
        builder = builder.add_extension(limits, critical=critical)
    if passes_on:
        builder = builder.add_extension(x509.ExtendedKeyUsage(passes_on), critical=False)
    if more:
        builder = builder.add_extension(more, critical=critical)
    return Pair(builder.sign(key, hashes.SHA256()), key)


def of_pss() -> Pair:
    """Returns a CA whose certificate says that its key signs as RSASSA-PSS alone: no component can verify what it does."""
    data = Path(__file__).parent / "testdata"
    return read_pair(data / "rsa-pss-ca")


def contents(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


NETSCAPES = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.16.840.1.113730.1.1"), b"\x03\x02\x00\x07")
FOLDERS = x509.NameConstraints([x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "a")]))], None)
WRONG = {
    "expired": (authority(days=(-9, -1)), "ca.crt is valid from"),
    "not yet": (authority(days=(1, 9)), "ca.crt is valid from"),
    "no CA": (authority(is_ca=False), "ca.crt is not a CA's certificate"),
    "usage": (authority(signs=False), "ca.crt may not sign certificates: its key usage lacks keyCertSign"),
    "names": (authority(limits=OUTSIDE), "apiserver.crt is for .*kubernetes.default.*, which the name constraints of its CA"),
    "addresses": (authority(limits=NO_ADDRESSES), r"apiserver\.crt is for 10\.96\.0\.1, .*name constraints"),
    "gated alone": (authority(passes_on=(x509.ObjectIdentifier("1.3.6.1.4.1.311.10.3.3"),)), "it is not for this purpose"),
    "unknown and critical": (authority(more=NETSCAPES), "critical extension that Kubernetes does not read"),
    "curve": (authority(key=ec.generate_private_key(ec.SECP256K1())), "on the curve secp256k1, which Kubernetes does not read"),
    "mail alone": (authority(passes_on=(MAIL,)), "would be refused by those that trust its CA: .*purpose"),
    "subjects": (
        authority(limits=FOLDERS),
        "would be refused by .*constraints on names of a kind that",
    ),
    "PSS": (of_pss(), "the key of the CA CN=kubernetes is damaged|would be refused by those that trust its CA"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_ca_whose_certificates_nobody_trusts_does_not_sign(context: Context, tmp_path: Path, wrong: str) -> None:
    everything(context)
    ca, said = WRONG[wrong]
    folder = tmp_path / "etc/kubernetes"
    write_pair(folder / "pki/ca", ca)
    before = contents(tmp_path)
    for act in (lambda: renewal.renew(context, "apiserver"), lambda: renewal.renew_all(context)):
        with pytest.raises(PreflightFailed, match=said) as error:
            act()
        assert error.value.state == "nothing was changed" and "CA" in error.value.advice
    assert contents(tmp_path) == before
    for name in ("pki/apiserver.crt", "pki/apiserver.key", "scheduler.conf"):
        (folder / name).unlink()
    before = contents(tmp_path)
    with pytest.raises(PreflightFailed, match=said):
        certs.ensure_named(context, "apiserver")
    if "constraints" not in said:
        with pytest.raises(PreflightFailed, match=said):
            kubeconfigs.ensure_named("scheduler")(context)
    assert contents(tmp_path) == before


def test_nothing_is_made_where_one_of_them_would_not_verify(context: Context, tmp_path: Path) -> None:
    (tmp_path / "etc/kubernetes/pki").mkdir(parents=True)
    write_pair(tmp_path / "etc/kubernetes/pki/ca", authority(limits=OUTSIDE))
    before = contents(tmp_path)
    with pytest.raises(PreflightFailed, match="name constraints"):
        certs.ensure_all(context)
    assert contents(tmp_path) == before


def test_constraints_that_allow_the_names_are_no_fault(context: Context, tmp_path: Path) -> None:
    certs.ensure_all(context)
    leaf = x509.load_pem_x509_certificate((tmp_path / "etc/kubernetes/pki/etcd/server.crt").read_bytes())

    def kept_out(limits: x509.NameConstraints) -> list[str]:
        return excluded_names(leaf, authority(limits=limits).certificate)

    every = [x509.IPAddress(ipaddress.ip_network(net)) for net in ("10.0.0.0/8", "127.0.0.0/8", "::/0")]
    assert kept_out(x509.NameConstraints([x509.DNSName(""), *every], None)) == []
    assert kept_out(x509.NameConstraints([x509.DNSName("LOCALHOST"), x509.DNSName("cp1"), *every[1:]], None)) == ["10.77.0.11"]
    assert kept_out(x509.NameConstraints([x509.RFC822Name("example.org")], [x509.DNSName("p1")])) == []


@pytest.mark.parametrize("usages", [(SERVER, ExtendedKeyUsageOID.CLIENT_AUTH), (ANY,), ()])
def test_a_ca_of_another_tool_that_is_right_signs(
    context: Context, tmp_path: Path, usages: tuple[x509.ObjectIdentifier, ...]
) -> None:
    everything(context)
    write_pair(tmp_path / "etc/kubernetes/pki/ca", authority(passes_on=usages))
    assert {"apiserver", "apiserver-kubelet-client", "admin.conf"} <= set(renewal.renew_all(context))


def test_constraints_that_go_leaves_out_are_no_fault() -> None:
    """OpenSSL applies those that may be left out, and those for DNS names to a user whose name has dots."""
    spec = LeafSpec("bob.corp.example", ("client",), kind="ECDSA-P256")
    for limits, critical in ((FOLDERS, False), (x509.NameConstraints(None, [x509.DNSName("corp.example")]), True)):
        ca = authority(limits=limits, critical=critical)
        assert refused(make_leaf(spec, ca, now=NOW), ca.certificate) == ""


@pytest.mark.parametrize("usages", [("any",), ("server", "any")])
def test_a_certificate_for_any_use_is_no_fault(usages: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenSSL wants each use by its name, Go does not; a whole renewal was refused for one."""
    ca = authority()
    monkeypatch.setitem(USAGES, "any", ANY)
    leaf = make_leaf(LeafSpec("kube-apiserver", usages, ("127.0.0.1",), kind="ECDSA-P256"), ca, now=NOW)  # type: ignore[arg-type]
    monkeypatch.delitem(USAGES, "any")
    assert refused(leaf, ca.certificate) == ""


def test_a_ca_for_servers_alone_signs_no_client(context: Context, tmp_path: Path) -> None:
    everything(context)
    write_pair(tmp_path / "etc/kubernetes/pki/ca", authority(passes_on=(SERVER,)))
    renewal.renew(context, "apiserver")
    before = contents(tmp_path)
    for act in (lambda: renewal.renew(context, "admin.conf"), lambda: renewal.renew_all(context)):
        with pytest.raises(PreflightFailed, match=r"conf would be refused by those that trust its CA: unsuitable .* purpose"):
            act()
    assert contents(tmp_path) == before


def test_the_certificates_between_it_and_a_root_stay(context: Context, tmp_path: Path) -> None:
    """Who trusts the root alone found no way to the new certificate."""
    everything(context)
    pki = tmp_path / "etc/kubernetes/pki"
    signer = read_pair(pki / "ca").certificate
    leaf, behind = (pki / "apiserver.crt").read_bytes(), certificate_pem(signer) + certificate_pem(authority().certificate)
    (pki / "apiserver.crt").write_bytes(leaf + behind)
    renewal.renew(context, "apiserver")
    made = (pki / "apiserver.crt").read_bytes()
    assert made.endswith(behind) and made.count(b"BEGIN") == 3 and not made.startswith(leaf)
    (pki / "apiserver.crt").write_bytes(leaf + certificate_pem(authority().certificate))
    said: list[RunMessage] = []
    renewal.renew(replace(context, report=said.append), "apiserver")
    assert (pki / "apiserver.crt").read_bytes().count(b"BEGIN") == 1
    assert any(
        isinstance(one, Notice) and "of another CA than signs the new one: they are left out" in one.text for one in said
    )


def test_the_certificates_between_stay_in_whatever_order_they_are(context: Context, tmp_path: Path) -> None:
    """Who checks it looks for the next one by its name, whatever stands between."""
    everything(context)
    pki = tmp_path / "etc/kubernetes/pki"
    signer, other = read_pair(pki / "ca").certificate, authority().certificate
    behind = certificate_pem(other) + certificate_pem(signer)
    (pki / "apiserver.crt").write_bytes((pki / "apiserver.crt").read_bytes() + behind)
    renewal.renew(context, "apiserver")
    assert (pki / "apiserver.crt").read_bytes().endswith(behind)


def test_the_certificates_between_stay_in_a_kubeconfig(context: Context, tmp_path: Path) -> None:
    everything(context)
    path = tmp_path / "etc/kubernetes/admin.conf"
    conf = yaml.safe_load(path.read_text())
    behind = certificate_pem(read_pair(tmp_path / "etc/kubernetes/pki/ca").certificate)
    user = conf["users"][0]["user"]
    own = base64.b64decode(user["client-certificate-data"])
    user["client-certificate-data"] = base64.b64encode(own + behind).decode()
    path.write_text(yaml.safe_dump(conf))
    renewal.renew(context, "admin.conf")
    made = base64.b64decode(yaml.safe_load(path.read_text())["users"][0]["user"]["client-certificate-data"])
    assert made.endswith(behind) and not made.startswith(own)


def test_a_block_that_is_none_does_not_end_a_rotation(context: Context, tmp_path: Path) -> None:
    """Who reads a kubeconfig's CAs passes over what is none."""
    everything(context)
    folder = tmp_path / "etc/kubernetes"
    old, new = (folder / "pki/ca.crt").read_bytes(), authority()
    write_pair(folder / "pki/ca", new)
    (folder / "pki/ca.crt").write_bytes(certificate_pem(new.certificate) + old)
    conf = yaml.safe_load((folder / "admin.conf").read_text())
    broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    conf["clusters"][0]["cluster"]["certificate-authority-data"] = base64.b64encode(old + broken).decode()
    (folder / "admin.conf").write_text(yaml.safe_dump(conf))
    renewal.renew(context, "admin.conf")
    conf = yaml.safe_load((folder / "admin.conf").read_text())
    trusted = base64.b64decode(conf["clusters"][0]["cluster"]["certificate-authority-data"])
    assert x509.load_pem_x509_certificates(trusted) == x509.load_pem_x509_certificates((folder / "pki/ca.crt").read_bytes())


@pytest.mark.parametrize("name", ["foo.", "..foo", "a b"])
def test_a_limit_that_go_cannot_read_makes_a_ca_of_no_use(context: Context, tmp_path: Path, name: str) -> None:
    everything(context)
    write_pair(tmp_path / "etc/kubernetes/pki/ca", authority(limits=x509.NameConstraints(None, [x509.DNSName(name)])))
    with pytest.raises(PreflightFailed, match="constraints on names that Kubernetes cannot read"):
        renewal.renew(context, "apiserver")


def test_who_trusts_both_cas_of_a_rotation_goes_on_doing_so(context: Context, tmp_path: Path) -> None:
    """The servers' certificates are still of the old one. What is not in ca.crt is trusted no longer (kubeadm#2027)."""
    everything(context)
    folder = tmp_path / "etc/kubernetes"
    old, new, gone = (folder / "pki/ca.crt").read_bytes(), authority(), certificate_pem(authority().certificate)
    write_pair(folder / "pki/ca", new)
    (folder / "pki/ca.crt").write_bytes(certificate_pem(new.certificate) + old)
    conf = yaml.safe_load((folder / "admin.conf").read_text())
    conf["clusters"][0]["cluster"]["certificate-authority-data"] = base64.b64encode(old + gone).decode()
    (folder / "admin.conf").write_text(yaml.safe_dump(conf))
    renewal.renew(context, "admin.conf")
    conf = yaml.safe_load((folder / "admin.conf").read_text())
    trusted = base64.b64decode(conf["clusters"][0]["cluster"]["certificate-authority-data"])
    assert x509.load_pem_x509_certificates(trusted) == x509.load_pem_x509_certificates((folder / "pki/ca.crt").read_bytes())


def test_a_pair_in_one_file_is_not_renewed(context: Context, tmp_path: Path) -> None:
    """It held the key alone afterwards, and no second run could help."""
    everything(context)
    pki = tmp_path / "etc/kubernetes/pki"
    both = (pki / "apiserver.crt").read_bytes() + (pki / "apiserver.key").read_bytes()
    (pki / "apiserver.crt").write_bytes(both)
    (pki / "apiserver.key").unlink()
    (pki / "apiserver.key").symlink_to("apiserver.crt")
    with pytest.raises(HostError, match=r"apiserver\.key and .*apiserver\.crt are one file"):
        renewal.renew(context, "apiserver")
    assert (pki / "apiserver.crt").read_bytes() == both


def test_an_end_after_the_cas_is_said(context: Context, tmp_path: Path) -> None:
    everything(context)
    ending = authority(days=(-1, 30))
    write_pair(tmp_path / "etc/kubernetes/pki/ca", ending)
    said: list[RunMessage] = []
    renewal.renew(replace(context, report=said.append), "apiserver")
    warned = [one.text for one in said if isinstance(one, Notice)]
    assert len(warned) == 1
    assert (
        f"pki/apiserver.crt is of use only until its CA ends, {ending.certificate.not_valid_after_utc:%b %d, %Y}" in warned[0]
    )
    made = x509.load_pem_x509_certificate((tmp_path / "etc/kubernetes/pki/apiserver.crt").read_bytes())
    assert made.not_valid_after_utc > ending.certificate.not_valid_after_utc


def test_a_foreign_key_of_one_ca_changes_nothing(context: Context, tmp_path: Path) -> None:
    everything(context)
    pki = tmp_path / "etc/kubernetes/pki"
    (pki / "front-proxy-ca.key").write_bytes((pki / "ca.key").read_bytes())
    before = contents(tmp_path)
    with pytest.raises(PreflightFailed, match=r"front-proxy-ca\.key does not belong to .*front-proxy-ca\.crt") as error:
        renewal.renew_all(context)
    assert error.value.state == "nothing was changed" and "renew it" not in error.value.advice
    assert contents(tmp_path) == before


def test_an_error_halfway_says_what_was_renewed(context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    everything(context)
    key = tmp_path / "etc/kubernetes/pki/etcd/healthcheck-client.key"
    real = renewal._fresh

    def fresh(context: Context, name: str, terms: renewal.Terms) -> renewal._Fresh:
        made = real(context, name, terms)
        if name == "etcd-healthcheck-client":
            key.unlink()
            key.mkdir()
        return made

    monkeypatch.setattr(renewal, "_fresh", fresh)
    with pytest.raises(HostError, match=r"healthcheck-client\.key: it is not a regular file") as error:
        renewal.renew_all(context)
    assert error.value.state == (
        "renewed: admin.conf, apiserver, apiserver-etcd-client, apiserver-kubelet-client, controller-manager.conf; restart "
        "kube-apiserver, kube-controller-manager, which may still use the old ones; not renewed: etcd-healthcheck-client, "
        "etcd-peer, etcd-server, front-proxy-client, scheduler.conf, super-admin.conf"
    )
    before = contents(tmp_path)
    for renew in (lambda: renewal.renew(context, "etcd-healthcheck-client"), lambda: renewal.renew_all(context)):
        with pytest.raises(HostError, match=r"healthcheck-client\.key: Is a directory") as error:
            renew()
        assert error.value.state == "nothing was changed"
    assert contents(tmp_path) == before
