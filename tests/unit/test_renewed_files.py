"""A renewed file stays what it is for who reads it: its owner, group, mode, access list and link. Both of a pair, or none."""

from __future__ import annotations

import errno
import os
import stat
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kubeadm_cases import everything

from quorate import exchanging
from quorate.dry_tree import DryTree
from quorate.errors import HostError, Interrupted, PreflightFailed, QuorateError
from quorate.exchanging import Swap
from quorate.foreign import kernel
from quorate.phases.base.context import Context
from quorate.phases.node import certs, renewal
from quorate.pki.store import read_pair
from quorate.tree import NewContent

ETCD = 12345
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


def like(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)


@pytest.fixture
def folder(context: Context, tmp_path: Path) -> Path:
    everything(context)
    return tmp_path / "etc/kubernetes"


@as_root
def test_owner_group_and_mode_stay(context: Context, folder: Path) -> None:
    """An etcd, or a component, that runs as a user of its own could not read its key after the next start."""
    given = {"pki/etcd/server.key": 0o600, "controller-manager.conf": 0o400, "pki/apiserver.key": 0o640}
    before = {}
    for name, mode in given.items():
        os.chown(folder / name, ETCD, ETCD + 1)
        (folder / name).chmod(mode)
        before[name] = (folder / name).read_bytes()
    (folder / "pki/etcd/server.crt").chmod(0o600)
    renewal.renew_all(context)
    assert {name: like(folder / name) for name in given} == {name: (ETCD, ETCD + 1, mode) for name, mode in given.items()}
    assert like(folder / "pki/etcd/server.crt")[2] == 0o600
    assert all((folder / name).read_bytes() != content for name, content in before.items())


def test_a_link_stays_and_its_file_is_renewed(context: Context, folder: Path) -> None:
    kept = folder / "kept"
    kept.mkdir()
    for name in ("front-proxy-client.key", "front-proxy-client.crt"):
        (folder / "pki" / name).rename(kept / name)
        (folder / "pki" / name).symlink_to(f"../kept/{name}" if name.endswith("crt") else f"/etc/kubernetes/kept/{name}")
    old = read_pair(kept / "front-proxy-client")
    renewal.renew(context, "front-proxy-client")
    assert all((folder / "pki" / f"front-proxy-client.{end}").is_symlink() for end in ("key", "crt"))
    assert read_pair(kept / "front-proxy-client").certificate.serial_number != old.certificate.serial_number
    assert sorted(one.name for one in kept.iterdir()) == ["front-proxy-client.crt", "front-proxy-client.key"]


@as_root
@pytest.mark.parametrize("end", ["key", "crt"])
def test_a_link_of_another_user_is_refused_and_both_files_stay(context: Context, folder: Path, end: str) -> None:
    link = folder / f"pki/front-proxy-client.{end}"
    link.rename(folder / "kept")
    link.symlink_to("../kept")
    os.chown(link, ETCD, ETCD, follow_symlinks=False)
    before = {path: path.read_bytes() for path in (folder / "pki").glob("front-proxy-client.*") if not path.is_symlink()}
    with pytest.raises(HostError, match=rf"front-proxy-client\.{end} is not followed: user {ETCD} owns it"):
        renewal.renew(context, "front-proxy-client")
    assert {path: path.read_bytes() for path in before} == before and link.is_symlink()
    assert not [path for path in (folder / "pki").iterdir() if path.name.startswith(".")]


@as_root
def test_a_file_that_another_user_could_put_there_gets_no_new_key(context: Context, folder: Path) -> None:
    before = (folder / "pki/apiserver.crt").read_bytes()
    (folder / "pki").chmod(0o777)
    os.chown(folder / "pki/apiserver.key", ETCD, ETCD)
    with pytest.raises(HostError, match=rf"apiserver\.key is not replaced: user {ETCD} owns it.*others may write"):
        renewal.renew(context, "apiserver")
    assert (folder / "pki/apiserver.crt").read_bytes() == before
    os.chown(folder / "pki", ETCD, ETCD)
    renewal.renew(context, "apiserver")
    assert like(folder / "pki/apiserver.key") == (ETCD, ETCD, 0o600), "its folder is theirs as well"


def test_an_access_list_stays(context: Context, folder: Path) -> None:
    entries = ((1, 6, -1), (2, 4, ETCD), (4, 0, -1), (16, 4, -1), (32, 0, -1))
    wanted = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *row) for row in entries)
    key = folder / "pki/etcd/peer.key"
    os.setxattr(key, "system.posix_acl_access", wanted)
    renewal.renew(context, "etcd-peer")
    assert os.getxattr(key, "system.posix_acl_access") == wanted


