"""Phases that write files: what is there is kept or refused, dry runs, external CAs, renewal, requests, patches, checks."""

from __future__ import annotations

import base64
import re
from dataclasses import replace as with_changes
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st
from kubeadm_cases import MINIMAL, context_of, everything, setup_of
from member_data import write_log
from msgspec.structs import replace
from oracle.trees import certificate_fields

from quorate.config.duration import Duration
from quorate.config.types import Arg
from quorate.config.versions import parse_version
from quorate.dry_tree import DryTree
from quorate.errors import ConfigError, HostError, PreflightFailed, Refused
from quorate.host.etcd_identity import DataIdentity
from quorate.manifests.args import merged
from quorate.manifests.patches import read_patches
from quorate.phases.base.context import Context
from quorate.phases.join import etcd as etcd_join
from quorate.phases.node import certs, csr, kubeconfigs, kubelet_files, renewal, static_pods
from quorate.phases.node.user_config import user_kubeconfig
from quorate.pki import kubeconfig
from quorate.pki.certificates import kind_of
from quorate.pki.store import parse_certificate
from quorate.report import Notice, RunMessage
from quorate.secret import Secret
from quorate.tree import RealTree

PKI = "etc/kubernetes/pki"


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_running_again_changes_nothing(context: Context, tmp_path: Path) -> None:
    everything(context)
    before = contents(tmp_path)
    everything(context)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("lost", ["ca.key", "ca.crt", "apiserver.key", "apiserver.crt", "sa.key", "sa.pub"])
def test_a_lost_half_is_noticed(context: Context, tmp_path: Path, lost: str) -> None:
    certs.ensure_all(context)
    (tmp_path / PKI / lost).unlink()
    if lost in ("ca.key", "sa.key", "sa.pub", "apiserver.crt"):
        # An external CA, a node that only checks tokens, and what can be made from the key.
        certs.ensure_all(context)
        assert (tmp_path / PKI / lost).exists() == (lost in ("sa.pub", "apiserver.crt"))
        return
    with pytest.raises(PreflightFailed) as error:
        certs.ensure_all(context)
    assert lost.partition(".")[0] in error.value.what and "left as they are" in error.value.state


def test_what_is_there_and_wrong_is_refused(context: Context, tmp_path: Path) -> None:
    """Expired, of another CA, without a name that is needed, a key that does not fit, no PEM at all."""
    certs.ensure_all(context)
    kubeconfigs.ensure_all(context)
    before = contents(tmp_path)
    late = with_changes(context, now=datetime.now(UTC) + timedelta(days=400))
    with pytest.raises(PreflightFailed, match="expired") as ended:
        certs.ensure_all(late)
    assert ended.value.advice.startswith("quorate certs renew ")
    with pytest.raises(PreflightFailed, match="expired") as ended:
        kubeconfigs.ensure_all(late)
    assert ended.value.advice.startswith("quorate certs renew ")
    renamed = context_of(setup_of(MINIMAL + "apiServer: {certSANs: [more.example.org]}\n"), tmp_path)
    with pytest.raises(PreflightFailed, match=r"lacks the subject alternative name more\.example\.org") as lacking:
        certs.ensure_all(renamed)
    # A renewal keeps the names.
    assert "renew" not in lacking.value.advice and "apiserver.key to another folder" in lacking.value.advice
    assert contents(tmp_path) == before

    folder = tmp_path / PKI
    (folder / "apiserver.key").write_bytes((folder / "front-proxy-client.key").read_bytes())
    with pytest.raises(PreflightFailed, match="does not belong"):
        certs.ensure_all(context)
    (folder / "apiserver.key").write_text("nonsense")
    with pytest.raises(ConfigError, match="not an unencrypted PEM private key"):
        certs.ensure_all(context)


