"""What is missing is made, and never put over what another program made since: kubeadm beside us, or this process suspended."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from kubeadm_cases import everything

from quorate.errors import HostError, PreflightFailed
from quorate.files import create_into
from quorate.phases.base.context import Context
from quorate.phases.node import certs, csr, kubeconfigs, run_marker
from quorate.phases.node.paths import may_be_made
from quorate.pki.certificates import key_pem, make_key
from quorate.pki.store import parse_key, read_pair
from quorate.pki.table import entries

LEAF = "front-proxy-client"


def suspended(monkeypatch: pytest.MonkeyPatch, wanted: str, meanwhile: Callable[[], object]) -> None:
    """Lets `meanwhile` happen once, right before a file of that name is put in its place, as when this process is suspended
    there."""
    waiting = [meanwhile]

    def creating(folder: int, name: str, content: bytes, *, mode: int) -> None:
        if name == wanted and waiting:
            waiting.pop()()
        create_into(folder, name, content, mode=mode)

    monkeypatch.setattr("quorate.tree.create_into", creating)


def without(context: Context, *names: str) -> None:
    for name in names:
        context.tree.remove(context.pki(name))


@pytest.mark.parametrize("wanted", ["ca.key", "ca.crt", f"{LEAF}.key", f"{LEAF}.crt", "etcd/peer.crt", "sa.key", "sa.pub"])
def test_another_run_before_any_file_is_noticed_and_its_files_stay(
    context: Context, monkeypatch: pytest.MonkeyPatch, wanted: str
) -> None:
    """The other run makes all that is missing, as kubeadm would; ours was halfway, and may not put its own over it."""
    suspended(monkeypatch, Path(wanted).name, lambda: certs.ensure_all(context))
    with pytest.raises((HostError, PreflightFailed)):
        certs.ensure_all(context)
    table = [entry for entry in entries(context.cluster, context.node) if context.tree.is_file(certs.files(context, entry)[0])]
    for entry in table:
        read_pair(context.tree.at(context.pki(entry.base)))


def test_a_file_that_came_meanwhile_is_left_and_named(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    everything(context)
    without(context, f"{LEAF}.key", f"{LEAF}.crt")
    suspended(monkeypatch, f"{LEAF}.key", lambda: certs.ensure_named(context, LEAF))
    with pytest.raises(HostError, match=rf"{LEAF}\.key was missing, and another program made it meanwhile: it was left"):
        certs.ensure_named(context, LEAF)
    certs.ensure_all(context)


def test_a_pair_that_is_replaced_after_it_was_made_is_noticed(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """kubeadm replaces without asking: nothing keeps it from that, so it is looked at again."""
    everything(context)
    without(context, f"{LEAF}.key", f"{LEAF}.crt")
    other = context.tree.read(context.pki("apiserver.key")) or b""
    suspended(monkeypatch, f"{LEAF}.crt", lambda: context.tree.write(context.pki(f"{LEAF}.key"), other, mode=0o600))
    with pytest.raises(HostError, match=f"another program wrote the files of {LEAF} meanwhile"):
        certs.ensure_named(context, LEAF)


@pytest.mark.parametrize("wanted", [f"{LEAF}.key", f"{LEAF}.crt"])
def test_a_ca_that_is_replaced_meanwhile_is_noticed(context: Context, monkeypatch: pytest.MonkeyPatch, wanted: str) -> None:
    everything(context)
    without(context, f"{LEAF}.key", f"{LEAF}.crt")

    def another_ca() -> None:
        without(context, "front-proxy-ca.crt", "front-proxy-ca.key")
        certs.ensure_named(context, "front-proxy-ca")

    suspended(monkeypatch, wanted, another_ca)
    with pytest.raises(HostError, match=rf"front-proxy-ca\.crt was replaced while {LEAF} was made") as error:
        certs.ensure_named(context, LEAF)
    assert f"delete {context.pki(LEAF)}.crt" in error.value.advice


def test_a_kubeconfig_that_came_meanwhile_stays_and_another_ca_is_noticed(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    certs.ensure_all(context)
    path = kubeconfigs.path_of(context, "admin")
    suspended(monkeypatch, "admin.conf", lambda: context.tree.write(path, b"theirs", mode=0o600))
    with pytest.raises(HostError, match=r"admin\.conf was missing, and another program made it"):
        kubeconfigs.ensure_named("admin")(context)
    assert context.tree.read(path) == b"theirs"
    context.tree.remove(path)

    def another_ca() -> None:
        without(context, "ca.crt", "ca.key")
        certs.ensure_named(context, "ca")

    suspended(monkeypatch, "admin.conf", another_ca)
    with pytest.raises(HostError, match=r"ca\.crt was replaced while .*admin\.conf was made"):
        kubeconfigs.ensure_named("admin")(context)


def test_a_request_that_came_meanwhile_stays(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    certs.ensure_named(context, "ca")
    path = context.pki("apiserver.csr")
    suspended(monkeypatch, "apiserver.csr", lambda: context.tree.write(path, b"theirs", mode=0o600))
    with pytest.raises(HostError, match="another program made it meanwhile"):
        csr.generate(context)
    assert context.tree.read(path) == b"theirs"


LEAVES = ["apiserver", "etcd/peer", LEAF]


@pytest.mark.parametrize("base", LEAVES)
def test_a_key_without_its_certificate_gets_one(context: Context, tmp_path: Path, base: str) -> None:
    """A run that is killed between the two files leaves that. A certificate for a key that is there harms nobody."""
    everything(context)
    key = context.tree.read(context.pki(f"{base}.key"))
    without(context, f"{base}.crt")
    certs.ensure_all(context)
    assert context.tree.read(context.pki(f"{base}.key")) == key
    read_pair(tmp_path / "etc/kubernetes/pki" / base)
    certs.ensure_all(context)


def test_a_key_in_another_form_stays_as_it_is(context: Context) -> None:
    everything(context)
    key = parse_key(context.tree.read(context.pki(f"{LEAF}.key")) or b"", "key")
    other = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    context.tree.write(context.pki(f"{LEAF}.key"), other, mode=0o600)
    without(context, f"{LEAF}.crt")
    certs.ensure_named(context, LEAF)
    assert context.tree.read(context.pki(f"{LEAF}.key")) == other
    certs.ensure_all(context)


def test_a_key_that_is_replaced_while_its_certificate_is_made_is_noticed(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything(context)
    without(context, f"{LEAF}.crt")
    other = context.tree.read(context.pki("apiserver.key")) or b""
    suspended(monkeypatch, f"{LEAF}.crt", lambda: context.tree.write(context.pki(f"{LEAF}.key"), other, mode=0o600))
    with pytest.raises(HostError, match=f"another program wrote the files of {LEAF} meanwhile"):
        certs.ensure_named(context, LEAF)


@pytest.mark.parametrize("base", ["ca", "etcd/ca", "front-proxy-ca"])
def test_a_full_disk_leaves_no_key_of_a_ca_alone(
    context: Context, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, base: str
) -> None:
    """It would be taken for the key of a cluster whose certificate was lost: the next run, with space, was refused for it."""
    real = tmp_path / "etc/kubernetes/pki" / base

    def creating(folder: int, name: str, content: bytes, *, mode: int) -> None:
        if name == f"{real.name}.crt" and real.parent.exists() and os.path.samestat(os.fstat(folder), real.parent.stat()):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        create_into(folder, name, content, mode=mode)

    with monkeypatch.context() as full:
        full.setattr("quorate.tree.create_into", creating)
        with pytest.raises(HostError, match="No space left on device"):
            certs.ensure_all(context)
    assert not real.with_suffix(".key").exists()
    certs.ensure_all(context)
    read_pair(real)


@pytest.mark.parametrize("base", ["ca", "etcd/ca", "front-proxy-ca"])
def test_a_key_of_a_ca_is_completed_only_where_the_run_made_it(context: Context, tmp_path: Path, base: str) -> None:
    """Another certificate for the key of a CA would be another CA: members and nodes that trust the first are cut off."""
    key_path = context.pki(f"{base}.key")
    context.tree.write(key_path, key_pem(make_key("ECDSA-P256")).reveal(), mode=0o600)
    before = context.tree.read(key_path)
    with pytest.raises(PreflightFailed, match=r"\.key exists without its certificate"):
        certs.ensure_all(context)
    run_marker.begin(context, "init", may_be_made(context))
    with pytest.raises(PreflightFailed, match=r"\.key exists without its certificate"):
        certs.ensure_all(context)
    run_marker.finish(context)
    context.tree.remove(key_path)
    run_marker.begin(context, "init", ())
    context.tree.write(key_path, before or b"", mode=0o600)
    with pytest.raises(PreflightFailed, match=r"\.key exists without its certificate"):
        certs.ensure_all(context)
    run_marker.finish(context)
    context.tree.remove(key_path)
    mark = run_marker.begin(context, "init", may_be_made(context))
    context.tree.write(key_path, before or b"", mode=0o600)
    with pytest.raises(PreflightFailed, match=r"\.key exists without its certificate"):
        certs.ensure_all(context)
    context.tree.remove(key_path)
    run_marker.noting(context, mark)[0].tree.write(key_path, before or b"", mode=0o600)
    certs.ensure_all(context)
    assert context.tree.read(key_path) == before
    read_pair(tmp_path / "etc/kubernetes/pki" / base)
    certs.ensure_all(context)


def killed(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Ends the run right before the file of that number is put in its place; runs after it go on."""
    made = 0

    def creating(folder: int, name: str, content: bytes, *, mode: int) -> None:
        nonlocal made
        made += 1
        if made == number:
            raise KeyboardInterrupt
        create_into(folder, name, content, mode=mode)

    monkeypatch.setattr("quorate.tree.create_into", creating)


