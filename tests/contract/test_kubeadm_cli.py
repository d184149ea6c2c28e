"""kubeadm's commands as a user runs them: exit codes, dry runs, what is printed, what never is."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from conftest import RunCli
from kubeadm_cases import MINIMAL

from quorate.cli.common.go_flags import OFF_UNLESS_GIVEN, plain_flags
from quorate.cli.kubeadm.flags import SWITCHES
from quorate.host import facts

SEED = """
apiVersion: kubeadm.k8s.io/v1beta3
kind: InitConfiguration
localAPIEndpoint: {advertiseAddress: 10.77.0.11}
nodeRegistration: {name: cp1}
---
apiVersion: kubeadm.k8s.io/v1beta3
kind: ClusterConfiguration
kubernetesVersion: v1.29.6
featureGates: {EtcdLearnerMode: true, PublicKeysECDSA: true}
"""


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "c.yaml"
    path.write_text(MINIMAL)
    return str(path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "root"
    path.mkdir()
    return path


PHASES = (("certs", "all"), ("kubeconfig", "all"), ("etcd", "local"), ("control-plane", "all"))


@pytest.mark.parametrize("text", [MINIMAL, SEED], ids=["v1beta4", "seed"])
def test_the_file_writing_phases_one_after_another(text: str, cli: RunCli, tmp_path: Path, root: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    for phase in PHASES:
        done = cli("init", "phase", *phase, "--config", str(path), "--rootfs", str(root))
        assert done.returncode == 0, done.stderr
        assert f"[{phase[0]}] " in done.stdout
    assert {one.name for one in (root / "etc/kubernetes/manifests").iterdir()} == {
        "etcd.yaml",
        "kube-apiserver.yaml",
        "kube-controller-manager.yaml",
        "kube-scheduler.yaml",
    }


def test_a_dry_run_shows_differences_and_no_secret(cli: RunCli, config: str, root: Path) -> None:
    done = cli("init", "phase", "certs", "all", "--config", config, "--rootfs", str(root), "--dry-run")
    assert "[dryrun] would write /etc/kubernetes/pki/ca.key (mode 0600)\n    (holds a secret: not shown)" in done.stdout
    assert "PRIVATE KEY" not in done.stdout + done.stderr and list(root.iterdir()) == []
    assert "-----BEGIN CERTIFICATE-----" in done.stdout
    cli("init", "phase", "etcd", "local", "--config", config, "--rootfs", str(root))
    changed = Path(config).read_text().replace("v1.34.4", "v1.34.4\netcd: {local: {imageTag: 3.6.9-0}}")
    Path(config).write_text(changed)
    shown = cli("init", "phase", "etcd", "local", "--config", config, "--rootfs", str(root), "--dry-run").stdout
    assert "-    image: registry.k8s.io/etcd:3.6.5-0" in shown and "+    image: registry.k8s.io/etcd:3.6.9-0" in shown
    printed = cli("init", "phase", "certs", "all", "--config", config, "--rootfs", str(root), "--dry-run", "-o", "json").stdout
    *events, data = map(json.loads, printed.splitlines())
    assert {one["event"] for one in events} <= {"line", "note", "phase"} and data["event"] == "result"
    assert data["dryRun"] and all(row["content"] is None for row in data["files"] if row["path"].endswith(".key"))


def test_v_names_every_file_that_is_written(cli: RunCli, config: str, root: Path) -> None:
    at = ("--config", config, "--rootfs", str(root))
    quiet = cli("init", "phase", "certs", "ca", *at)
    assert "wrote" not in quiet.stdout + quiet.stderr
    told = cli("init", "phase", "certs", "front-proxy-ca", *at, "-v", "1").stderr
    wanted = [f"/etc/kubernetes/pki/front-proxy-ca.{end}" for end in ("key", "crt")]
    assert re.findall(r"^\S+ info    quorate\.tree wrote (.*)$", told, re.MULTILINE) == wanted


def test_flags_alone_are_a_configuration(cli: RunCli, root: Path) -> None:
    flags = ["--apiserver-advertise-address", "10.1.1.1", "--kubernetes-version=v1.34.4", "--service-cidr", "10.9.0.0/16"]
    done = cli("init", "phase", "control-plane", "apiserver", *flags, "--rootfs", str(root))
    assert done.returncode == 0, done.stderr
    manifest = (root / "etc/kubernetes/manifests/kube-apiserver.yaml").read_text()
    assert "--service-cluster-ip-range=10.9.0.0/16" in manifest and "--advertise-address=10.1.1.1" in manifest
    both = cli("init", "phase", "certs", "ca", "--cert-dir", "/x", "--config", "c.yaml")
    assert both.returncode == 3 and "--config cannot be mixed with --cert-dir" in both.stderr
    wrong = cli("init", "phase", "control-plane", "all", "--feature-gates", "EtcdLearnerMode=maybe")
    assert wrong.returncode == 3 and "NAME=true" in wrong.stderr


def test_switches_in_gos_spelling(cli: RunCli, config: str, root: Path) -> None:
    for spelling, written in (("--dry-run=true", False), ("--dry-run=false", True)):
        done = cli("init", "phase", "certs", "ca", "--config", config, "--rootfs", str(root), spelling)
        assert done.returncode == 0, done.stderr
        assert (root / "etc/kubernetes/pki/ca.crt").exists() == written


def test_where_token_finds_its_kubeconfig(tmp_path: Path) -> None:
    """--kubeconfig, KUBECONFIG, that of kubectl, admin.conf; relative paths from the working directory."""
    no_cluster = "kind: Config\nclusters: []\n"
    for name in ("flag", "variable", "home/.kube/config"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(no_cluster)

    def error(*flags: str, **environment: str) -> str:
        command = [sys.executable, "-m", "quorate", "token", "list", *flags]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **environment},
            timeout=100,
        )
        assert done.returncode != 0
        return done.stderr

    home = str(tmp_path / "home")
    assert f"error: {tmp_path}/flag: its current context" in error("--kubeconfig", "flag", KUBECONFIG="variable", HOME=home)
    said = error(KUBECONFIG="./variable", HOME=home)
    assert said.startswith(f"using the kubeconfig {tmp_path}/variable\nerror: {tmp_path}/variable: its current context")
    assert f"error: {home}/.kube/config: its current context" in error(HOME=home)
    assert "KUBECONFIG lists 2 files, and quorate merges none" in error(KUBECONFIG="flag:variable")
    os.chown(f"{home}/.kube/config", 4321, -1)
    assert "/etc/kubernetes/admin.conf is missing" in error(HOME=home)
    os.chown(f"{home}/.kube/config", 0, -1)
    os.chown(home, 4321, -1)
    assert "/etc/kubernetes/admin.conf is missing" in error(HOME=home), "its owner could replace what is in it"
    assert "init phase" not in error(HOME=home), "where no CA is, the advised phase would ask for a new one"


@pytest.mark.parametrize("way", [("--config",), ()], ids=["flag", "argument"])
def test_a_configuration_on_standard_input(way: tuple[str, ...]) -> None:
    """It is named in messages; what is too large is refused, as a file is."""

    def validated(text: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "quorate", "config", "validate", *way, "-"]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=100)
        return done.returncode, done.stdout + done.stderr

    good = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nkubernetesVersion: v1.34.4\n"
    assert validated(good) == (0, "ok\n")
    code, said = validated(good + "clusterNam: x\n")
    assert (code, said.splitlines()[0]) == (
        3,
        "error: standard input:4: clusterNam: there is no such field; did you mean clusterName?",
    )
    assert "standard input has more than" in validated("#" * (1 << 20 | 1))[1]


def test_a_file_is_checked_by_its_name_alone(cli: RunCli, config: str) -> None:
    done = cli("config", "validate", config)
    assert (done.returncode, done.stdout) == (0, "ok\n")
    twice, neither = cli("config", "validate", config, "--config", config), cli("config", "validate")
    assert (twice.returncode, neither.returncode) == (3, 3)
    assert "given twice" in twice.stderr and "- reads standard input" in neither.stderr


@pytest.mark.parametrize("words", ["config validate -", "config migrate --old-config -", "etcd plan --want -"])
@pytest.mark.parametrize(
    ("given", "said", "advice"),
    [
        (b"", "standard input is empty", "whether the command that wrote it failed"),
        (b"# nothing\n---\n", "standard input is empty", "whether the command that wrote it failed"),
        (b"a: b\nc: \xff\n", "standard input, line 2: this is not text in UTF-8", "next: save it as UTF-8"),
    ],
)
def test_input_that_is_no_text_or_none_is_told_with_what_to_do(words: str, given: bytes, said: str, advice: str) -> None:
    command = [sys.executable, "-m", "quorate", *words.split()]
    done = subprocess.run(command, input=given, capture_output=True, check=False, timeout=100)
    assert done.returncode == 3
    assert said in done.stderr.decode() and advice in done.stderr.decode()


def test_a_file_to_migrate_on_standard_input() -> None:
    command = [sys.executable, "-m", "quorate", "config", "migrate", "--old-config", "-"]
    done = subprocess.run(command, input=SEED, capture_output=True, text=True, check=True, timeout=100)
    assert [one["kind"] for one in yaml.safe_load_all(done.stdout)] == ["InitConfiguration", "ClusterConfiguration"]


def test_validate_says_everything_with_exit_3(cli: RunCli, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(MINIMAL.replace("cp1", "Bad_Name") + "networking: {serviceSubnet: x}\nnonsense: 1\n")
    done = cli("config", "validate", "--config", str(path))
    assert done.returncode == 3 and f"{path}:12: nonsense: there is no such field" in done.stderr
    error = json.loads(cli("config", "validate", "--config", str(path), "-o", "json").stderr.splitlines()[-1])["error"]
    assert {row["path"]: row["line"] for row in error["problems"]} == {
        "nonsense": 12,
        "nodeRegistration.name": 5,
        "networking.serviceSubnet": 11,
    }
    assert cli("config", "validate", "--config", str(tmp_path / "none.yaml")).returncode == 3


def test_migrate_writes_what_it_prints_for_its_owner_only(cli: RunCli, tmp_path: Path) -> None:
    path, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    path.write_text(SEED)
    done = cli("config", "migrate", "--old-config", str(path), "--new-config", str(new))
    assert done.returncode == 0, done.stderr
    assert new.stat().st_mode & 0o777 == 0o600
    documents = list(yaml.safe_load_all(new.read_text()))
    assert [one["kind"] for one in documents] == ["InitConfiguration", "ClusterConfiguration"]
    assert documents[1]["encryptionAlgorithm"] == "ECDSA-P256"
    assert cli("config", "validate", "--config", str(new)).returncode == 0


def test_tokens_and_keys_are_random(cli: RunCli) -> None:
    tokens = {cli("token", "generate").stdout.strip() for _ in range(2)}
    assert len(tokens) == 2 and all(re.fullmatch(r"[a-z0-9]{6}\.[a-z0-9]{16}", token) for token in tokens)
    assert re.fullmatch(r"[0-9a-f]{64}\n", cli("certs", "certificate-key").stdout)


def test_certs_commands(cli: RunCli, config: str, root: Path) -> None:
    at = ("--config", config, "--rootfs", str(root))
    cli("init", "phase", "certs", "all", *at)
    table = cli("certs", "check-expiration", *at).stdout
    assert "CERTIFICATE AUTHORITY" in table and "!MISSING! admin.conf" in table and "364d" in table
    data = json.loads(cli("certs", "check-expiration", *at, "-o", "json").stdout)
    rows = {row["name"]: row for row in data["certificates"]}
    assert rows["admin.conf"]["missing"] and rows["apiserver"]["caName"] == "ca"
    before = (root / "etc/kubernetes/pki/apiserver.crt").read_bytes()
    assert cli("certs", "renew", "apiserver", *at).returncode == 0
    assert (root / "etc/kubernetes/pki/apiserver.crt").read_bytes() != before
    missing = cli("certs", "renew", "admin.conf", *at)
    assert missing.returncode == 2 and "nothing to renew" in missing.stderr
    user = cli("kubeconfig", "user", *at, "--client-name", "alice", "--org", "a,b")
    assert yaml.safe_load(user.stdout)["current-context"] == "alice@kubernetes"
    assert cli("kubeconfig", "user", *at).returncode == 3


def test_a_users_kubeconfig_names_the_node_below_the_root(cli: RunCli, config: str, root: Path) -> None:
    """It named the address of the host on which it was made."""
    at = ("--config", config, "--rootfs", str(root))
    assert cli("init", "phase", "certs", "ca", *at).returncode == 0
    words = ("kubeconfig", "user", "--rootfs", str(root), "--client-name", "alice")
    assert "an address of this host" in cli(*words).stderr
    assert cli("init", "phase", "kubeconfig", "admin", *at).returncode == 0
    of_the_node = yaml.safe_load((root / "etc/kubernetes/admin.conf").read_text())["clusters"][0]["cluster"]["server"]
    made = cli(*words)
    assert yaml.safe_load(made.stdout)["clusters"][0]["cluster"]["server"] == of_the_node, made.stderr
    assert "an address of this host" not in made.stderr


def test_images_as_text_and_json(cli: RunCli, config: str) -> None:
    text = cli("config", "images", "list", "--config", config).stdout.splitlines()
    data = json.loads(cli("config", "images", "list", "--config", config, "-o", "json").stdout)
    assert data["images"] == text and len(text) == 7


@pytest.mark.parametrize(
    "arguments",
    [
        ("upgrade", "plan"),
        ("upgrade", "apply", "v1.35.0", "--yes"),
    ],
)
def test_what_is_not_there_yet_says_so(arguments: tuple[str, ...], cli: RunCli, config: str) -> None:
    done = cli(*(config if word == "CONFIG" else word for word in arguments))
    assert done.returncode == 4 and "yet" in done.stderr and "nothing was changed" in done.stderr


def test_join_reads_flags_before_and_behind_the_endpoint(cli: RunCli) -> None:
    token = "abcdef.0123456789abcdef"
    wrong = cli("join", "--token", token, "10.0.0.1:6443")
    assert wrong.returncode == 3 and "caCertHashes" in wrong.stderr and token not in wrong.stderr
    assert "discovery" in cli("join").stderr


def test_a_kill_in_the_middle_leaves_whole_files(config: str, root: Path) -> None:
    """At whatever moment: the same command again finishes, and every certificate has its key."""
    command = [sys.executable, "-m", "quorate", "init", "phase", "certs", "all", "--config", config, "--rootfs", str(root)]
    for delay in (0.1, 0.2, 0.25, 0.3, 0.35, 0.4):
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(delay)
        os.kill(running.pid, signal.SIGKILL)
        running.wait()
        for certificate in (root / "etc/kubernetes").rglob("*.crt"):
            assert certificate.with_suffix(".key").exists()
            assert certificate.read_text().endswith("-----END CERTIFICATE-----\n")
        for key in (root / "etc/kubernetes").rglob("*.key"):
            if key.name != "sa.key" and not key.with_suffix(".crt").exists():
                # A key without its certificate is refused, and named: it may be somebody's only copy.
                key.unlink()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_switch_may_be_spelled_out() -> None:
    """As Go's flags take it; the list that the start-up reads is the one of the flags."""
    assert sorted(OFF_UNLESS_GIVEN) == sorted(SWITCHES)
    for value in ("true", "false"):
        assert plain_flags([f"--{SWITCHES[0]}={value}"]) == ([f"--{SWITCHES[0]}"] if value == "true" else [])


