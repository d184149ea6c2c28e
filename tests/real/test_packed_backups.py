"""Backups that are compressed, encrypted, and kept in an object store: the same promises as in a folder, in clear."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyrage
import pytest
import schemas
from conftest import RunCli
from obstore.store import LocalStore, MemoryStore

from quorate.backup.catalog import blob_of, catalog, file_of, find
from quorate.backup.claims import claim
from quorate.backup.content import Opener, snapshot_of
from quorate.backup.copy import copy
from quorate.backup.folder import FolderStore
from quorate.backup.manifest import Manifest
from quorate.backup.objects import ObjectStore
from quorate.backup.packing import CannotUnpack, Keys, NotForUs, identities, recipients
from quorate.backup.prune import carry_out, plan
from quorate.backup.save import HowStored, Wish, save
from quorate.backup.store import Store
from quorate.backup.verify import verify
from quorate.core.retention import Keep
from quorate.deadline import Cancel, SystemClock
from quorate.errors import HostError, Interrupted, Refused
from quorate.etcd.client import kv
from quorate.etcd.cluster import Cluster
from quorate.host.facts import hostname
from quorate.local import cluster
from quorate.local.home import Home
from real.machines import flags_of

pytestmark = pytest.mark.real
CLOCK = SystemClock()


@pytest.fixture
def one(home: Home, etcd36: str) -> Home:
    cluster.up(home, 1, etcd36)
    with home.access() as access:
        for number in range(30):
            kv.put(access.channel(home.seeds()[0]), f"key{number}".encode(), b"sesame" * 50, timeout=5)
    return home


@pytest.fixture
def alice(tmp_path: Path) -> Path:
    """The file with her identity; behind it lies one with her recipient, as `.pub`."""
    own = pyrage.x25519.Identity.generate()
    path = tmp_path / "alice.key"
    path.write_text(str(own))
    path.with_suffix(".pub").write_text(f"# alice\n{own.to_public()}\n")
    return path


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def of_alice(alice: Path) -> Keys:
    keys = recipients((), alice.with_suffix(".pub"))
    assert keys is not None
    return keys


def saved(home: Home, store: Store, how: HowStored) -> Manifest:
    with home.access() as access:
        made = save(Cluster(access, home.seeds()), store, Wish(), how)
    return find(catalog(store), made.id)


@pytest.fixture(params=["folder", "objects", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path, work: Path) -> Store:
    if request.param == "folder":
        return FolderStore(tmp_path / "backups")
    remote = LocalStore(tmp_path / "bucket", mkdir=True) if request.param == "objects" else MemoryStore()
    return ObjectStore("s3://bucket/etcd", remote, work, CLOCK)


def test_what_is_packed_is_verified_copied_restored_and_nothing_is_left_in_clear(
    one: Home, store: Store, tmp_path: Path, work: Path, alice: Path
) -> None:
    manifest = saved(one, store, HowStored(compress=True, keys=of_alice(alice), work=work))
    assert manifest.blob.name.endswith(".db.zst.age") and manifest.packing.recipients == of_alice(alice).shown
    shut = b"".join(store.pieces(blob_of(manifest)))
    assert b"sesame" not in shut and shut.startswith(b"age-encryption.org/v1") and len(shut) == manifest.blob.size
    assert list(work.iterdir()) == []
    # Whoever has no identity compares the digests; whoever has it reads all.
    assert [row.how for row in verify(store, manifest, Opener(None, work), CLOCK).manifest.verified] == ["walk", "digest"]
    opens = Opener(identities(alice), work)
    assert not verify(store, manifest, opens, CLOCK).problems
    other = FolderStore(tmp_path / "other")
    assert copy(manifest, store, other, CLOCK) and b"".join(other.pieces(blob_of(manifest))) == shut
    with snapshot_of(other, manifest, opens, Cancel()) as path:
        assert b"sesame" in path.read_bytes() and path.stat().st_mode & 0o077 == 0
    assert list(work.iterdir()) == []


def test_damage_is_found_in_each_layer(one: Home, tmp_path: Path, work: Path, alice: Path) -> None:
    store, opens = FolderStore(tmp_path / "backups"), Opener(identities(alice), work)
    manifest = saved(one, store, HowStored(compress=True, keys=of_alice(alice), work=work))
    path = store.path(blob_of(manifest))
    whole = path.read_bytes()
    path.write_bytes(whole[:-40] + bytes(40))
    assert "was changed" in verify(store, manifest, opens, CLOCK).problems[0]
    assert "was changed" in verify(store, manifest, Opener(None, work), CLOCK).problems[0]
    with pytest.raises(Refused, match="is not what its manifest says"):
        copy(manifest, store, FolderStore(tmp_path / "other"), CLOCK)
    with pytest.raises(CannotUnpack), snapshot_of(store, manifest, opens, Cancel()):
        pass
    path.write_bytes(whole)
    assert not verify(store, manifest, opens, CLOCK).problems and list(work.iterdir()) == []


def test_a_copy_that_was_cut_off_is_ended_by_the_next_one(
    one: Home, store: Store, tmp_path: Path, work: Path, alice: Path
) -> None:
    """It was refused for ever, for the file that it had copied itself; and one whose file was gone there was called copied."""
    manifest = saved(
        one, FolderStore(tmp_path / "first"), HowStored(compress=True, keys=of_alice(alice), work=work, bundle=b"k")
    )
    source = FolderStore(tmp_path / "first")
    folder = manifest.id.partition("/")[0]
    with store.arriving(folder, "x") as arriving:
        os.write(arriving.fd, source.path(blob_of(manifest)).read_bytes())
        arriving.keep(manifest.blob.name)
    if isinstance(store, ObjectStore):
        # Killed while it sent the second file.
        assert manifest.secrets is not None
        gone = subprocess.Popen(["true"])
        gone.wait()
        assert store.create(f"{file_of(manifest, manifest.secrets)}.taken", f"{hostname()} {gone.pid} x".encode())
    assert copy(manifest, source, store, CLOCK) and not copy(manifest, source, store, CLOCK)
    assert not any(row.name.endswith(".taken") for row in store.stored())
    store.delete(blob_of(manifest))
    with pytest.raises(Refused, match="is not whole there"):
        copy(manifest, source, store, CLOCK)


def test_damage_that_was_read_is_not_cleared_by_digests(one: Home, tmp_path: Path, work: Path, alice: Path) -> None:
    store, opens = FolderStore(tmp_path / "backups"), Opener(identities(alice), work)
    manifest = saved(one, store, HowStored(compress=True, keys=of_alice(alice), work=work))
    for wrong in (replace(manifest, snapshot_sha256="0" * 64), replace(manifest, keys=41)):
        store.replace(f"{manifest.id}.json", wrong.as_bytes())
        assert verify(store, wrong, opens, CLOCK).problems
        found = find(catalog(store), manifest.id)
        assert found.damaged is not None and verify(store, found, Opener(None, work), CLOCK).manifest.damaged is not None
    store.replace(f"{manifest.id}.json", manifest.as_bytes())
    other = tmp_path / "bob.key"
    other.write_text(str(pyrage.x25519.Identity.generate()))
    with pytest.raises(NotForUs):
        verify(store, manifest, Opener(identities(other), work), CLOCK)
    assert find(catalog(store), manifest.id).damaged is None
    # One that a prune deletes meanwhile does not come back.
    store.delete(f"{manifest.id}.json")
    with pytest.raises(HostError, match="was deleted while it was read"):
        verify(store, manifest, opens, CLOCK)
    assert f"{manifest.id}.json" not in {row.name for row in store.stored()}


def test_two_runs_never_share_a_name(one: Home, work: Path) -> None:
    """What is sent in parts overwrites: two hosts in one second would leave a manifest over the other's file."""
    store = ObjectStore("s3://bucket/etcd", MemoryStore(), work, CLOCK)
    manifest = saved(one, store, HowStored(compress=False, keys=None, work=work))
    folder, name = blob_of(manifest).split("/")
    with store.arriving(folder, name) as arriving, pytest.raises(HostError, match="is there already"):
        arriving.keep(name)
    assert not verify(store, manifest, Opener(None, work), CLOCK).problems
    assert [row.name for row in store.stored()] == [blob_of(manifest), f"{manifest.id}.json"]
    # One that is being sent has its name already.
    assert store.create(f"{folder}/20200101T000000Z-1.db.taken", b"somebody")
    with store.arriving(folder, name) as arriving, pytest.raises(HostError, match="another run is sending it"):
        arriving.keep("20200101T000000Z-1.db")