def test_when_the_second_cannot_be_written_the_first_stays(context: Context, folder: Path) -> None:
    (folder / "b").mkdir()
    before = (folder / "admin.conf").read_bytes()
    with pytest.raises(HostError, match=r"cannot write .*/etc/kubernetes/b: it is not a regular file"):
        context.tree.exchange(*(NewContent(f"/etc/kubernetes/{name}", b"x", 0o600) for name in ("admin.conf", "b")))
    assert (folder / "admin.conf").read_bytes() == before
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_a_dry_run_shows_the_mode_that_stays(context: Context, folder: Path) -> None:
    (folder / "pki/apiserver.key").chmod(0o640)
    dry = DryTree(context.tree)
    dry.exchange(NewContent("/etc/kubernetes/pki/apiserver.key", b"x", 0o600), NewContent("/etc/kubernetes/new", b"x", 0o600))
    assert [oct(one.mode) for one in dry.changes()] == ["0o640", "0o600"] and not (folder / "new").exists()


def suspended(context: Context, monkeypatch: pytest.MonkeyPatch, number: int, meanwhile: Callable[[], object]) -> None:
    """Lets `meanwhile` happen before that file is put in its place, as when this process is suspended there."""
    puts: list[None] = []

    real = Swap.put

    def later(swap: Swap) -> None:
        puts.append(None)
        if len(puts) == number:
            meanwhile()
        real(swap)

    monkeypatch.setattr(Swap, "put", later)