NOBODY = """
apiVersion: kubeadm.k8s.io/v1beta4
kind: JoinConfiguration
discovery:
  bootstrapToken: {apiServerEndpoint: "127.0.0.1:1", token: abcdef.0123456789abcdef, unsafeSkipCAVerification: true}
"""


@pytest.mark.parametrize(
    ("path", "control_plane"),
    [
        ("control-plane-prepare download-certs", True),
        ("control-plane-join update-status", True),
        ("control-plane-prepare certs", False),
        ("etcd-join", False),
    ],
)
def test_a_phase_of_join_that_does_nothing_asks_nobody(
    cli: RunCli, tmp_path: Path, root: Path, path: str, control_plane: bool
) -> None:
    """It waited five minutes for an API server of which it needs nothing."""
    config = tmp_path / "join.yaml"
    config.write_text(NOBODY + ("controlPlane: {localAPIEndpoint: {advertiseAddress: 10.0.0.2}}\n" if control_plane else ""))
    done = cli("join", "phase", *path.split(), "--config", str(config), "--rootfs", str(root), "-o", "json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr
    assert [(one["phase"], one["failed"]) for one in events if one["event"] == "phase"] == [
        (path.rsplit(maxsplit=1)[-1], False)
    ]


@pytest.fixture
def two_runtimes(root: Path) -> Iterator[list[socket.socket]]:
    """Both listen, at names that are short enough for a socket."""
    sockets: list[socket.socket] = []
    with contextlib.chdir(root):
        for name in ("var/run/containerd/containerd.sock", "var/run/cri-dockerd.sock"):
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            one = socket.socket(socket.AF_UNIX)
            one.bind(name)
            one.listen()
            sockets.append(one)
    yield sockets
    for one in sockets:
        one.close()


@pytest.mark.parametrize(
    "words",
    [
        "config validate",
        "config print init-defaults",
        "init phase certs all",
        "init phase kubeconfig all",
        "init phase etcd local",
        "init phase control-plane all",
        "certs check-expiration",
        "kubeconfig user --client-name x",
    ],
)
def test_two_container_runtimes_are_no_reason_for_commands_that_ask_none(
    words: str, cli: RunCli, config: str, root: Path, two_runtimes: list[socket.socket]
) -> None:
    assert len(two_runtimes) == 2
    needed = ["certs", "ca"] if "kubeconfig" in words else []
    if needed:
        assert cli("init", "phase", "certs", "all", "--config", config, "--rootfs", str(root)).returncode == 0
    config_words = [] if words.startswith(("config print",)) else ["--config", config]
    root_words = ["--rootfs", str(root)] if not words.startswith("config") else []
    done = cli(*words.split(), *config_words, *root_words)
    assert done.returncode == 0, done.stderr


def test_a_socket_at_which_nobody_listens_is_no_runtime(
    two_runtimes: list[socket.socket], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A runtime that was removed leaves its file behind: with one live and one dead socket kubeadm goes on."""
    monkeypatch.setattr(facts, "_LONGEST_SOCKET", 10_000)
    monkeypatch.chdir(root)
    assert len(facts.cri_sockets(Path())) == 2
    two_runtimes[1].close()
    assert facts.cri_sockets(Path()) == ["/var/run/containerd/containerd.sock"]
