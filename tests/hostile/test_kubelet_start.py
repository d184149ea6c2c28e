"""How the kubelet of a node is started: known for certain or not, and what a reset makes of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from member_data import write_log

from hostile.test_hidden_etcd import DROP_IN, TWICE
from hostile.test_reset import WANTS, Node
from hostile.test_reset_beside import OLD, TEXT, reset
from quorate.errors import Refused
from quorate.foreign.taking import JUDGED, TAKEN
from quorate.host.etcd_identity import DataIdentity, data_identity
from quorate.host.member_data import look_at
from quorate.phases.node import left_note
from quorate.phases.node.local_etcd import local_etcd
from quorate.phases.node.plain_start import is_start_known
from quorate.phases.reset import cleanup, etcd
from quorate.tree import RealTree


@pytest.fixture
def node(tmp_path: Path) -> Node:
    made = Node(tmp_path / "root")
    (made.root / "var/lib/kubelet").mkdir(parents=True)
    return made


PLAIN = "[Service]\nExecStart=\nExecStart=-/usr/bin/kubelet $KUBELET_CONFIG_ARGS --v=2\n"


@pytest.mark.parametrize(
    ("lines", "is_known"),
    [
        ("", True),
        ("WorkingDirectory=/srv\nExecStartPre=-/bin/mkdir -p /var/lib/kubelet/volume-plugins\n", True),
        ("EnvironmentFile=-/etc/default/kubelet\nEnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env\n", True),
        ("EnvironmentFile=-/run/kubelet.env\n", False),
        ("EnvironmentFile=-/srv/kubelet.env\n", True),
        ("EnvironmentFile=-/srv/*.env\n", False),
        ("ExecStartPre=/bin/mkdir -p /run/kubelet ; /usr/local/bin/gen-env\n", False),
        ("ExecStartPost=/usr/local/bin/gen-env\n", False),
        ("PAMName=login\n", False),
        ("ExecStart=/srv/linked/kubelet\n", False),
        ("ExecStart=/srv/unmounted/kubelet\n", False),
        ("ExecStart=/srv/alternative/kubelet\n", True),
        ("WorkingDirectory=~\n", False),
        ("ExecStartPre=/usr/local/bin/pre\n", False),
        ("RootDirectory=/srv/root\n", False),
        ("PassEnvironment=KUBELET_EXTRA_ARGS\n", False),
        ("ExecStart=/srv/wrapped/kubelet\n", False),
        ("ExecStart=/bin/sh -c 'cd /srv/k && exec /usr/bin/kubelet --config=k.yaml'\n", False),
        ("ExecStart=/bin/bash -lc 'exec /usr/bin/kubelet $KUBELET_EXTRA_ARGS'\n", False),
    ],
)
def test_how_the_kubelet_is_started_is_known_or_not(node: Node, lines: str, is_known: bool) -> None:
    """A list of what a shell may do had gaps; what a plain start has is listed instead."""
    node.write("srv/kubelet.env", "KUBELET_EXTRA_ARGS=--v=4\n")
    node.write("srv/wrapped/kubelet", "#!/bin/sh\nexec /usr/bin/kubelet\n")
    for name, target in (("linked", "usr/bin/snap"), ("alternative", "usr/bin/kubelet-1.34")):
        node.write(target, "\x7fELF")
        (node.root / "srv" / name).mkdir(parents=True)
        (node.root / "srv" / name / "kubelet").symlink_to(f"/{target}")
    node.write(DROP_IN, PLAIN + lines)
    assert is_start_known(RealTree(node.root)) is is_known


@pytest.mark.parametrize("other", ["etc/sv/kubelet/run", "etc/init.d/kubelet", "etc/systemd/system/kubelet.service"])
def test_a_kubelet_that_something_else_starts_is_not_known(node: Node, other: str) -> None:
    """The unit of the package lies there as well: masked, or below another supervisor."""
    assert is_start_known(RealTree(node.root))
    if other.endswith(".service"):
        (node.root / other).parent.mkdir(parents=True, exist_ok=True)
        (node.root / other).symlink_to("/dev/null")
    else:
        node.write(other, "#!/bin/sh\nexec kubelet --config=/srv/k.yaml\n")
    assert not is_start_known(RealTree(node.root))


def test_keys_that_a_removal_of_ours_left_are_no_doubt(node: Node) -> None:
    """A reset by phases, or one that was cut off, was refused for the member that it had just removed."""
    (node.root / "usr/local/lib/systemd/system/kubelet.service").unlink()
    key = node.write("etc/kubernetes/pki/etcd/peer.key", "x")
    with pytest.raises(Refused, match="may be the key of an etcd member"):
        cleanup.clean_up(reset(node))
    finished_before(node)
    etcd.remove_member(reset(node))
    cleanup.clean_up(reset(node))
    assert not key.exists()


def left_before(node: Node, *, is_deleted: bool = True) -> None:
    """Leave what a reset of ours leaves that is killed while it deletes the data, or before."""
    tree, data = RealTree(node.root), node.root / "var/lib/etcd"
    manifest = node.write("etc/kubernetes/manifests/etcd.yaml", TEXT)
    found = local_etcd(tree)
    assert found is not None
    write_log(data, OLD)
    left_note.note_left(tree, found, look_at(data), "left", "/etc/kubernetes/pki")
    manifest.unlink()
    left_note.note_ended(tree)
    if is_deleted:
        left_note.note_deleted(tree, is_empty=False)
        shutil.rmtree(data / "member")


def finished_before(node: Node) -> None:
    """Leave what phase remove-etcd-member of ours leaves."""
    left_before(node)
    (node.root / "var/lib/etcd/.quorate-left").unlink()
    left_note.note_deleted(RealTree(node.root), is_empty=True)


@pytest.mark.parametrize("moved", ["member", "all"])
def test_keys_of_a_member_whose_data_was_moved_are_not_explained(node: Node, moved: str) -> None:
    """It was kept, its data put on a larger disk, or its disk unmounted for now: "nothing is there" was taken for "deleted"."""
    (node.root / "usr/local/lib/systemd/system/kubelet.service").unlink()
    key = node.write("etc/kubernetes/pki/etcd/peer.key", "x")
    left_before(node, is_deleted=False)
    data = node.root / "var/lib/etcd"
    (node.root / "srv").mkdir()
    (data if moved == "all" else data / "member").rename(node.root / "srv/etcd")
    for step in (etcd.remove_member, cleanup.clean_up):
        with pytest.raises(Refused, match=r"peer\.key may be the key of an etcd member"):
            step(reset(node))
    assert key.exists()


@pytest.mark.parametrize("held", [TAKEN, JUDGED])
@pytest.mark.parametrize("is_noted", [False, True])
def test_a_reset_that_was_killed_while_it_deleted_goes_on(
    node: Node, held: str, is_noted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In /var/lib/etcd, what it had taken away itself was taken for the data of another member."""
    node.write("etc/kubernetes/pki/etcd/peer.key", "x")
    left_before(node, is_deleted=False)
    data = node.root / "var/lib/etcd"
    (data / held).mkdir()
    (data / "member").rename(data / held / "member")
    if is_noted:
        left_note.note_deleted(RealTree(node.root), is_empty=False)
    monkeypatch.setattr(etcd, "end_pod", lambda *_: None)
    if held == JUDGED and not is_noted:
        # It was deleting what it had looked at, which is enough.
        assert left_note.has_left(RealTree(node.root)) is not None
    etcd.remove_member(reset(node))
    cleanup.clean_up(reset(node))
    assert list(data.iterdir()) == []