def test_another_ca_is_noticed_everywhere(context: Context, tmp_path: Path) -> None:
    certs.ensure_all(context)
    kubeconfigs.ensure_all(context)
    other = context_of(setup_of(), tmp_path / "other")
    certs.ensure_all(other)
    for name in ("ca.crt", "ca.key"):
        (tmp_path / PKI / name).write_bytes((tmp_path / "other" / PKI / name).read_bytes())
    with pytest.raises(PreflightFailed, match="not signed by the CA"):
        certs.ensure_named(context, "apiserver")
    with pytest.raises(PreflightFailed, match="belongs to another CA"):
        kubeconfigs.ensure_all(context)


def test_a_damaged_ca_key_signs_nothing(context: Context, tmp_path: Path) -> None:
    """Its public half fits the certificate and its private half does not: what it signs is checked before it is written."""
    setup = setup_of(MINIMAL.replace("ECDSA-P256", "RSA-2048"))
    context = context_of(setup, tmp_path)
    certs.ensure_named(context, "ca")
    path = tmp_path / PKI / "ca.key"
    der = bytearray(base64.b64decode("".join(path.read_text().splitlines()[1:-1])))
    for offset in (400, 560, 700):
        # In d, p and q: OpenSSL makes up for any one of them.
        der[offset] ^= 1
    pem = base64.b64encode(bytes(der)).decode()
    path.write_text(f"-----BEGIN RSA PRIVATE KEY-----\n{pem}\n-----END RSA PRIVATE KEY-----\n")
    with pytest.raises((ConfigError, PreflightFailed)):
        certs.ensure_named(context, "apiserver")
    assert not (tmp_path / PKI / "apiserver.crt").exists()


def test_an_external_ca(context: Context, tmp_path: Path) -> None:
    """Its key is elsewhere: what it signed is taken, what is missing cannot be made, and nothing signs in the cluster."""
    certs.ensure_all(context)
    kubeconfigs.ensure_all(context)
    (tmp_path / PKI / "ca.key").unlink()
    certs.ensure_all(context)
    static_pods.write_control_plane("kube-controller-manager")(context)
    manifest = (tmp_path / "etc/kubernetes/manifests/kube-controller-manager.yaml").read_text()
    assert "--cluster-signing-cert-file=\n" in manifest.replace('"', "") and "--cluster-signing-key-file=/" not in manifest
    (tmp_path / PKI / "apiserver.crt").unlink()
    (tmp_path / PKI / "apiserver.key").unlink()
    with pytest.raises(PreflightFailed, match=r"ca\.key is missing"):
        certs.ensure_all(context)


def test_a_dry_run_writes_nothing_and_shows_no_secret(context: Context, tmp_path: Path) -> None:
    """The later phases see what the earlier ones would have written."""
    tree = DryTree(RealTree(tmp_path))
    dry = context_of(setup_of(), tree)
    everything(dry)
    assert contents(tmp_path) == {}
    changes = {change.path: change for change in tree.changes()}
    assert changes["/etc/kubernetes/manifests/etcd.yaml"].kind == "create"
    assert all(change.secret for path, change in changes.items() if path.endswith((".key", ".conf")))
    everything(context)
    again = DryTree(RealTree(tmp_path))
    everything(context_of(setup_of(MINIMAL.replace("v1.34.4", "v1.34.5")), again))
    kinds = {change.path: change.kind for change in again.changes()}
    assert kinds["/etc/kubernetes/manifests/kube-scheduler.yaml"] == "change"
    assert kinds["/var/lib/kubelet/config.yaml"] == "keep"


def test_paths_do_not_lead_out_of_the_root(tmp_path: Path) -> None:
    tree = RealTree(tmp_path / "root")
    for path in ("/../x", "relative", "/a/../../x"):
        with pytest.raises(HostError):
            tree.write(path, b"x", mode=0o600)
    outside = tmp_path / "outside"
    outside.write_text("mine")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "link").symlink_to(outside)
    tree.write("/link", b"ours", mode=0o600)
    assert outside.read_text() == "mine" and tree.read("/link") == b"ours"
    (tmp_path / "root" / "folder").symlink_to(tmp_path)
    tree.remove("/folder")
    assert outside.exists()


