"""What a join takes back: what it wrote itself, and nothing of a node that was reset, joined or repaired since."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace as with_changes
from datetime import UTC, datetime
from pathlib import Path

import pytest
from kubeadm_cases import everything
from member_data import write_log
from pods import Pods, serving

from quorate.errors import HostError, PreflightFailed
from quorate.host.etcd_identity import DataIdentity, data_identity
from quorate.host.kubelet import Kubelet
from quorate.phases import doctor
from quorate.phases.base.context import Context
from quorate.phases.join import undo as undo_join
from quorate.phases.node import certs, run_marker
from quorate.phases.node import checks as node_checks
from quorate.phases.node.paths import may_be_made
from quorate.phases.node.run_marker import Marker
from quorate.phases.start import kubelet_start
from quorate.report import Notice, RunMessage
from unit.test_kubeadm_runs import prepared

OLD, NEW = DataIdentity(0xA1, 0xC), DataIdentity(0xB2, 0xC)


def begun(context: Context) -> tuple[Context, Callable[[], Marker]]:
    return run_marker.noting(context, run_marker.begin(context, "join", may_be_made(context)))


def files(root: Path) -> dict[str, str]:
    paths = [path for path in root.rglob("*") if path.is_file() and path.name != ".quorate-run.json"]
    return {str(path.relative_to(root)): path.read_text(errors="replace") for path in paths}


def join_again(root: Path) -> None:
    """What `kubeadm reset` and a join write: the same names, and now and then the same text."""
    for path in [path for path in (root / "etc/kubernetes").rglob("*") if path.is_file() and not path.name.startswith(".")]:
        text = path.read_text()
        path.unlink()
        path.write_text(text)


def test_nothing_is_taken_back_of_a_node_that_joined_again_since_the_look(context: Context, tmp_path: Path) -> None:
    """A join that was suspended there deleted manifests, certificates, data and the object of a live voter: "undone"."""
    told: list[RunMessage] = []
    context = with_changes(context, kubelet=Kubelet("/bin/false"), report=told.append)
    noted, mark = begun(context)
    everything(noted)
    # Without it the API server is not asked for the node's object.
    (tmp_path / "etc/kubernetes/admin.conf").unlink()
    write_log(tmp_path / "var/lib/etcd", OLD)
    made = undo_join.look(prepared(noted), mark())
    join_again(tmp_path)
    write_log(tmp_path / "var/lib/etcd", NEW)
    before = files(tmp_path)
    assert undo_join.take_back(prepared(noted), made).startswith("another program has worked on this node since")
    assert files(tmp_path) == before and data_identity(tmp_path / "var/lib/etcd") == NEW
    warned = [one.text for one in told if isinstance(one, Notice) and one.level == "warning"]
    assert len(warned) == 7 and all("written by another program since this join wrote it" in text for text in warned)
    with pytest.raises(HostError, match="written by another program"):
        undo_join.look(prepared(noted), mark())


def test_what_lies_beside_the_data_of_a_join_is_named_and_stays(context: Context, tmp_path: Path) -> None:
    told: list[RunMessage] = []
    noted, mark = begun(with_changes(context, kubelet=Kubelet("/bin/true"), report=told.append))
    write_log(tmp_path / "var/lib/etcd", OLD)
    (tmp_path / "var/lib/etcd/before.db").write_text("x")
    undo_join.take_back(prepared(noted), undo_join.look(prepared(noted), mark()))
    assert files(tmp_path) == {"var/lib/etcd/before.db": "x"}
    assert any("also holds before.db: it was left as it is" in one.text for one in told if isinstance(one, Notice))


def test_data_of_another_member_stays_where_the_files_are_the_joins(context: Context, tmp_path: Path) -> None:
    noted, mark = begun(with_changes(context, kubelet=Kubelet("/bin/false")))
    everything(noted)
    # Without it the API server is not asked for the node's object.
    (tmp_path / "etc/kubernetes/admin.conf").unlink()
    write_log(tmp_path / "var/lib/etcd", OLD)
    made = undo_join.look(prepared(noted), mark())
    write_log(tmp_path / "var/lib/etcd", NEW)
    assert undo_join.take_back(prepared(noted), made).endswith("but see the warnings")
    assert data_identity(tmp_path / "var/lib/etcd") == NEW


def test_a_marker_is_void_for_what_another_program_made_since(context: Context, tmp_path: Path) -> None:
    """A join was killed; kubeadm reset the node, and the CA was copied there by hand: the next join that failed deleted it."""
    noted, _ = begun(context)
    certs.ensure_named(noted, "ca")
    copied = tmp_path / "etc/kubernetes/pki/ca.key"
    text = copied.read_text()
    copied.unlink()
    copied.write_text(text)
    assert not run_marker.is_resumed(context, "join")
    again = run_marker.begin(context, "join", may_be_made(context))
    assert not again.resumed and {"/etc/kubernetes/pki/ca.key", "/etc/kubernetes/pki/ca.crt"} <= again.before
    assert undo_join.look(prepared(context), again).seen == {}


def systemctl(folder: Path) -> tuple[Kubelet, Path]:
    """Returns a kubelet whose service does nothing, and the file that lists what it was asked."""
    program, asked = folder / "systemctl", folder / "asked"
    program.write_text(f'#!/bin/sh\necho "$2" >> {asked}\n')
    program.chmod(0o755)
    return Kubelet(str(program)), asked


def test_a_void_marker_resumes_nothing_and_ends_no_pod_of_the_live_node(context: Context, tmp_path: Path) -> None:
    """A join was killed, and kubeadm made the node since. The same join again passed preflight, failed, and stopped the kubelet
    and every pod since the first run: "what the join made on this node was deleted"."""
    told: list[RunMessage] = []
    kubelet, asked = systemctl(tmp_path)
    context = with_changes(context, kubelet=kubelet, report=told.append, now=datetime.now(UTC))
    noted, _ = begun(context)
    everything(noted)
    join_again(tmp_path)
    assert run_marker.is_resumed(context, "join") is node_checks.is_resumed(context, "join") is False
    found = next(doctor.check_unfinished(context, ""))
    assert found.level == "warning" and found.advice == "rm /etc/kubernetes/.quorate-run.json", "a reset would end a live node"
    assert any("another program wrote /etc/kubernetes/" in one.text for one in told if isinstance(one, Notice))
    with serving(Path(context.cri_socket.removeprefix("unix://")), Pods()) as pods:
        pods.begin("live", "uid", "kube-apiserver")
        noted, mark = begun(context)
        (tmp_path / "etc/kubernetes/admin.conf").unlink()
        before = files(tmp_path)
        assert mark().began_ns == int(context.now.timestamp() * 1e9) and not mark().resumed
        state = undo_join.take_back(prepared(noted), undo_join.look(prepared(noted), mark()))
    assert state == "this join had made nothing on this node"
    assert pods.stopped == [] and not asked.exists() and files(tmp_path) == before


@pytest.mark.parametrize("command", ["join", "init"])
def test_a_node_that_came_since_the_checks_is_not_taken_for_the_runs(context: Context, tmp_path: Path, command: str) -> None:
    """Preflight had counted its files as those of the run that was cut off."""
    noted, _ = run_marker.noting(context, run_marker.begin(context, command, may_be_made(context)))
    everything(noted)
    assert run_marker.is_resumed(context, command)
    join_again(tmp_path)
    marker = (tmp_path / "etc/kubernetes/.quorate-run.json").read_text()
    with pytest.raises(PreflightFailed, match="written by another program since this run looked"):
        run_marker.begin(context, command, may_be_made(context), checked_as_resumed=True)
    assert (tmp_path / "etc/kubernetes/.quorate-run.json").read_text() == marker, "the next run would resume by a new one"


def test_the_kubelet_of_another_program_is_not_stopped(context: Context, tmp_path: Path) -> None:
    kubelet, asked = systemctl(tmp_path)
    noted, _ = begun(with_changes(context, kubelet=kubelet))
    certs.ensure_named(noted, "ca")
    kubelet_start.stop(noted)
    assert asked.read_text() == "stop\n"
    (tmp_path / "etc/kubernetes/kubelet.conf").write_text("of the node that joined")
    with pytest.raises(HostError, match=r"kubelet\.conf was written by another program since this run began"):
        kubelet_start.stop(noted)
    assert asked.read_text() == "stop\n"


def test_the_marker_of_an_older_init_is_resumed(context: Context, tmp_path: Path) -> None:
    """It noted nothing of what it wrote."""
    run_marker.begin(context, "init", may_be_made(context))
    path = tmp_path / "etc/kubernetes/.quorate-run.json"
    path.write_text(path.read_text().replace(',\n "isNoted": true', ""))
    everything(context)
    assert "isNoted" not in path.read_text() and run_marker.is_resumed(context, "init")
    assert run_marker.made_by_the_run(context, "/etc/kubernetes/pki/ca.key")


def test_a_join_that_was_killed_resumes_as_the_owner_of_what_it_wrote(context: Context, tmp_path: Path) -> None:
    noted, mark = begun(context)
    certs.ensure_named(noted, "ca")
    again = run_marker.begin(context, "join", may_be_made(context))
    assert again.resumed and again.before == frozenset() and set(again.wrote) == set(mark().wrote)
    assert set(undo_join.look(prepared(context), again).seen) == {"/etc/kubernetes/pki/ca.crt", "/etc/kubernetes/pki/ca.key"}
    assert (tmp_path / "etc/kubernetes/.quorate-run.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("wrote", ['{"/a": 1}', '{"/a": {}}', '{"/a": {"sha256": "x", "stamp": [1, 2, 3]}}'])
def test_a_marker_with_what_is_no_stamp_is_none(context: Context, tmp_path: Path, wrote: str) -> None:
    begun(context)
    path = tmp_path / "etc/kubernetes/.quorate-run.json"
    path.write_text(path.read_text().replace('"wrote": {}', f'"wrote": {wrote}'))
    with pytest.raises(PreflightFailed, match="cannot be read: a run was cut off here"):
        run_marker.begin(context, "join", ())


def test_what_another_program_adds_beside_the_files_of_the_join_stops_its_undo(context: Context, tmp_path: Path) -> None:
    """kubeadm takes certificates that are there as they are, and writes the rest: all keys of a live voter were deleted."""
    noted, mark = begun(context)
    certs.ensure_named(noted, "ca")
    made = undo_join.look(prepared(noted), mark())
    kubelet = tmp_path / "etc/kubernetes/kubelet.conf"
    kubelet.write_text("of the node that joined")
    assert undo_join.take_back(prepared(noted), made).startswith("another program has worked on this node since")
    assert kubelet.exists() and (tmp_path / "etc/kubernetes/pki/ca.key").exists()
    with pytest.raises(HostError, match=r"kubelet\.conf was written by another program"):
        undo_join.look(prepared(noted), mark())


def test_what_the_kubelet_of_the_join_made_is_of_the_join(context: Context, tmp_path: Path) -> None:
    noted, mark = begun(with_changes(context, kubelet=Kubelet("/bin/true")))
    noted.tree.write("/var/lib/kubelet/config.yaml", b"a", mode=0o600)
    for path in ("etc/kubernetes/kubelet.conf", "var/lib/kubelet/pki/kubelet.crt"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("x")
    assert len(undo_join.look(prepared(noted), mark()).seen) == 3


def test_certificates_of_another_kubelet_stay(context: Context, tmp_path: Path) -> None:
    """They were deleted as those of the join's kubelet, whatever folder that was."""
    noted, mark = begun(with_changes(context, kubelet=Kubelet("/bin/true")))
    noted.tree.write("/var/lib/kubelet/config.yaml", b"a", mode=0o600)
    folder = tmp_path / "var/lib/kubelet/pki"
    folder.mkdir()
    (folder / "kubelet.crt").write_text("of the join's")
    made = undo_join.look(prepared(noted), mark())
    folder.rename(tmp_path / "moved")
    folder.mkdir()
    (folder / "kubelet.crt").write_text("of another")
    with pytest.raises(HostError, match="is of another program by now"):
        undo_join._take_kubelets(noted, made)
    assert (folder / "kubelet.crt").read_text() == "of another"
    (folder / "kubelet.crt").unlink()
    folder.rmdir()
    (tmp_path / "moved").rename(folder)
    undo_join._take_kubelets(noted, made)
    assert not folder.exists()


