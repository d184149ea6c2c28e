"""The client against every real etcd: each service, each kind of refusal, logins, and lost answers."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import MakeHome, RunCli, engine

from quorate.core.membership import Alarm, AlarmKind
from quorate.core.versions import Version
from quorate.etcd.client import auth, kv, lease, maintenance, rpc, watch
from quorate.etcd.client import wire_pb2 as wire
from quorate.etcd.client.channel import Channel
from quorate.etcd.client.connections import Access
from quorate.etcd.client.endpoint import Endpoint, Login
from quorate.etcd.client.errors import (
    AnswerLost,
    LearnerNotReady,
    LeaseNotFound,
    LoginFailed,
    MemberExists,
    MemberNotFound,
    NoAnswer,
    NotALearner,
    NotLeader,
    PermissionDenied,
    RpcOnLearner,
    TokenExpired,
    TooManyLearners,
    Unreachable,
)
from quorate.etcd.cluster import Cluster
from quorate.etcd.membership import member_rpc
from quorate.etcd.membership.executor import NotConfirmed
from quorate.etcd.observation.reads import local_list
from quorate.host.etcd_binary import read_version
from quorate.local import certificates, cluster
from quorate.local.home import Home
from quorate.secret import Secret
from real.machines import flags_of

pytestmark = pytest.mark.real
SOON = 5.0


@pytest.fixture
def single(home: Home, any_etcd: str) -> Home:
    cluster.up(home, 1, any_etcd)
    return home


@pytest.fixture
def channel(single: Home) -> Iterator[Channel]:
    with single.access() as access:
        yield access.channel(single.seeds()[0])


def version_of(home: Home) -> Version:
    return read_version(Path(home.load().members[0].etcd))


def test_keys(channel: Channel) -> None:
    written = kv.put(channel, b"a", b"1", timeout=SOON)
    assert written.revision > 1 and written.raft_term > 0
    found = kv.get(channel, b"a", timeout=SOON)
    assert found is not None and (found.value, found.mod_revision) == (b"1", written.revision)
    assert kv.get(channel, b"b", timeout=SOON) is None
    assert kv.create(channel, b"a", b"2", timeout=SOON) is False
    assert kv.create(channel, b"b", b"2", timeout=SOON) is True
    assert [row.key for row in kv.get_prefix(channel, b"", timeout=SOON)] == [b"a", b"b"]
    assert kv.delete(channel, b"a", timeout=SOON) is True
    assert kv.delete(channel, b"a", timeout=SOON) is False
    kv.compact(channel, written.revision, timeout=SOON)


def test_leases(channel: Channel) -> None:
    granted = lease.grant(channel, 60, timeout=SOON)
    kv.put(channel, b"mine", b"", timeout=SOON, lease=granted)
    assert lease.keep_alive(channel, granted, timeout=SOON) == 60
    left = lease.time_to_live(channel, granted, timeout=SOON)
    assert left is not None and 55 <= left <= 60
    lease.revoke(channel, granted, timeout=SOON)
    assert kv.get(channel, b"mine", timeout=SOON) is None
    assert lease.time_to_live(channel, granted, timeout=SOON) is None
    with pytest.raises(LeaseNotFound):
        lease.keep_alive(channel, granted, timeout=SOON)
    with pytest.raises(LeaseNotFound):
        lease.revoke(channel, granted, timeout=SOON)


def test_watch_sees_what_happened_since_a_revision(channel: Channel) -> None:
    start = kv.put(channel, b"w/a", b"1", timeout=SOON).revision
    kv.put(channel, b"elsewhere", b"", timeout=SOON)
    kv.delete(channel, b"w/a", timeout=SOON)
    changes = watch.watch(channel, b"w/", timeout=SOON, start_revision=start)
    seen = [next(changes), next(changes)]
    changes.close()  # type: ignore[attr-defined]
    assert [(change.kind, change.key, change.value) for change in seen] == [("put", b"w/a", b"1"), ("delete", b"w/a", b"")]


def test_watch_of_compacted_revisions_says_so(channel: Channel) -> None:
    from quorate.etcd.client.errors import Compacted

    for value in (b"1", b"2", b"3"):
        last = kv.put(channel, b"k", value, timeout=SOON).revision
    kv.compact(channel, last, timeout=SOON)
    with pytest.raises(Compacted):
        next(watch.watch(channel, b"k", timeout=SOON, start_revision=1))


def test_alarms_are_asked_for_only_where_a_status_names_one(
    channel: Channel, single: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The question is a raft proposal, which each member writes to its disk; a look a second would be one a second."""
    asked: list[str] = []
    alarms = maintenance.alarms

    def counted(where: Channel, *, timeout: float) -> tuple[Alarm, ...]:
        asked.append(str(where.endpoint))
        return alarms(where, timeout=timeout)

    monkeypatch.setattr(maintenance, "alarms", counted)
    with single.access() as access:
        target = Cluster(access, single.seeds())
        view = target.status()
        assert (view.alarms, view.alarms_known, asked) == ((), True, [])
        kinds: tuple[tuple[wire.AlarmType, AlarmKind], ...] = ((wire.NOSPACE, "NOSPACE"), (wire.CORRUPT, "CORRUPT"))
        for kind, name in kinds:
            request = wire.AlarmRequest(action=wire.AlarmRequest.ACTIVATE, memberID=view.members[0].id, alarm=kind)
            channel.call(rpc.ALARM, request, SOON)
            assert Alarm(view.members[0].id, name) in target.status().alarms
        assert len(asked) == 2