def test_an_absolute_link_leads_where_the_node_would_follow_it(tmp_path: Path) -> None:
    """A root made from an image may hold absolute links: from outside they lead to this host's own files."""
    root, host = tmp_path / "root", tmp_path / "host"
    root.mkdir()
    (host / "kubernetes").mkdir(parents=True)
    (host / "key").write_text("the host's")
    (root / "etc").symlink_to(host)
    (root / "up").symlink_to("../" * 20 + "host")
    (root / "key").symlink_to(host / "key")
    (root / str(host).lstrip("/")).mkdir(parents=True)
    (root / "host").mkdir()
    tree = RealTree(root)
    for link in ("/etc", "/up"):
        tree.write(f"{link}/kubernetes/admin.conf", b"x", mode=0o600)
        assert tree.read(f"{link}/kubernetes/admin.conf") == b"x"
        assert tree.names(f"{link}/kubernetes") == ["admin.conf"]
        tree.remove(f"{link}/kubernetes")
    with pytest.raises(HostError, match="where nothing is"):
        tree.read("/key")
    assert sorted(host.rglob("*")) == [host / "key", host / "kubernetes"]
    tree.write("/key", b"the node's", mode=0o600)
    assert (host / "key").read_text() == "the host's" and tree.read("/key") == b"the node's", "a link itself is replaced"


def test_loose_modes_are_warned_of(context: Context, tmp_path: Path) -> None:
    certs.ensure_all(context)
    (tmp_path / PKI / "ca.key").chmod(0o644)
    said: list[RunMessage] = []
    certs.ensure_all(with_changes(context, report=said.append))
    assert [one.text for one in said if isinstance(one, Notice)] == [
        "/etc/kubernetes/pki/ca.key is open to other users (mode 0644): set its mode to 600"
    ]


def test_expiration_is_told_like_kubeadm(context: Context, tmp_path: Path) -> None:
    certs.ensure_all(context)
    kubeconfigs.ensure_all(context)
    (tmp_path / PKI / "apiserver.crt").unlink()
    (tmp_path / PKI / "front-proxy-ca.key").unlink()
    leaves, authorities = renewal.expiries(context)
    assert [one.name for one in leaves] == renewal.renewable(context)
    rows = {one.name: one for one in leaves}
    assert rows["apiserver"].expires is None and rows["front-proxy-client"].external
    assert rows["admin.conf"].authority == "ca" and rows["etcd-peer"].authority == "etcd-ca"
    left = rows["etcd-server"].left(context.now)
    assert left is not None and left.days in (364, 365)
    assert [one.name for one in authorities] == ["ca", "etcd-ca", "front-proxy-ca"]


def test_a_renewed_kubeconfig_trusts_the_ca_that_signs_now(context: Context) -> None:
    """With the old CA in it nobody could log in any more (kubeadm#2027)."""
    everything(context)
    path = "/etc/kubernetes/admin.conf"
    for name in ("ca.crt", "ca.key"):
        context.tree.remove(context.pki(name))
    certs.ensure_named(context, "ca")
    now = context.tree.read(context.pki("ca.crt"))
    assert kubeconfig.parse(context.tree.read(path) or b"", path).ca_pem != now
    renewal.renew(context, "admin.conf")
    assert kubeconfig.parse(context.tree.read(path) or b"", path).ca_pem == now