def test_one_that_is_interrupted_leaves_no_object(one: Home, work: Path) -> None:
    cancel = Cancel()
    store = ObjectStore("s3://bucket/etcd", MemoryStore(), work, SystemClock(cancel))
    with store.arriving("1", "x") as arriving:
        os.write(arriving.fd, os.urandom(1 << 20))
        cancel.request("Ctrl-C")
        with pytest.raises(Interrupted):
            arriving.keep("20200101T000000Z-1.db")
    assert [row.name for row in store.stored()] == ["1/20200101T000000Z-1.db.taken"]
    decided = plan(catalog(store), Keep.parse("1"), CLOCK.wall() + 90_000, most_age=timedelta(days=2))
    carry_out(store, catalog(store), decided, CLOCK.wall())
    assert store.stored() == []


def test_a_period_has_one_host_and_a_prune_deletes_all_files_of_a_backup(
    one: Home, store: Store, work: Path, alice: Path
) -> None:
    how = HowStored(compress=True, keys=of_alice(alice), work=work, bundle=b"keys")
    first = saved(one, store, how)
    wall = CLOCK.wall() - 90_000
    assert claim(store, first.cluster_id, 3600, wall, "h1") == "" and claim(store, first.cluster_id, 3600, wall, "h2") == "h1"
    with one.access() as access:
        kv.put(access.channel(one.seeds()[0]), b"more", b"x", timeout=5)
    second = saved(one, store, how)
    assert first.secrets is not None and file_of(first, first.secrets) in {row.name for row in store.stored()}
    decided = plan(catalog(store), Keep.parse("1"), CLOCK.wall(), most_age=None)
    assert carry_out(store, catalog(store), decided, CLOCK.wall()) == [first.id]
    assert {Path(row.name).name.partition(".")[0] for row in store.stored() if ".claim." not in row.name} == {
        Path(second.id).name
    }