def test_a_manifest_that_was_moved_is_named_before_that_of_an_old_note(node: Node) -> None:
    node.write("etc/kubernetes/pki/etcd/peer.key", "x")
    finished_before(node)
    node.write("etc/kubernetes/kept/etcd.yaml", TEXT)
    write_log(node.root / "var/lib/etcd", DataIdentity(0xB, 0xD))
    with pytest.raises(Refused, match="holds data of member b of cluster d") as refused:
        etcd.remove_member(reset(node))
    assert refused.value.advice.startswith("move /etc/kubernetes/kept/etcd.yaml back to ")


def test_keys_are_not_explained_for_ever(node: Node) -> None:
    """A member was made in the same place with the same keys, as kubeadm reuses them, and its data moved to another disk."""
    (node.root / "usr/local/lib/systemd/system/kubelet.service").unlink()
    key = node.write("etc/kubernetes/pki/etcd/peer.key", "x")
    finished_before(node)
    etcd.remove_member(reset(node))
    (node.root / "var/lib/etcd/member").mkdir()
    (node.root / "var/lib/etcd/member").rename(node.root / "srv")
    for step in (etcd.remove_member, cleanup.clean_up):
        with pytest.raises(Refused, match=r"peer\.key may be the key of an etcd member"):
            step(reset(node))
    assert key.exists()


