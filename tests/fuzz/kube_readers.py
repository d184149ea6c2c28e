"""Readers of what administrators, API servers and whoever serves cluster-info wrote."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any, cast

from fuzz.mutate import parts
from fuzz.places import in_tree
from quorate.errors import ConfigError, QuorateError
from quorate.foreign.http import Answer

_NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def config(content: bytes) -> None:
    """As `config validate` and `config migrate` do it."""
    from quorate.config.defaults import Facts
    from quorate.config.load import loads
    from quorate.config.printing import migrated
    from quorate.config.resolve import resolve_any

    facts = Facts("cp1", "192.0.2.1", "unix:///run/containerd/containerd.sock", "v1.34.4", "abcdef.0123456789abcdef")
    loaded = loads(content, "some.yaml")
    resolve_any(loaded, facts)
    migrated(loaded, facts)


def kubeconfig(content: bytes) -> None:
    """Read, turned into a server to be asked, and written back with other credentials."""
    from quorate.phases.base import api_access
    from quorate.phases.base.this_node import HERE
    from quorate.pki import kubeconfig as files
    from quorate.secret import Secret

    parsed = files.parse(content, "some.conf")
    files.with_identity(parsed, files.Identity(parsed.user, token=Secret("abc")))
    api_access.server_of(api_access.read(in_tree(content, "/some.conf"), "/some.conf", HERE))


def cluster_info(content: bytes) -> None:
    """The ConfigMap as a server that is not trusted yet answers it; signed or not, it is read."""
    from quorate.kube.client import _parse
    from quorate.kube.tokens import Token, is_signed
    from quorate.phases.join import discovery
    from quorate.pki.sealing import pins_of

    token = Token.parse("abcdef.0123456789abcdef")
    data = discovery._texts(_parse(Answer(200, {}, content), "GET cluster-info").get("data"))
    said = data.get("kubeconfig", "")
    is_signed(said, data.get(f"jws-kubeconfig-{token.id}", ""), token)
    cluster = discovery._only_cluster(said)
    pins_of(cluster.ca_pem)
    discovery.Found(cluster.server, cluster.ca_pem, cluster.token).server()


def api_answer(content: bytes) -> None:
    """Parts: the HTTP status, the date, the body."""
    from quorate.kube.client import _parse, _skew

    status, date, body = parts(content, 3)
    code = int(status) if status.isdigit() and len(status) == 3 else 500
    answer = Answer(code, {"date": date.decode("latin-1")}, body)
    _skew(answer)
    _parse(answer, "GET something")


class _Api:
    """An API server whose only answer is a text."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def get(self, *_: object) -> dict[str, Any]:
        from quorate.kube.client import _parse

        return _parse(Answer(200, {}, self._body), "GET something")


def cluster_config(content: bytes) -> None:
    """The ConfigMaps of kubeadm, as a join reads them."""
    from msgspec.structs import replace

    from quorate.config import types as v4
    from quorate.config.defaults import Facts
    from quorate.config.resolve import resolve_init
    from quorate.foreign.documents import read_mapping
    from quorate.kube.client import KubeClient
    from quorate.phases.cluster.stored_config import certificate_terms, cluster_configuration, cluster_text, stored_text
    from quorate.report import silent

    api = cast("KubeClient", _Api(content))
    facts = Facts("cp1", "192.0.2.1", "unix:///run/containerd/containerd.sock", "v1.34.4", "abcdef.0123456789abcdef")
    with suppress(QuorateError):
        # `certs` takes what it needs from one that breaks rules.
        certificate_terms(cluster_text(api))
    loaded = cluster_configuration(api, silent)
    resolve_init(replace(loaded, init=v4.InitConfiguration()), facts)
    read_mapping(stored_text(api, "kubelet-config", "kubelet").encode(), "kubelet of the ConfigMap")


def token_secret(content: bytes) -> None:
    """A secret of a token, as `token list` reads and shows it."""
    from quorate.cli.kubeadm import token as shown
    from quorate.foreign.text import visible
    from quorate.kube import tokens
    from quorate.phases.cluster.tokens import time_left

    found = tokens.from_secret(_Api(content).get())
    if found is not None:
        row = shown._row(found, time_left(found, _NOW))
        assert all(visible(cell).isprintable() for cell in row)
        json.dumps(shown._as_data(found))