@pytest.mark.parametrize("number", range(1, 20))
def test_certs_of_an_init_that_was_killed_before_any_file_are_finished_by_the_next(
    context: Context, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Ten pairs: each run of the loop is killed right before another of their files."""
    context, _ = run_marker.noting(context, run_marker.begin(context, "init", may_be_made(context)))
    killed(monkeypatch, number)
    with pytest.raises(KeyboardInterrupt):
        certs.ensure_all(context)
    certs.ensure_all(context)
    for entry in entries(context.cluster, context.node):
        read_pair(context.tree.at(context.pki(entry.base)))


@pytest.mark.parametrize("number", [1, 2, 3, 13, 14, 15, 16, 23, 24])
def test_requests_that_were_cut_off_are_completed(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    killed(monkeypatch, number)
    with pytest.raises(KeyboardInterrupt):
        csr.generate(context)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert len(before) == number - 1
    csr.generate(context)
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert len(after) == 24 and after | before == after
    for path in (path for path in after if path.suffix == ".key"):
        request = x509.load_pem_x509_csr(after[path.with_suffix(".csr")])
        assert request.public_key() == parse_key(after[path], str(path)).public_key()
    with pytest.raises(PreflightFailed, match="already exists"):
        csr.generate(context)


@pytest.mark.parametrize("name", ["pki/apiserver.key", "pki/apiserver.csr", "admin.conf", "admin.conf.csr"])
def test_what_another_request_left_is_refused(context: Context, tmp_path: Path, name: str) -> None:
    """A key of other names, or a file of a cluster that runs: what is signed would not fit."""
    csr.generate(context)
    folder = tmp_path / "etc/kubernetes"
    (folder / "pki/etcd/peer.csr").unlink()
    kept = (folder / name).read_bytes()
    (folder / name).write_bytes(
        (folder / name.replace("apiserver", "front-proxy-client").replace("admin", "scheduler")).read_bytes()
    )
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(PreflightFailed, match=r"(apiserver|admin)[a-z.]* already exists"):
        csr.generate(context)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    (folder / name).write_bytes(kept)
    csr.generate(context)


def test_a_key_that_has_its_certificate_gets_no_request(context: Context) -> None:
    everything(context)
    with pytest.raises(PreflightFailed, match="already exists"):
        csr.generate(context)


def test_a_file_is_made_whole_or_not_at_all(tmp_path: Path) -> None:
    folder = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
    try:
        create_into(folder, "new", b"content", mode=0o640)
        (tmp_path / "link").symlink_to("nowhere")
        for name in ("new", "link"):
            with pytest.raises(FileExistsError):
                create_into(folder, name, b"other", mode=0o600)
    finally:
        os.close(folder)
    assert (tmp_path / "new").read_bytes() == b"content" and (tmp_path / "new").stat().st_mode & 0o7777 == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "new"] and (tmp_path / "new").stat().st_nlink == 1