@pytest.mark.parametrize("seal", ["there", "gone"])
def test_a_note_explains_no_key_that_came_since(node: Node, seal: str) -> None:
    """By kubeadm a member of another cluster was made on a node with a note of ours: its keys, and those of its CA, went."""
    node.write("etc/kubernetes/pki/etcd/peer.key", "x")
    left_before(node)
    if seal == "gone":
        (node.root / "var/lib/etcd/.quorate-left").unlink()
    (node.root / "usr/local/lib/systemd/system/kubelet.service").unlink()
    key = node.write("etc/kubernetes/pki/etcd/peer.key", "of another member")
    for step in (etcd.remove_member, cleanup.clean_up):
        with pytest.raises(Refused, match=r"peer\.key may be the key of an etcd member"):
            step(reset(node))
    assert key.exists()


def test_a_note_of_one_member_says_nothing_of_another_one(node: Node) -> None:
    node.write("etc/kubernetes/pki/etcd/peer.key", "x")
    left_before(node)
    key = node.write("etc/kubernetes/pki/etcd/peer.key", "of another member")
    node.write("etc/kubernetes/kept/etcd.yaml", TEXT.replace("path: /var/lib/etcd", "path: /srv/etcd"))
    write_log(node.root / "srv/etcd", DataIdentity(0xB, 0xD))
    for step in (etcd.remove_member, cleanup.clean_up):
        with pytest.raises(Refused, match="/srv/etcd holds data of member b of cluster d"):
            step(reset(node))
    assert key.exists() and data_identity(node.root / "srv/etcd") == DataIdentity(0xB, 0xD)


def test_the_cleaning_alone_does_not_go_on_where_data_is_left(node: Node) -> None:
    """Its advice was to put the manifest of a removed member back."""
    key = node.write("etc/kubernetes/pki/etcd/peer.key", "x")
    left_before(node, is_deleted=False)
    with pytest.raises(Refused, match="was cut off before it deleted the etcd data") as refused:
        cleanup.clean_up(reset(node))
    assert "'quorate reset' goes on" in refused.value.advice and key.exists()


def test_who_resumes_says_again_that_a_member_is_abandoned(node: Node) -> None:
    tree, data = RealTree(node.root), node.root / "var/lib/etcd"
    manifest = node.write("etc/kubernetes/manifests/etcd.yaml", TEXT)
    found = local_etcd(tree)
    assert found is not None
    write_log(data, OLD)
    left_note.note_left(tree, found, look_at(data), "abandoned", "/etc/kubernetes/pki")
    manifest.unlink()
    with pytest.raises(Refused, match="which the cluster may still list") as refused:
        etcd.remove_member(reset(node))
    assert "--abandon-etcd-member" in refused.value.advice and data_identity(data) == OLD


def hidden_drop_in(root: Path) -> None:
    """As systemd 252 says: "Service has no ExecStart="."""
    (root / "etc/systemd/system/kubelet.service").write_text("# not used\n")
    for unit, text in (("service.d", "ExecStart=/usr/bin/kubelet"), ("kubelet.service.d", "RestartSec=10")):
        path = root / f"etc/systemd/system/{unit}/10-k.conf"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"[Service]\n{text}\n")