def manifest(content: bytes) -> None:
    """A static pod that lies on the node: of etcd for a reset, of anything for the wait."""
    from quorate.foreign.http import site_of
    from quorate.phases.node.etcd_manifest import parse
    from quorate.phases.start import wait_healthy

    etcd = parse(content, "etcd.yaml")
    assert (
        etcd.peer_urls
        and etcd.client_urls
        and all(isinstance(text, str) for text in (etcd.name, *etcd.peer_urls, etcd.data_dir))
    )
    site_of(wait_healthy._url("etcd", content), None)


@cache
def _pod() -> dict[str, Any]:
    container: dict[str, Any] = {
        "name": "etcd",
        "command": ["etcd", "--name=cp1"],
        "env": [{"name": "A", "value": "b"}],
        "ports": [{"containerPort": 2381, "name": "probe-port"}],
        "volumeMounts": [{"mountPath": "/var/lib/etcd", "name": "etcd-data"}],
        "livenessProbe": {"httpGet": {"host": "127.0.0.1", "path": "/livez", "port": "probe-port"}},
    }
    volumes = [{"name": "etcd-data", "hostPath": {"path": "/var/lib/etcd", "type": "DirectoryOrCreate"}}]
    spec = {"containers": [container], "volumes": volumes, "hostNetwork": True}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "etcd", "finalizers": ["a"]}, "spec": spec}


def patches(content: bytes) -> None:
    """Parts: the file's name, its content."""
    from quorate.config.render import to_yaml
    from quorate.manifests.patches import TARGETS, read_patches

    name, body = parts(content, 2)
    found = read_patches([(name.decode(errors="replace"), lambda: body)])
    for target in TARGETS:
        to_yaml(found.apply(target, _pod()))


def discovery_file(content: bytes) -> None:
    """A kubeconfig that a join is to trust; below it what the cluster's lists of nodes look like to it."""
    from quorate.deadline import SystemClock
    from quorate.phases.join import discovery
    from quorate.secret import Secret

    search = discovery.Search(0.0, SystemClock(), lambda _line: None)
    discovery._by_file("/d.conf", Secret(""), in_tree(content, "/d.conf"), search).server()


def duration(content: bytes) -> None:
    from quorate.config.duration import Duration

    try:
        made = Duration.parse(content.decode(errors="replace"))
    except ValueError as error:
        # Its contract; whoever reads a configuration makes it a problem with a line.
        raise ConfigError(str(error)) from None
    assert Duration.parse(str(made)) == made, "what it prints is not what it read"
    assert abs(made.seconds) < 10**10


def urls(content: bytes) -> None:
    """Ids, names, endpoints and URLs: of members, of flags, of discovery."""
    from quorate.core import ids
    from quorate.core.new_member import check_new_name, check_new_path
    from quorate.etcd.client.endpoint import Endpoint, parse_endpoints
    from quorate.foreign.http import site_of, split_url
    from quorate.foreign.urls import login_of, parts_of, socket_path, socket_url, without_login

    text = content.decode(errors="replace")
    for read in (ids.address_of, ids.is_loopback, ids.canonical_url, ids.host_and_port, ids.normalised):
        read(text)
    parts = parts_of(f"https://{text}")
    assert login_of(parts) in (b"", *(login_of(parts),)) and parts.target.isascii()
    assert "@" not in without_login(f"https://joe:geheim@{text}").partition("@")[0]
    path = socket_path(f"unix:///{text}")
    assert not path or socket_path(socket_url(path)) == path
    assert ids.same_url(text, text)
    texts = (ids.parse_id, ids.normalise_url, Endpoint.parse, split_url, check_new_name)
    calls: list[Callable[[], object]] = [partial(read, text) for read in texts]
    calls += [lambda: parse_endpoints([text]), lambda: site_of(text, None), lambda: check_new_path(text, "a path")]
    for call in calls:
        with suppress(QuorateError):
            call()
