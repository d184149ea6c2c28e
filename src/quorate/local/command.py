"""The command line and environment of a member's etcd."""

from __future__ import annotations

import json
from collections.abc import Sequence

from quorate.core import versions
from quorate.core.versions import Version
from quorate.local.layout import MemberPaths
from quorate.local.state import LocalMember, State

_ROTATION = {"maxsize": 32, "maxage": 0, "maxbackups": 2, "localtime": False, "compress": False}
"""Megabytes and files: at most about 100 MB of log a member."""


def etcd_command(
    member: LocalMember, paths: MemberPaths, state: State, version: Version, initial_cluster: Sequence[tuple[str, str]]
) -> list[str]:
    """Every `--initial-…` flag is ignored once the data directory holds a log."""
    return [
        member.etcd,
        f"--name={paths.folder.name}",
        f"--data-dir={paths.data}",
        f"--listen-peer-urls={member.peer_url}",
        f"--initial-advertise-peer-urls={member.peer_url}",
        f"--listen-client-urls={member.client_url}",
        f"--advertise-client-urls={member.client_url}",
        f"--initial-cluster={','.join(f'{name}={url}' for name, url in initial_cluster)}",
        f"--initial-cluster-state={'new' if member.phase == 'first' else 'existing'}",
        f"--initial-cluster-token={state.token}",
        *_tls_flags(paths),
        *_log_flags(paths, version),
        *([f"--max-learners={state.max_learners}"] if versions.has_max_learners(version) else []),
    ]


def _tls_flags(paths: MemberPaths) -> list[str]:
    pki = paths.pki
    return [
        f"--cert-file={pki / 'server.crt'}",
        f"--key-file={pki / 'server.key'}",
        f"--trusted-ca-file={pki / 'ca.crt'}",
        "--client-cert-auth=true",
        f"--peer-cert-file={pki / 'peer.crt'}",
        f"--peer-key-file={pki / 'peer.key'}",
        f"--peer-trusted-ca-file={pki / 'ca.crt'}",
        "--peer-client-cert-auth=true",
    ]


def _log_flags(paths: MemberPaths, version: Version) -> list[str]:
    flags = ["--logger=zap", f"--log-outputs={paths.log}"]
    if versions.logs_with_rotation(version):
        flags += ["--enable-log-rotation=true", f"--log-rotation-config-json={json.dumps(_ROTATION)}"]
    return flags