@pytest.mark.parametrize("name", ["apiserver", "etcd-peer"])
def test_another_renewal_between_the_two_files_of_a_pair_is_noticed(
    context: Context, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The key of one run was left with the certificate of the other, and both had said "renewed"."""
    everything(context)
    suspended(context, monkeypatch, 2, lambda: renewal.renew(context, name))
    with pytest.raises(HostError, match=r"another program wrote .*\.crt meanwhile: it was left as it is") as error:
        renewal.renew(context, name)
    assert error.value.state == "nothing was changed"
    # Both files of the other run are there, and fit.
    certs.ensure_all(context)
    renewal.renew(context, name)
    certs.ensure_all(context)


def test_a_ca_that_is_replaced_before_the_first_file_is_written_stops_the_renewal(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything(context)

    def another_ca() -> None:
        for path in (context.pki("ca.crt"), context.pki("ca.key")):
            context.tree.remove(path)
        certs.ensure_named(context, "ca")

    after_signing(monkeypatch, another_ca)
    before = context.tree.read(context.pki("apiserver.crt"))
    with pytest.raises(HostError, match=r"ca\.crt was replaced while apiserver was renewed") as error:
        renewal.renew(context, "apiserver")
    assert error.value.state == "nothing was changed"
    assert context.tree.read(context.pki("apiserver.crt")) == before


def after_signing(monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], object]) -> None:
    """Lets `meanwhile` happen once the new certificates are made and before they are written."""
    real = renewal._fresh

    def fresh(*args: Any) -> Any:
        made = real(*args)
        meanwhile()
        return made

    monkeypatch.setattr(renewal, "_fresh", fresh)


@pytest.mark.parametrize("edited", ["admin.conf", "pki/apiserver.crt", "pki/apiserver.key"])
def test_an_edit_meanwhile_is_not_lost(context: Context, folder: Path, monkeypatch: pytest.MonkeyPatch, edited: str) -> None:
    """An editor added a user to admin.conf; the renewal wrote over it and said "renewed"."""
    name = edited.removeprefix("pki/").replace(".crt", "").replace(".key", "")
    files = [folder / edited] if name == "admin.conf" else [folder / "pki/apiserver.key", folder / "pki/apiserver.crt"]
    after_signing(monkeypatch, lambda: (folder / edited).write_bytes((folder / edited).read_bytes() + b"# theirs\n"))
    before = {path: path.read_bytes() for path in files}
    with pytest.raises(HostError, match=rf"another program wrote /etc/kubernetes/{edited} meanwhile: it was left") as error:
        renewal.renew(context, name)
    assert error.value.state == "nothing was changed"
    assert {path: path.read_bytes() for path in files} == before | {folder / edited: before[folder / edited] + b"# theirs\n"}
    assert not [path for path in (folder / "pki").iterdir() if path.name.startswith(".")]


def test_what_came_where_nothing_was_read_is_not_replaced(context: Context, folder: Path) -> None:
    (folder / "new").write_bytes(b"theirs")
    with pytest.raises(HostError, match="another program wrote /etc/kubernetes/new meanwhile"):
        context.tree.exchange(NewContent("/etc/kubernetes/new", b"ours", 0o600))
    assert (folder / "new").read_bytes() == b"theirs"


@pytest.mark.parametrize("number", [1, 2])
def test_a_ca_that_is_replaced_while_the_files_are_written_is_noticed(
    context: Context, folder: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """The run ended with "renewed", and the certificate was not signed by the CA that was there."""

    def another_ca() -> None:
        for end in ("crt", "key"):
            context.tree.remove(context.pki(f"ca.{end}"))
        certs.ensure_named(context, "ca")

    suspended(context, monkeypatch, number, another_ca)
    with pytest.raises(HostError, match=r"ca\.crt was replaced while apiserver was renewed: it did not sign") as error:
        renewal.renew(context, "apiserver")
    assert error.value.state == "do not restart what reads apiserver now; renewed: nothing else"
    assert error.value.advice == "run the same command again"
    renewal.renew(context, "apiserver")
    read_pair(folder / "pki/apiserver")
    certs.ensure_named(context, "apiserver")


def test_an_interrupt_between_the_two_files_puts_the_first_back(
    context: Context, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    before = {name: (folder / name).read_bytes() for name in ("pki/apiserver.key", "pki/apiserver.crt")}
    suspended(context, monkeypatch, 2, interrupt)
    with pytest.raises(Interrupted) as error:
        renewal.renew(context, "apiserver")
    assert error.value.state == "nothing was changed"
    assert {name: (folder / name).read_bytes() for name in before} == before


PAIR = ("pki/apiserver.key", "pki/apiserver.crt")


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in PAIR}


def leftovers(folder: Path) -> list[Path]:
    return [one for one in (folder / "pki").iterdir() if "quorate" in one.name]


@pytest.mark.parametrize("can_exchange", [True, False])
def test_where_the_second_file_cannot_be_replaced_the_old_key_is_put_back(
    context: Context, folder: Path, monkeypatch: pytest.MonkeyPatch, can_exchange: bool
) -> None:
    """One that is mounted by itself, or that nobody may change: the new key was left with the old certificate, and the old key
    was nowhere any more."""
    rename, exchange = os.rename, kernel.exchange

    def busy(source: str, target: str, **where: int) -> None:
        if target == "apiserver.crt":
            raise OSError(errno.EBUSY, "Device or resource busy")
        rename(source, target, **where)

    def exchanged(place: int, one: str, other: str) -> bool:
        if can_exchange and other == "apiserver.crt":
            raise OSError(errno.EBUSY, "Device or resource busy")
        return can_exchange and exchange(place, one, other)

    before, mode = contents(folder), like(folder / PAIR[0])
    monkeypatch.setattr(os, "rename", busy)
    monkeypatch.setattr(kernel, "exchange", exchanged)
    with pytest.raises(HostError, match=r"cannot write .*apiserver\.crt: Device or resource busy") as error:
        renewal.renew(context, "apiserver")
    assert error.value.state == "nothing was changed"
    assert contents(folder) == before and like(folder / PAIR[0]) == mode and not leftovers(folder)


@pytest.mark.parametrize("can_exchange", [True, False])
@pytest.mark.parametrize("failure", [OSError(errno.EIO, "Input/output error"), KeyboardInterrupt()])
@pytest.mark.parametrize("number", [1, 2])
def test_a_failure_behind_a_rename_leaves_no_half_of_a_pair(
    context: Context,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    failure: BaseException,
    can_exchange: bool,
) -> None:
    """A failed fsync, or Ctrl-C there, left the new key with the old certificate; behind the second file it broke a pair that
    was whole."""
    exchange, syncs = kernel.exchange, list[None]()

    def failing(_folder: int) -> None:
        syncs.append(None)
        if len(syncs) == number:
            raise failure

    before = contents(folder)
    monkeypatch.setattr(exchanging, "sync", failing)
    monkeypatch.setattr(kernel, "exchange", lambda *names: can_exchange and exchange(*names))
    with pytest.raises((HostError, Interrupted)) as error:
        renewal.renew(context, "apiserver")
    assert error.value.state == "nothing was changed"
    assert contents(folder) == before and not leftovers(folder)


@pytest.mark.parametrize("name", ["apiserver", "etcd-peer"])
def test_what_was_written_in_the_last_moment_is_given_back(
    context: Context, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Suspended between its last look and its first rename, a run replaced the key that kubeadm had made, and then put back the
    key from before: kubeadm's key was nowhere."""
    everything(context)
    suspended(context, monkeypatch, 1, lambda: renewal.renew(context, name))
    with pytest.raises(HostError, match=r"another program wrote .*\.key meanwhile: it was left as it is") as error:
        renewal.renew(context, name)
    assert error.value.state == "nothing was changed"
    certs.ensure_all(context)


def test_what_is_written_into_the_new_file_stays(context: Context, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """kubeadm writes in place: between the two exchanges its key was in our new file, and went with it."""
    everything(context)
    theirs = folder / "theirs"
    theirs.mkdir()
    for name in PAIR:
        (theirs / Path(name).name).write_bytes((folder / name).read_bytes() + b"# theirs\n")

    def in_place() -> None:
        for name in PAIR:
            with (folder / name).open("r+b") as file:
                file.truncate()
                file.write((theirs / Path(name).name).read_bytes())

    suspended(context, monkeypatch, 2, in_place)
    with pytest.raises(HostError, match=r"another program wrote .*\.crt meanwhile: it was left as it is"):
        renewal.renew(context, "apiserver")
    assert contents(folder) == {name: (theirs / Path(name).name).read_bytes() for name in PAIR}


def test_a_key_that_cannot_be_put_back_is_kept_under_another_name(
    context: Context, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange, calls = kernel.exchange, list[None]()

    def failing(*names: Any) -> bool:
        calls.append(None)
        if len(calls) > 1:
            raise OSError(errno.EIO, "Input/output error")
        return exchange(*names)

    before = contents(folder)
    (folder / "pki/apiserver.key.quorate-old").write_bytes(b"of an earlier time")
    monkeypatch.setattr(kernel, "exchange", failing)
    with pytest.raises(HostError, match=r"is kept as /etc/kubernetes/pki/apiserver\.key\.quorate-old-1"):
        renewal.renew(context, "apiserver")
    assert (folder / "pki/apiserver.key.quorate-old-1").read_bytes() == before[PAIR[0]]
    assert like(folder / "pki/apiserver.key.quorate-old-1") == like(folder / PAIR[0])


@pytest.mark.parametrize("has_room", [True, False])
def test_without_exchanges_and_links_there_is_a_way_back_too(
    context: Context, folder: Path, monkeypatch: pytest.MonkeyPatch, has_room: bool
) -> None:
    """FAT, some network file systems: the old key was nowhere. Without room for it nothing is begun."""
    rename, opened = os.rename, os.open

    def busy(source: str, target: str, **where: int) -> None:
        if target == "apiserver.crt":
            raise OSError(errno.EBUSY, "Device or resource busy")
        rename(source, target, **where)

    def full(path: Any, flags: int, *args: int, **more: Any) -> int:
        if not has_room and flags & os.O_EXCL and flags & os.O_WRONLY and ".apiserver.key" in str(path) and links:
            raise OSError(errno.ENOSPC, "No space left on device")
        return opened(path, flags, *args, **more)

    links: list[None] = []

    def no_link(*_args: Any, **_more: Any) -> None:
        links.append(None)
        raise OSError(errno.EPERM, "Operation not permitted")

    before, mode = contents(folder), like(folder / PAIR[0])
    for name, replaced in (("rename", busy), ("open", full), ("link", no_link)):
        monkeypatch.setattr(os, name, replaced)
    monkeypatch.setattr(kernel, "exchange", lambda *_: False)
    with pytest.raises(HostError, match="cannot write"):
        renewal.renew(context, "apiserver")
    assert contents(folder) == before and like(folder / PAIR[0]) == mode and not leftovers(folder)


def test_one_file_alone_is_never_exchanged(context: Context, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kubelet saw the old manifest come and go again, and stopped the static pod until its next look at the folder."""

    def exchanged(*_names: Any) -> bool:
        raise AssertionError("two names were exchanged")

    monkeypatch.setattr(kernel, "exchange", exchanged)
    before = (folder / "admin.conf").read_bytes()
    context.tree.exchange(NewContent("/etc/kubernetes/admin.conf", b"x", 0o600, before))
    assert (folder / "admin.conf").read_bytes() == b"x"
    assert not [one for one in folder.iterdir() if "quorate-" in one.name]


@as_root
def test_what_a_killed_renewal_left_of_another_owners_key_is_swept(context: Context, folder: Path) -> None:
    left = folder / "pki/.apiserver.key.quorate-01234567"
    left.write_bytes(b"a key")
    os.chown(left, ETCD, ETCD)
    theirs = folder / "shared"
    theirs.mkdir()
    theirs.chmod(0o777)
    other = theirs / ".x.quorate-01234567"
    other.write_bytes(b"x")
    os.chown(other, ETCD, ETCD)
    renewal.renew(context, "apiserver")
    context.tree.write("/etc/kubernetes/shared/y", b"y", mode=0o600)
    assert not left.exists() and other.exists()


def test_files_that_are_anothers_by_links_are_renewed_once(context: Context, folder: Path) -> None:
    for end in ("key", "crt"):
        (folder / f"pki/etcd/peer.{end}").unlink()
        (folder / f"pki/etcd/peer.{end}").symlink_to(f"server.{end}")
    (folder / "super-admin.conf").unlink()
    (folder / "super-admin.conf").symlink_to("admin.conf")
    old = read_pair(folder / "pki/etcd/server")
    renewed = renewal.renew_all(context)
    new = read_pair(folder / "pki/etcd/peer")
    assert old.certificate != new.certificate and new.key.public_key() == new.certificate.public_key()
    assert "front-proxy-client" in renewed
    renewal.renew(context, "etcd-peer")
    assert read_pair(folder / "pki/etcd/server").certificate != new.certificate


def test_a_key_that_two_certificates_share_is_not_taken_from_one_of_them(context: Context, folder: Path) -> None:
    (folder / "pki/etcd/peer.key").unlink()
    (folder / "pki/etcd/peer.key").symlink_to("server.key")
    with pytest.raises(PreflightFailed, match=r"share .*/etcd/server\.key"):
        renewal.renew(context, "etcd-server")


@pytest.mark.parametrize(
    ("leaf", "kept"),
    [("apiserver.key", "ca.key"), ("apiserver.key", "sa.key"), ("front-proxy-client.key", "front-proxy-ca.key")],
)
@pytest.mark.parametrize("is_turned", [False, True])
def test_the_key_of_a_ca_or_of_service_accounts_is_never_replaced(
    context: Context, folder: Path, leaf: str, kept: str, is_turned: bool
) -> None:
    """The only key of a CA was replaced by that of a leaf, and all were said to be renewed."""
    link, target = (kept, leaf) if is_turned else (leaf, kept)
    if is_turned:
        (folder / "pki" / leaf).write_bytes((folder / "pki" / kept).read_bytes())
    (folder / "pki" / link).unlink()
    (folder / "pki" / link).symlink_to(target)
    before = (folder / "pki" / kept).read_bytes()
    for run in (lambda: renewal.renew(context, leaf.removesuffix(".key")), lambda: renewal.renew_all(context)):
        with pytest.raises(PreflightFailed, match=f"{leaf.removesuffix('.key')} and .* share .*/pki/{target}"):
            run()
    assert (folder / "pki" / kept).read_bytes() == before


@as_root
def test_the_key_of_a_ca_is_known_through_a_mount(context: Context, folder: Path) -> None:
    place = folder / "mounted"
    place.mkdir()
    if subprocess.run(["mount", "--bind", str(folder / "pki"), str(place)], check=False, capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        (folder / "pki/apiserver.key").unlink()
        (folder / "pki/apiserver.key").symlink_to("../mounted/ca.key")
        before = (folder / "pki/ca.key").read_bytes()
        with pytest.raises(PreflightFailed, match="apiserver and ca share"):
            renewal.renew(context, "apiserver")
        assert (folder / "pki/ca.key").read_bytes() == before
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_folder_in_the_place_of_a_cas_key_is_no_external_ca(context: Context, folder: Path) -> None:
    """docker makes one for a volume whose file is missing: six certificates were left alone, with success."""
    (folder / "pki/ca.key").unlink()
    (folder / "pki/ca.key").mkdir()
    with pytest.raises(QuorateError, match=r"ca\.key: Is a directory"):
        renewal.renew_all(context)
    assert all(not row.external for row in renewal.expiries(context)[1])


def test_a_kubeconfig_that_checks_no_server_is_given_no_ca(context: Context, folder: Path) -> None:
    """Every client refuses a file that says both."""
    path = folder / "scheduler.conf"
    lines = path.read_text().splitlines(keepends=True)
    text = "".join(
        one.replace(one.strip(), "insecure-skip-tls-verify: true") if "certificate-authority-data" in one else one
        for one in lines
    )
    path.write_text(text)
    renewal.renew(context, "scheduler.conf")
    assert "insecure-skip-tls-verify: true" in path.read_text() and "certificate-authority" not in path.read_text()
    assert path.read_text() != text


def test_a_certificate_that_this_cluster_does_not_have_is_missing(context: Context, folder: Path) -> None:
    """With an external etcd there is none of etcd's."""
    with pytest.raises(PreflightFailed, match="no-such is missing: there is nothing to renew"):
        renewal.renew(context, "no-such")