def test_status_alarms_hash_and_defragmentation(channel: Channel, single: Home) -> None:
    status = maintenance.status(channel, timeout=SOON)
    assert Version.parse(status.version) == version_of(single)
    assert status.leader == status.member_id and not status.is_learner
    assert status.raft_index >= status.applied_index > 0
    assert (status.db_quota is None) is (version_of(single) < Version(3, 6, 0))
    assert maintenance.alarms(channel, timeout=SOON) == ()
    before = maintenance.hash_kv(channel, timeout=SOON)
    maintenance.defragment(channel, timeout=SOON)
    assert maintenance.hash_kv(channel, timeout=SOON) == before


def test_a_snapshot_is_whole_and_restorable(channel: Channel, tmp_path: Path) -> None:
    for number in range(50):
        kv.put(channel, f"k{number}".encode(), b"v" * 1000, timeout=SOON)
    seen: list[tuple[int, int]] = []
    path = tmp_path / "snapshot.db"
    with path.open("wb") as file:
        got = maintenance.receive_snapshot(channel, file.fileno(), timeout=30, progress=lambda *step: seen.append(step))
    content = path.read_bytes()
    assert len(content) == got.size and hashlib.sha256(content[:-32]).digest() == content[-32:]
    assert hashlib.sha256(content).hexdigest() == got.sha256
    assert seen[-1] == (got.size, 0)
    restored = subprocess.run(
        [engine("etcdutl"), "snapshot", "status", str(path), "-w", "json"], capture_output=True, text=True, check=True
    )
    assert json.loads(restored.stdout)["totalKey"] >= 50


def test_a_learner_and_what_it_refuses(channel: Channel, single: Home) -> None:
    """A phantom: registered and never started. Its refusals are the leader's; a running learner's own come from a join."""
    urls = ["https://127.0.0.1:1"]
    phantom = member_rpc.add_learner(channel, urls, timeout=SOON).member_id
    listed = {member.id: member for member in local_list(channel, timeout=SOON).members}
    assert listed[phantom].is_learner and not listed[phantom].started
    with pytest.raises(MemberExists):
        member_rpc.add_learner(channel, urls, timeout=SOON)
    with pytest.raises(LearnerNotReady):
        member_rpc.promote(channel, phantom, timeout=SOON)
    with pytest.raises(NotALearner):
        member_rpc.promote(channel, maintenance.status(channel, timeout=SOON).member_id, timeout=SOON)
    with pytest.raises(NotLeader):
        maintenance.move_leader(channel, phantom, timeout=SOON)
    if single.load().max_learners == 1:
        with pytest.raises(TooManyLearners):
            member_rpc.add_learner(channel, ["https://127.0.0.1:2"], timeout=SOON)
    member_rpc.remove(channel, phantom, timeout=SOON)
    with pytest.raises(MemberNotFound):
        member_rpc.remove(channel, phantom, timeout=SOON)


class TooLate:
    """A handover that may not begin any more, or that is only watched."""

    def __init__(self, *, begins: bool) -> None:
        self.begins, self.seen = begins, list[str]()

    def __enter__(self) -> None:
        self.seen.append("entered")
        if not self.begins:
            raise NotConfirmed("20 s passed since the last look")

    def __exit__(self, *_: object) -> None:
        self.seen.append("left")