def test_a_renewal_without_a_configuration_keeps_the_kind_of_key_and_no_shorter_life(context: Context) -> None:
    """`certs renew all` without --config turned three-year ECDSA certificates into one-year RSA."""
    chosen = replace(context.cluster, encryption_algorithm="RSA-3072", certificate_validity_period=Duration.parse("26280h"))
    made = with_changes(context, cluster=chosen)
    certs.ensure_named(made, "ca")
    certs.ensure_named(made, "apiserver")
    path = context.pki("apiserver.crt")
    old = parse_certificate(context.tree.read(path) or b"", path)
    renewal.renew(context, "apiserver", renewal.as_it_was)
    new = parse_certificate(context.tree.read(path) or b"", path)
    assert kind_of(new) == "RSA-3072" and new.not_valid_after_utc >= old.not_valid_after_utc
    renewal.renew(context, "apiserver", renewal.as_configured)
    assert kind_of(parse_certificate(context.tree.read(path) or b"", path)) == "ECDSA-P256", "the file that was given decides"


def test_a_renewal_that_renews_nothing_says_so(context: Context) -> None:
    """On an etcd host of its own, where the CA's key was taken away as the guide says: eleven lines, and exit code 0."""
    certs.ensure_named(context, "etcd-ca")
    certs.ensure_named(context, "etcd-server")
    context.tree.remove(context.pki("etcd/ca.key"))
    with pytest.raises(Refused, match="nothing was renewed"):
        renewal.renew_all(context)


@pytest.mark.parametrize(
    ("names", "users"),
    [
        (["apiserver"], ["kube-apiserver"]),
        (["admin.conf", "super-admin.conf", "etcd-healthcheck-client"], []),
        (["etcd-peer", "scheduler.conf"], ["kube-scheduler", "etcd"]),
        (["apiserver-etcd-client", "controller-manager.conf"], ["kube-apiserver", "kube-controller-manager"]),
    ],
)
def test_who_is_to_be_restarted_is_who_reads_what_was_renewed(names: list[str], users: list[str]) -> None:
    assert renewal.users_of(names) == users


def test_renewal_keeps_what_a_certificate_says(context: Context, tmp_path: Path) -> None:
    """Also what the configuration does not say any more; the key is new, and the time."""
    named = context_of(setup_of(MINIMAL + "apiServer: {certSANs: [old.example.org]}\n"), tmp_path)
    certs.ensure_all(named)
    kubeconfigs.ensure_all(named)
    path = tmp_path / PKI / "apiserver.crt"
    before = x509.load_pem_x509_certificate(path.read_bytes())
    admin = (tmp_path / "etc/kubernetes/admin.conf").read_bytes()
    later = with_changes(context, now=context.now + timedelta(days=30))
    renewal.renew_all(later)
    after = x509.load_pem_x509_certificate(path.read_bytes())
    one, other = certificate_fields(before), certificate_fields(after)
    assert one.pop("minutes") + 30 * 24 * 60 == pytest.approx(other.pop("minutes"), abs=2) and one == other
    assert before.public_key() != after.public_key() and before.serial_number != after.serial_number
    fresh = kubeconfig.parse((tmp_path / "etc/kubernetes/admin.conf").read_bytes(), "admin.conf")
    stale = kubeconfig.parse(admin, "admin.conf")
    assert fresh.server == stale.server and fresh.certificate_pem != stale.certificate_pem
    certs.ensure_all(later)
    kubeconfigs.ensure_all(later)
    (tmp_path / PKI / "etcd/peer.crt").unlink()
    with pytest.raises(PreflightFailed, match="nothing to renew"):
        renewal.renew(context, "etcd-peer")


def test_requests_for_a_ca_elsewhere(context: Context, tmp_path: Path) -> None:
    csr.generate(context)
    request = x509.load_pem_x509_csr((tmp_path / PKI / "apiserver.csr").read_bytes())
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "cp1" in names.get_values_for_type(x509.DNSName) and request.is_signature_valid
    admin = yaml.safe_load((tmp_path / "etc/kubernetes/admin.conf").read_text())
    assert list(admin["users"][0]["user"]) == ["client-key-data"]
    assert (tmp_path / PKI / "apiserver.key").stat().st_mode & 0o777 == 0o600
    assert not list((tmp_path / PKI).rglob("ca.*"))
    with pytest.raises(PreflightFailed, match="already exists"):
        csr.generate(context)