def test_the_keys_of_a_node_leave_it_encrypted_only(tmp_path: Path, work: Path, one: Home, alice: Path) -> None:
    from quorate.phases.node.keys_bundle import keys_bundle
    from quorate.tree import RealTree

    root = tmp_path / "node"
    pki = root / "etc/kubernetes/pki"
    (pki / "etcd").mkdir(parents=True)
    manifests = root / "etc/kubernetes/manifests"
    manifests.mkdir()
    with pytest.raises(Refused, match=r"there is no /etc/kubernetes/pki/ca\.crt here"):
        keys_bundle(RealTree(root))
    for name in ("ca.crt", "ca.key", "sa.key", "etcd/ca.crt"):
        (pki / name).write_text(name)
    (manifests / "kube-apiserver.yaml").write_text(
        "spec:\n  containers:\n  - name: kube-apiserver\n    command: [--encryption-provider-config=/etc/enc.yaml]\n"
        "    volumeMounts: [{name: e, mountPath: /etc/enc.yaml}]\n  volumes: [{name: e, hostPath: {path: /etc/enc.yaml}}]\n"
    )
    with pytest.raises(Refused, match=r"/etc/enc\.yaml, which .* names, is not on this host"):
        keys_bundle(RealTree(root))
    (root / "etc/enc.yaml").write_text("kind: EncryptionConfiguration")
    bundle = keys_bundle(RealTree(root))
    with pytest.raises(AssertionError, match="encrypted only"):
        HowStored(compress=False, keys=None, work=work, bundle=bundle)
    store = FolderStore(tmp_path / "backups")
    manifest = saved(one, store, HowStored(compress=False, keys=of_alice(alice), work=work, bundle=bundle))
    assert manifest.secrets is not None
    shut = store.path(file_of(manifest, manifest.secrets)).read_bytes()
    assert b"EncryptionConfiguration" not in shut
    opened = pyrage.decrypt(shut, [pyrage.x25519.Identity.from_str(alice.read_text())])
    with tarfile.open(fileobj=io.BytesIO(opened)) as archive:
        names = archive.getnames()
    assert "etc/enc.yaml" in names and "etc/kubernetes/pki/sa.key" in names and "etc/kubernetes/pki/sa.pub" not in names
    # A file of it that was changed is damage of the backup.
    store.path(file_of(manifest, manifest.secrets)).write_bytes(shut[:-1] + b"x")
    assert "secrets.tar.age" in verify(store, manifest, Opener(None, work), CLOCK).problems[0]