def test_a_change_that_may_not_begin_any_more_is_not_sent(channel: Channel) -> None:
    late, watched = TooLate(begins=False), TooLate(begins=True)
    before = local_list(channel, timeout=SOON).members
    with pytest.raises(NotConfirmed):
        member_rpc.add_learner(channel, ["https://127.0.0.1:1"], timeout=SOON, handover=late)
    assert local_list(channel, timeout=SOON).members == before
    added = member_rpc.add_learner(channel, ["https://127.0.0.1:1"], timeout=SOON, handover=watched).member_id
    member_rpc.remove(channel, added, timeout=SOON)
    assert (late.seen, watched.seen) == (["entered"], ["entered", "left"])


def test_a_running_learner_refuses_the_member_list(single: Home) -> None:
    """Caught while it joins: its own channel answers Status and refuses the rest."""
    refusals: list[type] = []

    def look(message: object) -> None:
        if getattr(message, "phase", "") == "promote":
            with Channel(single.load().member("m2").client, certificates.client_tls(single.layout)) as own:
                assert maintenance.status(own, timeout=SOON).is_learner
                with pytest.raises(RpcOnLearner) as refused:
                    local_list(own, timeout=1.0)
                refusals.append(refused.type)

    single.report = look
    cluster.join(single, "m2")
    assert refusals == [RpcOnLearner]


def test_login_renewal_and_permissions(single: Home) -> None:
    target, tls = single.seeds()[0], certificates.client_tls(single.layout)
    secret = Secret("s3cret-pass")
    with Channel(target, tls) as plain:
        auth.add_user(plain, "root", secret, timeout=SOON)
        auth.add_role(plain, "root", timeout=SOON)
        auth.grant_role(plain, "root", "root", timeout=SOON)
        auth.add_user(plain, "reader", secret, timeout=SOON)
        auth.add_role(plain, "r", timeout=SOON)
        auth.allow_read(plain, "r", b"pub/", b"pub0", timeout=SOON)
        auth.grant_role(plain, "reader", "r", timeout=SOON)
        auth.enable(plain, timeout=SOON)
    with Channel(target, tls, Login("root", secret)) as root:
        kv.put(root, b"pub/a", b"1", timeout=SOON)
        # A change of roles makes every token of before stale; the channel logs in again by itself.
        root._token = "stale.1"
        assert kv.get(root, b"pub/a", timeout=SOON) is not None
        with Channel(target, tls, Login("reader", secret)) as reader:
            assert kv.get(reader, b"pub/a", timeout=SOON) is not None
            with pytest.raises(PermissionDenied):
                kv.put(reader, b"pub/a", b"2", timeout=SOON)
        with Channel(target, tls, Login("root", Secret("wrong"))) as wrong, pytest.raises(LoginFailed) as failed:
            kv.put(wrong, b"x", b"", timeout=SOON)
        assert "wrong" not in str(failed.value) and "s3cret" not in repr(secret)
        if version_of(single) >= Version(3, 5, 0):
            assert auth.is_enabled(root, timeout=SOON)
        auth.disable(root, timeout=SOON)


def test_a_change_is_not_sent_again_after_a_login(single: Home) -> None:
    """A learner that died during the login was promoted: nothing may lie between the last look and the change."""
    target, tls, secret = single.seeds()[0], certificates.client_tls(single.layout), Secret("s3cret-pass")
    with Channel(target, tls, Login("root", secret)) as root:
        auth.add_user(root, "root", secret, timeout=SOON)
        auth.add_role(root, "root", timeout=SOON)
        auth.grant_role(root, "root", "root", timeout=SOON)
        auth.enable(root, timeout=SOON)
        request = wire.MemberAddRequest(peerURLs=["https://127.0.0.1:1"], isLearner=True)
        root.log_in_first(SOON)
        root._token = "stale.1"
        with pytest.raises(TokenExpired):
            root.call_once(rpc.MEMBER_ADD, request, SOON)
        assert len(local_list(root, timeout=SOON).members) == 1
        root.log_in_first(SOON)
        root.call_once(rpc.MEMBER_ADD, request, SOON)
        assert len(local_list(root, timeout=SOON).members) == 2
        auth.disable(root, timeout=SOON)


