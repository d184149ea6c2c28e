"""TAB among the members of a real cluster."""

from __future__ import annotations

import json

import pytest
from conftest import RunCli
from tabs import SHELLS, ask

from quorate.local import cluster
from quorate.local.home import Home

pytestmark = pytest.mark.real


def test_members_over_tls(home: Home, cli: RunCli) -> None:
    cluster.up(home, 1)
    root = str(home.layout.root)
    shown = [line.removeprefix("export ").partition("=") for line in cli("local", "env", "--dir", root).stdout.splitlines()]
    known = {name: value.strip("'") for name, _, value in shown}
    for shell in SHELLS:
        assert ask("quorate etcd remove ", shell, **known).words == ["m1"]
        assert ask(f"quorate local kill --dir {root} ", shell).words == ["m1"]
    flags = f"--endpoints {known['ETCDCTL_ENDPOINTS']} --cacert {known['ETCDCTL_CACERT']}"
    flags += f" --cert {known['ETCDCTL_CERT']} --key={known['ETCDCTL_KEY']}"
    listed = json.loads(cli("etcd", "members", "-o", "json", **known).stdout)["members"]
    assert ask(f"quorate etcd member remove {flags} ").words == [one["id"] for one in listed]
    assert ask(f"quorate etcd remove {flags.replace('--key', '--nokey')} ").rows == []
    cluster.kill(home, "m1")
    assert ask("quorate etcd remove ", **known).rows == []