def masked_drop_in(root: Path) -> None:
    (root / "etc/systemd/system/kubelet.service").write_text("# not used\n")
    hidden = root / "usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf"
    hidden.parent.mkdir(parents=True)
    hidden.write_text("[Service]\nExecStart=/usr/bin/kubelet\n")
    masking = root / "etc/systemd/system/kubelet.service.d" / hidden.name
    masking.parent.mkdir(parents=True, exist_ok=True)
    masking.symlink_to("/dev/null")


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / WANTS / "kubelet.service").unlink(),
        lambda root: (root / "etc/systemd/system/kubelet.service").write_text(""),
        lambda root: (root / DROP_IN).write_text("[Service]\nExecStartPre=/opt/k/test\n"),
        lambda root: (root / DROP_IN).write_text("[Service]\nEnvironmentFile=/run/k.env\n"),
        lambda root: (root / DROP_IN).write_text("[Unit]\nConditionPathExists=/nonexistent\n"),
        lambda root: (root / WANTS).rename(root / "etc/systemd/system/rescue.target.wants"),
        lambda root: (root / "etc/systemd/system/kubelet.service").write_text("# not used\n"),
        lambda root: (root / DROP_IN).write_text("[Service]\nExecCondition=/usr/bin/test -e /nonexistent\n"),
        lambda root: (root / DROP_IN).write_text("[Service]\nExecStart=\n"),
        masked_drop_in,
        hidden_drop_in,
    ],
    ids=[
        *("nobody wants it", "an empty unit", "a program of another name", "variables that are made at each boot"),
        *("a condition", "another boot", "a unit without a start over the package's"),
        *(
            "a program that decides",
            "a start that is taken back",
            "a start in a file that is masked",
            "a start in a file that one of its name hides",
        ),
    ],
)
def test_a_unit_that_starts_nothing_is_no_answer(node: Node, change: Callable[[Path], object]) -> None:
    node.write("run/k.env", "KUBELET_EXTRA_ARGS=--v=2\n")
    (node.root / DROP_IN).parent.mkdir(parents=True, exist_ok=True)
    assert is_start_known(RealTree(node.root))
    change(node.root)
    assert not is_start_known(RealTree(node.root))


def test_an_empty_unit_that_is_hidden_switches_nothing_off(node: Node) -> None:
    node.write("usr/lib/systemd/system/kubelet.service", "")
    assert is_start_known(RealTree(node.root))


def test_a_note_explains_no_key_beside_other_data(node: Node) -> None:
    """A member that was made anew, by kubeadm with the certificates that were there, lost them."""
    key = node.write("etc/kubernetes/pki/etcd/peer.key", "x")
    left_before(node)
    write_log(node.root / "var/lib/etcd", DataIdentity(0xB, 0xC))
    for step in (etcd.remove_member, cleanup.clean_up):
        with pytest.raises(Refused, match="holds data of member b of cluster c"):
            step(reset(node))
    assert key.exists()


@pytest.mark.parametrize("held", [TAKEN, JUDGED])
def test_keys_that_were_being_deleted_are_the_ones_of_the_note(node: Node, held: str) -> None:
    """A reset that was killed there did not go on, for the key that it had taken away itself."""
    pki = node.root / "etc/kubernetes/pki"
    node.write("etc/kubernetes/pki/etcd/peer.key", "x")
    node.write("etc/kubernetes/pki/apiserver.key", "x")
    finished_before(node)
    (pki / held).mkdir()
    for name in ("etcd", "apiserver.key"):
        (pki / name).rename(pki / held / name)
    (node.root / "usr/local/lib/systemd/system/kubelet.service").unlink()
    etcd.remove_member(reset(node))
    cleanup.clean_up(reset(node))
    assert not any(pki.iterdir()) and not any(".key" in text for text in node.warnings)


def test_a_drop_in_that_is_masked_hides_another_one_only(node: Node) -> None:
    """As Fedora's 10-timeout-abort.conf is switched off."""
    place = node.root / "etc/systemd/system/service.d/10-timeout-abort.conf"
    place.parent.mkdir(parents=True)
    place.symlink_to("/dev/null")
    assert is_start_known(RealTree(node.root))