def test_a_user_is_no_error_where_authentication_is_off(single: Home) -> None:
    """Scripts name the user before authentication is switched on, as with etcdctl; it may be switched on between two calls."""
    target, tls, secret = single.seeds()[0], certificates.client_tls(single.layout), Secret("s3cret-pass")
    with Channel(target, tls, Login("root", secret)) as root:
        kv.put(root, b"a", b"1", timeout=SOON)
        auth.add_user(root, "root", secret, timeout=SOON)
        auth.add_role(root, "root", timeout=SOON)
        auth.grant_role(root, "root", "root", timeout=SOON)
        auth.enable(root, timeout=SOON)
        assert kv.get(root, b"a", timeout=SOON) is not None
        auth.disable(root, timeout=SOON)


def test_member_list_with_a_login_on_the_command_line(single: Home, cli: RunCli, tmp_path: Path) -> None:
    secret = Secret("s3cret-pass")
    pki, target = single.layout.pki, single.seeds()[0]
    with Channel(target, certificates.client_tls(single.layout)) as plain:
        for name in ("root",):
            auth.add_user(plain, name, secret, timeout=SOON)
            auth.add_role(plain, name, timeout=SOON)
            auth.grant_role(plain, name, name, timeout=SOON)
        auth.enable(plain, timeout=SOON)
    files = [f"--cacert={pki}/ca.crt", f"--cert={pki}/healthcheck-client.crt", f"--key={pki}/healthcheck-client.key"]
    ask = ["etcd", "member", "list", f"--endpoints={target}", *files]
    assert cli(*ask, "--user=root", ETCDCTL_PASSWORD="s3cret-pass").returncode == 0
    assert cli(*ask, ETCDCTL_USER="root:s3cret-pass").returncode == 0
    (tmp_path / "password").write_text("s3cret-pass\n")
    assert cli(*ask, "--user=root", f"--password-file={tmp_path}/password").returncode == 0
    for unsafe in (["--user=root:s3cret-pass"], ["--user=root", "--password=s3cret-pass"]):
        refused = cli(*ask, *unsafe)
        assert refused.returncode == 3 and "command line" in refused.stderr and "s3cret" not in refused.stderr
    unknown = cli(*ask, "--user=root")
    assert unknown.returncode == 3 and "ETCDCTL_PASSWORD" in unknown.stderr


def test_no_answer_is_told_from_no_connection(single: Home, channel: Channel) -> None:
    kv.put(channel, b"a", b"", timeout=SOON)
    cluster.pause(single, "m1")
    with pytest.raises(NoAnswer) as silent:
        kv.get(channel, b"a", timeout=0.3)
    assert silent.value.disposition == "retryable"
    with pytest.raises(AnswerLost) as lost:
        kv.put(channel, b"a", b"", timeout=0.3)
    assert lost.value.disposition == "ambiguous"
    cluster.resume(single, "m1")
    cluster.kill(single, "m1")
    with Channel(single.seeds()[0], certificates.client_tls(single.layout)) as fresh, pytest.raises(Unreachable) as refused:
        kv.put(fresh, b"a", b"", timeout=SOON)
    assert refused.value.disposition == "retryable" and "connection refused" in str(refused.value)


class LosingProxy(threading.Thread):
    """Passes bytes to `target`, and once told to, passes requests and drops every answer: a lost reply after the apply."""

    def __init__(self, target: int) -> None:
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.target, self.losing = target, threading.Event()
        self.start()

    def run(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.target))
            threading.Thread(target=self.pump, args=(client, server, None), daemon=True).start()
            threading.Thread(target=self.pump, args=(server, client, self.losing), daemon=True).start()

    def pump(self, source: socket.socket, sink: socket.socket, losing: threading.Event | None) -> None:
        try:
            while data := source.recv(65536):
                if losing is None or not losing.is_set():
                    sink.sendall(data)
        except OSError:
            pass
        finally:
            source.close()
            sink.close()


def test_an_answer_lost_after_the_change_is_unknown_and_only_looking_tells(single: Home, channel: Channel) -> None:
    proxy = LosingProxy(single.seeds()[0].port)
    with Channel(Endpoint("127.0.0.1", proxy.port, "on"), certificates.client_tls(single.layout)) as lossy:
        local_list(lossy, timeout=SOON)
        proxy.losing.set()
        with pytest.raises(AnswerLost):
            member_rpc.add_learner(lossy, ["https://127.0.0.1:1"], timeout=0.5)
    proxy.listener.close()
    assert [member.peer_urls for member in local_list(channel, timeout=SOON).members if member.is_learner] == [
        ("https://127.0.0.1:1",)
    ]