def test_a_kubeconfig_for_a_user(context: Context) -> None:
    certs.ensure_all(context)
    parsed = kubeconfig.parse(user_kubeconfig(context, "alice", ("dev", "ops"), None), "x")
    subject = parse_certificate(parsed.certificate_pem, "x").subject.rfc4514_string()
    assert parsed.user == "alice" and "CN=alice" in subject and "O=dev" in subject and "O=ops" in subject
    by_token = kubeconfig.parse(user_kubeconfig(context, "bob", (), Secret("t0ken")), "x")
    assert by_token.token.reveal() == "t0ken" and by_token.certificate_pem == b"" and "t0ken" not in repr(by_token.token)


def test_the_kubelet_is_pointed_to_its_own_certificate(context: Context, tmp_path: Path) -> None:
    certs.ensure_all(context)
    kubeconfigs.ensure_all(context)
    path = tmp_path / "etc/kubernetes/kubelet.conf"
    before = path.read_bytes()
    kubelet_files.use_rotated_certificate(context)
    assert path.read_bytes() == before
    rotated = tmp_path / "var/lib/kubelet/pki/kubelet-client-current.pem"
    rotated.parent.mkdir(parents=True)
    rotated.write_text("x")
    kubelet_files.use_rotated_certificate(context)
    user = yaml.safe_load(path.read_text())["users"][0]["user"]
    assert user == dict.fromkeys(("client-certificate", "client-key"), "/var/lib/kubelet/pki/kubelet-client-current.pem")


def test_flags_follow_the_etcd_that_will_run(tmp_path: Path) -> None:
    for version, tag, new in (("v1.31.0", "3.6.4-0", True), ("v1.37.2", "3.5.10-0", False), ("v1.36.3", "latest", True)):
        text = MINIMAL.replace("v1.34.4", version) + f"etcd: {{local: {{imageTag: {tag}}}}}\n"
        static_pods.write_etcd(context_of(setup_of(text), tmp_path))
        manifest = (tmp_path / "etc/kubernetes/manifests/etcd.yaml").read_text()
        assert ("InitialCorruptCheck=true" in manifest) == new and ("experimental" in manifest) != new


NAMES = st.sampled_from(["a", "b", "c"])


@given(st.dictionaries(NAMES, st.text(max_size=2)), st.lists(st.tuples(NAMES, st.text(max_size=2)), max_size=5))
def test_what_the_user_gives_replaces_every_default_of_that_name(
    defaults: dict[str, str], extra: list[tuple[str, str]]
) -> None:
    given_args = [Arg(*one) for one in extra]
    for version in ("v1.31.0", "v1.34.3", "v1.34.4", "v1.35.0", "v1.37.2"):
        found = merged(defaults, given_args, parse_version(version))
        names = {arg.name for arg in given_args}
        assert sorted((one.name, one.value) for one in found) == sorted(
            [*extra, *((name, value) for name, value in defaults.items() if name not in names)]
        )
        keeps = version in ("v1.34.4", "v1.37.2")
        assert not keeps or found[len(found) - len(given_args) :] == given_args
        assert keeps or found == sorted(found, key=lambda one: (one.name, one.value))


@pytest.mark.parametrize("kind", ["RSA-2048", "RSA-3072", "ECDSA-P256", "ECDSA-P384"])
def test_every_algorithm_makes_its_kind_of_key(kind: str, tmp_path: Path) -> None:
    context = context_of(setup_of(MINIMAL.replace("ECDSA-P256", kind)), tmp_path)
    certs.ensure_named(context, "ca")
    kubeconfigs.ensure_named("admin")(context)
    fields = [certificate_fields(parse_certificate((tmp_path / PKI / "ca.crt").read_bytes(), "ca"))]
    admin = kubeconfig.parse((tmp_path / "etc/kubernetes/admin.conf").read_bytes(), "admin.conf")
    fields.append(certificate_fields(parse_certificate(admin.certificate_pem, "admin.conf")))
    wanted = {"ECDSA-P256": "ECDSA-secp256r1", "ECDSA-P384": "ECDSA-secp384r1"}.get(kind, kind)
    assert [one["key"] for one in fields] == [wanted, wanted]