def test_the_commands(one: Home, tmp_path: Path, cli: RunCli, work: Path, alice: Path) -> None:
    place, at = str(tmp_path / "backups"), flags_of(one)
    keys = ("--recipients-file", str(alice.with_suffix(".pub")))
    clear = cli("etcd", "backup", "save", place, *at, "--with-secrets")
    assert clear.returncode == 4 and "encrypted only" in clear.stderr
    made = cli("etcd", "backup", "save", place, *at, "--compress", "zstd", *keys, "--work", str(work), "-o", "json")
    assert schemas.checked(made.stdout) == ["EtcdBackup"], made.stderr
    assert "zstd age age1" in cli("etcd", "backup", "show", place).stdout
    half = cli("etcd", "backup", "verify", place)
    assert half.returncode == 0 and "by its digests" in half.stdout
    assert cli("etcd", "backup", "verify", place, "--restore-test").returncode == 3
    opens = ("--identity", str(alice), "--work", str(work))
    tried = cli("etcd", "backup", "verify", place, "--restore-test", *opens, "-o", "json")
    assert tried.returncode == 0, tried.stderr
    assert [row["how"] for row in json.loads(tried.stdout)["verified"]] == ["digest", "walk", "restore-test"]
    to = ("--data-dir", str(tmp_path / "new"), "--name", "n1", "--peer-url", "http://127.0.0.1:1")
    shut = cli("etcd", "restore", place, *to)
    assert shut.returncode == 4 and "--identity" in shut.stderr and not (tmp_path / "new").exists()
    done = cli("etcd", "restore", place, *to, *opens, "-o", "json")
    assert done.returncode == 0 and json.loads(done.stdout)["keys"] == 30, done.stderr
    assert list(work.iterdir()) == []


@pytest.mark.parametrize(
    "place",
    ["file:///tmp/x", "http://127.0.0.1:1/x", "ftp://x/y", "s4://bucket", "s3://KEY:hunter2@b/x", "az://a/c?sig=hunter2"],
)
def test_what_is_no_object_store_is_said(cli: RunCli, place: str) -> None:
    said = cli("etcd", "backup", "list", place)
    assert said.returncode == 3 and "hunter2" not in said.stderr
    assert "is no object store" in said.stderr or "names a bucket and a prefix, nothing else" in said.stderr


def test_a_folder_that_others_may_write_to_is_no_place_for_what_is_in_clear(tmp_path: Path) -> None:
    """But for one like /var/tmp, where each may move its own files only."""
    from quorate.host.work_folder import work_in

    open_to_all = tmp_path / "work"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    with pytest.raises(HostError, match="others may write to it"), work_in(open_to_all, ".quorate-x-"):
        pass
    open_to_all.chmod(0o1777)
    with work_in(open_to_all, ".quorate-x-") as folder:
        assert folder.stat().st_mode & 0o777 == 0o700


def test_a_store_that_does_not_answer_is_said_in_words(cli: RunCli) -> None:
    variables = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ACCESS_KEY_ID": "hunter2", "AWS_SECRET_ACCESS_KEY": "hunter3"}
    said = cli("etcd", "backup", "list", "s3://bucket/etcd", **variables)
    assert said.returncode == 1 and "hunter" not in said.stderr and "Traceback" not in said.stderr, said.stderr
    assert "cannot list in s3://bucket/etcd" in said.stderr and "AWS_ALLOW_HTTP" in said.stderr