@pytest.mark.parametrize("path", ["/srv/static pods/${ROLE}", "/srv/static pods/%H", "/srv/${ROLE} x"])
def test_a_value_with_a_blank_is_one_value(node: Node, path: str) -> None:
    """It was cut at the blank, and the folder behind it was missed."""
    node.write(DROP_IN, f'[Service]\nExecStart=\nExecStart=/usr/bin/kubelet "--pod-manifest-path={path}"\n')
    with pytest.raises(Refused, match="it is unknown which static pods"):
        etcd.remove_member(reset(node))


def test_a_kubelet_that_no_unit_starts_is_not_known(node: Node) -> None:
    (node.root / "usr/local/lib/systemd/system/kubelet.service").unlink()
    node.write("etc/sv/kubelet/run", "#!/bin/sh\nexec kubelet --config=/srv/k.yaml\n")
    assert not is_start_known(RealTree(node.root))


@pytest.mark.parametrize(
    "words",
    [
        'Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml --hostname-override=%H"',
        'Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml --node-ip=${NODE_IP}"',
        "ExecStart=/bin/sh -c 'exec /usr/bin/kubelet --config=/var/lib/kubelet/config.yaml $KUBELET_EXTRA_ARGS'",
        "ExecStart=/usr/bin/kubelet --config=${KUBELET_CONFIG:-/var/lib/kubelet/config.yaml}",
        "ExecStart=/usr/bin/kubelet --config=%S/kubelet/config.yaml",
        "ExecStart=/bin/sh -c 'kubelet --pod-manifest-path=/etc/kubernetes/manifests; exit $$?'",
    ],
)
def test_words_behind_a_flag_in_one_text_are_no_part_of_its_value(node: Node, words: str) -> None:
    for path in sorted((node.root / "etc/kubernetes/pki").rglob("*")):
        if "etcd" in str(path.relative_to(node.root)) and path.is_file():
            path.unlink()
    node.write("var/lib/kubelet/config.yaml", "staticPodPath: /etc/kubernetes/manifests\n")
    node.write(DROP_IN, f"[Service]\n{words}\n")
    etcd.remove_member(reset(node))


def test_scripts_that_start_scripts_are_not_followed_for_ever(node: Node) -> None:
    for number in range(1, 8):
        node.write(f"srv/s{number}", f"#!/bin/sh\nexec /srv/s{number + 1}\n")
    node.write("srv/s8", "#!/bin/sh\nexec kubelet --pod-manifest-path=/srv/pods\n")
    node.write(DROP_IN, "[Service]\nExecStart=/srv/s1\n")
    with pytest.raises(Refused, match="deeper than is read"):
        etcd.remove_member(reset(node))


def hide_by_moved_manifest(node: Node) -> None:
    write_log(node.root / "var/lib/etcd", OLD)


def hide_by_second_manifest(node: Node) -> None:
    node.write("etc/kubernetes/manifests/etcd-events.yaml", TWICE)


def hide_by_configuration(node: Node) -> None:
    node.write("var/lib/kubelet/config.yaml", "staticPodPath: /srv/pods\n")
    node.write("srv/pods/etcd.yaml", TWICE)


def hide_by_unit(node: Node) -> None:
    node.write(DROP_IN, "[Service]\nExecStart=/usr/bin/kubelet --pod-manifest-path=/srv/pods\n")
    node.write("srv/pods/etcd.yaml", TWICE)


def hide_by_shell(node: Node) -> None:
    node.write(DROP_IN, "[Service]\nExecStart=/srv/start.sh\n")


@pytest.mark.parametrize(
    "hide", [hide_by_moved_manifest, hide_by_second_manifest, hide_by_configuration, hide_by_unit, hide_by_shell]
)
def test_the_cleaning_alone_judges_as_the_whole_does(node: Node, hide: Callable[[Node], None]) -> None:
    """`reset phase cleanup-node` took the keys of members that a whole reset would have found."""
    node.write(DROP_IN, PLAIN)
    key = node.write("etc/kubernetes/pki/etcd/peer.key", "x")
    hide(node)
    with pytest.raises(Refused):
        cleanup.clean_up(reset(node))
    assert key.is_file()