def test_a_rollback_sweeps_the_folders_in_which_it_deletes(context: Context, tmp_path: Path) -> None:
    noted, mark = begun(with_changes(context, kubelet=Kubelet("/bin/true")))
    certs.ensure_named(noted, "ca")
    left = tmp_path / "etc/kubernetes/pki/.ca.key.quorate-0123abcd"
    made = undo_join.look(prepared(noted), mark())
    left.write_text("a key")
    undo_join.take_back(prepared(noted), made)
    assert files(tmp_path) == {}


@pytest.mark.parametrize("killed", ["before the write", "after it"])
def test_a_run_that_was_killed_while_it_wrote_knows_its_own_file(context: Context, tmp_path: Path, killed: str) -> None:
    """It left all keys, and said that they were deleted."""
    noted, _ = begun(context)
    noted.tree.write("/etc/kubernetes/admin.conf", b"first", mode=0o600)
    marker = tmp_path / "etc/kubernetes/.quorate-run.json"
    resumed, _ = run_marker.noting(context, run_marker.begin(context, "join", may_be_made(context)))
    resumed.tree.write("/etc/kubernetes/admin.conf", b"second", mode=0o600)
    if killed == "before the write":
        (tmp_path / "etc/kubernetes/admin.conf").unlink()
    again = run_marker.begin(context, "join", may_be_made(context))
    assert again.before == frozenset() and marker.exists()
    (tmp_path / "etc/kubernetes/admin.conf").unlink(missing_ok=True)
    assert run_marker.begin(context, "join", may_be_made(context)).before == frozenset(), "its undo may have deleted it"