def test_another_folder_for_certificates(tmp_path: Path) -> None:
    context = context_of(setup_of(MINIMAL + "certificatesDir: /srv/pki\n"), tmp_path)
    everything(context)
    assert (tmp_path / "srv/pki/etcd/ca.crt").exists() and not (tmp_path / PKI).exists()
    manifest = (tmp_path / "etc/kubernetes/manifests/etcd.yaml").read_text()
    assert "--cert-file=/srv/pki/etcd/server.crt" in manifest and "/etc/kubernetes/pki" not in manifest


# -- patches -----------------------------------------------------------------------------------------------------------


def test_patch_files_that_are_none() -> None:
    found = read_patches([("foo.yaml", bytes), ("etcd.txt", bytes), (".etcd.yaml", bytes), ("etcd", bytes)])
    assert found.patches == () and len(found.ignored) == 4
    for name, content in (("etcd+nonsense.yaml", b"{}"), ("etcd+.yaml", b"{}"), ("etcd.yaml", b"a: ["), ("etcd.json", b"\xff")):
        with pytest.raises(ConfigError, match="the patch etcd"):
            read_patches([(name, lambda content=content: content)])  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("etcd+json.yaml", b"[{op: remove, path: /nowhere}]"),
        ("etcd+json.yaml", b"[{op: nonsense}]"),
        ("etcd+merge.yaml", b"[1]"),
        ("etcd.yaml", b"x"),
        ("etcd.yaml", b"{spec: {containers: [1]}}"),
        ("etcd.yaml", b"{spec: {containers: [{image: x}]}}"),
        ("etcd.yaml", b"{$patch: nonsense}"),
        ("etcd+json.yaml", b"[{op: replace, path: '', value: 1}]"),
    ],
)
def test_patches_that_do_not_fit_name_their_file(name: str, content: bytes) -> None:
    pod = {"spec": {"containers": [{"name": "etcd"}]}}
    with pytest.raises(ConfigError, match=f"the patch {re.escape(name)}"):
        read_patches([(name, lambda: content)]).apply("etcd", pod)


def test_a_manifest_of_a_joined_member_is_not_replaced(context: Context, tmp_path: Path) -> None:
    """On a voter, `init phase etcd local` wrote a manifest of a new cluster, and the voter was dead: exit code 0."""
    path = tmp_path / "etc/kubernetes/manifests/etcd.yaml"
    static_pods.write_etcd(context)
    first = path.read_bytes()
    static_pods.write_etcd(context)
    assert path.read_bytes() == first, "the same command again resumes"
    rows = [(name, f"https://192.0.2.{number}:2380") for number, name in enumerate(("n1", "n2"), 1)]
    with pytest.raises(HostError, match="another program made it meanwhile"):
        static_pods.write_member(context, rows)
    static_pods.write_member(context, rows, instead_of=first)
    joined = path.read_bytes()
    with pytest.raises(Refused, match=r"is of a member of an existing cluster \(n1, n2\)"):
        static_pods.write_etcd(context)
    assert path.read_bytes() == joined
    path.write_bytes(first.replace(b"path: /var/lib/etcd", b"path: /srv/etcd"))
    with pytest.raises(Refused, match=r"has its data in /srv/etcd, not in /var/lib/etcd"):
        static_pods.write_etcd(context)


def test_data_of_another_member_may_be_a_voters(context: Context, tmp_path: Path) -> None:
    """The undo had deleted the manifest, and so the join took the data of a voter for its own."""
    assert not etcd_join._was_begun(context)
    owner = DataIdentity(0xB2, 0xC)
    write_log(tmp_path / "var/lib/etcd", owner)
    assert etcd_join.owner_of_data(context) == owner
    assert etcd_join._was_begun(context)