def test_a_silent_member_costs_one_wait_whatever_their_number(make_home: MakeHome, etcd36: str) -> None:
    from quorate.etcd.observation.look import LookTimeouts, observe

    home = make_home()
    cluster.up(home, 3, etcd36)
    leader = cluster.up(home, 3).view.leader
    followers = [name for name in ("m1", "m2", "m3") if leader is not None and name != leader.name]
    cluster.pause(home, followers[0])
    with home.access() as access:
        began = time.monotonic()
        view = observe(access, home.seeds(), home.clock, patience=LookTimeouts(30.0, 0.5))
        spent = time.monotonic() - began
        assert spent < 30, "it waited for the silent member as long as for the others"
    assert view.reachable_voters == 2 and view.linearizable
    cluster.resume(home, followers[0])


def test_without_quorum_the_list_is_local_and_says_so(home: Home, etcd36: str) -> None:
    cluster.up(home, 3, etcd36)
    for name in ("m2", "m3"):
        cluster.pause(home, name)
    from quorate.etcd.observation.look import LookTimeouts, observe

    with Access(certificates.client_tls(home.layout)) as access:
        view = observe(access, home.seeds()[:1], home.clock, patience=LookTimeouts(0.5, 0.5))
    assert not view.linearizable and len(view.members) == 3
    for name in ("m2", "m3"):
        cluster.resume(home, name)


@pytest.mark.parametrize("form", ["simple", "table", "json", "fields", "protobuf"])
@pytest.mark.parametrize("as_hex", [[], ["--hex"]])
def test_member_list_is_etcdctls_byte_for_byte(home: Home, etcd36: str, etcdctl: str, form: str, as_hex: list[str]) -> None:
    """One started voter and one learner that never started, with two peer URLs: every branch of the formats."""
    cluster.up(home, 1, etcd36)
    pki, target = home.layout.pki, home.seeds()[0]
    with home.access() as access:
        member_rpc.add_learner(access.channel(target), ["https://127.0.0.1:1", "https://127.0.0.1:2"], timeout=SOON)
    flags = [f"--endpoints={target}", f"--cacert={pki}/ca.crt", f"--cert={pki}/healthcheck-client.crt"]
    flags += [f"--key={pki}/healthcheck-client.key", "-w", form, *as_hex]
    theirs = subprocess.run([etcdctl, "member", "list", *flags], capture_output=True, check=True)
    ours = subprocess.run(
        [sys.executable, "-m", "quorate", "etcd", "member", "list", *flags],
        capture_output=True,
        check=True,
        env={**os.environ, "ETCDCTL_API": "3"},
    )
    assert ours.stdout == theirs.stdout


def test_member_list_takes_flags_on_the_group_and_variables(home: Home, etcd36: str, cli: RunCli) -> None:
    cluster.up(home, 1, etcd36)
    pki, target = home.layout.pki, str(home.seeds()[0])
    names = ("CACERT", "CERT", "KEY")
    files = dict(zip(names, (f"{pki}/ca.crt", f"{pki}/healthcheck-client.crt", f"{pki}/healthcheck-client.key"), strict=True))
    variables = {f"ETCDCTL_{name}": value for name, value in files.items()}
    by_variable = cli("etcd", "member", "list", ETCDCTL_ENDPOINTS=f"https://{target}", ETCDCTL_API="3", **variables)
    flags = [f"--{name.lower()}={value}" for name, value in files.items()]
    on_group = cli("etcd", f"--endpoints={target}", *flags, "member", "list")
    assert by_variable.stdout == on_group.stdout != ""
    old = cli("etcd", "member", "list", ETCDCTL_API="2", **variables)
    assert old.returncode == 3 and "ETCDCTL_API" in old.stderr
    written = cli("etcd", "member", "list", f"--endpoints={target}", *flags, ETCDCTL_WRITE_OUT="json")
    assert json.loads(written.stdout)["members"][0]["name"] == "m1"


def test_a_peer_port_is_named_as_one(single: Home, cli: RunCli) -> None:
    """It was "no answer in time: it may have no leader; next: run 'quorate etcd status'", which the user had just run."""
    peer = single.load().members[0].peer_url
    files = [flag for flag in flags_of(single) if not flag.startswith("--endpoints")]
    done = cli("etcd", "status", *files, "--endpoints", peer, "--command-timeout=2s")
    assert done.returncode == 1 and "is the peer port of an etcd member" in done.stderr
    assert "give the client URL of a member" in done.stderr and "quorate etcd status" not in done.stderr
