"""URLs are read as Go's net/url reads them, and what is checked is what is written and used."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kubeadm_cases import FACTS

from quorate.config import rules
from quorate.config.defaults import socket_url as default_socket
from quorate.config.load import loads
from quorate.config.problems import InvalidConfig
from quorate.config.resolve import resolve_init, resolve_join
from quorate.core.ids import normalise_url
from quorate.errors import ConfigError, QuorateError
from quorate.etcd.client.endpoint import Endpoint
from quorate.foreign import http
from quorate.foreign.urls import BadUrl, UrlParts, login_of, parts_of, socket_path, socket_url, split, without_login
from quorate.host.cri import Runtime
from quorate.preflight import external_etcd

READ = {
    "HTTPS://A.b:2379": UrlParts("https", "a.b", 2379),
    "https://a:": UrlParts("https", "a"),
    "https://a:002379": UrlParts("https", "a", 2379),
    "https://[::1]:1/x?y=%zz": UrlParts("https", "::1", 1, "/x", "y=%zz"),
    "https://[FE80::1%25eth0]:1": UrlParts("https", "fe80::1%eth0", 1),
    "https://a#x": UrlParts("https", "a", has_fragment=True),
    "https:///x": UrlParts("https", path="/x"),
    "///x": UrlParts(path="///x"),
    "//a:1": UrlParts("", "a", 1),
    "unix:/x": UrlParts("unix", path="/x"),
    "unix:x": UrlParts("unix"),
    "https://j%40e:p@w@a": UrlParts("https", "a", login="j%40e:p@w"),
}
WRONG = [
    *("https://a\t:1", "https://a\n:1", "https://a\x7f", " https://a", "https://a b", "https://a\\b:1", "https://a\\@b:1"),
    *("https://%41:1", "https://a%20b", "https://a/%zz", "https://a%", "https://[::1]x:1", "https://[::1]:1x", "https://[::1"),
    *(
        "https://[a]:1",
        "https://[1.2.3.4]:1",
        "https://[]:1",
        "https://a:1:2",
        "https://::1]:1",
        "https://a:-1",
        "https://a:+1",
    ),
    *(
        "https://a:٣",
        "https://a:1_0",
        "https://a:99999",
        "https://ä:1",
        "https://\uff11.0.0.1:1",
        "https://\u212a:1",
        "1https://a",
    ),
    *(
        "1a:1",
        "https://[fe80::1%eth0]:1",
        "https://a^b",
        "https://a#%zz",
        "https://u\tp@a",
        "https://u p@a",
        "https://[::1%25a/b]",
    ),
]


@pytest.mark.parametrize("text", READ)
def test_a_url_is_read_as_go_reads_it(text: str) -> None:
    assert split(text) == READ[text]


@pytest.mark.parametrize("text", WRONG)
def test_what_go_does_not_read_has_no_parts(text: str) -> None:
    """Python's urlsplit reads most of these."""
    with pytest.raises(BadUrl):
        split(text)
    assert parts_of(text) == UrlParts() or "%eth0" in text


CLUSTER = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nkubernetesVersion: v1.34.4\n"
INIT = "---\napiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nlocalAPIEndpoint: {advertiseAddress: 10.77.0.11}\n"


@pytest.mark.parametrize("text", ["https://a\\t:1", "https://a\\n:1", "https://[::1]x:1", "https://a\\\\b:1", "https://%41:1"])
@pytest.mark.parametrize("field", ["endpoints", "httpEndpoints"])
def test_an_endpoint_that_was_checked_as_another_is_refused(field: str, text: str) -> None:
    """It went into the manifest as it stood: the API server ended with "invalid control character"."""
    body = f'etcd: {{external: {{endpoints: ["https://ok:1"], {field}: ["{text}"]}}}}\n'
    if field == "endpoints":
        body = f'etcd: {{external: {{endpoints: ["{text}"]}}}}\n'
    with pytest.raises(InvalidConfig) as failed:
        resolve_init(loads((CLUSTER + body + INIT).encode(), "c"), FACTS)
    assert [(one.path, one.line) for one in failed.value.problems] == [(f"etcd.external.{field}[0]", 4)]


@pytest.mark.parametrize(
    ("typed", "written"),
    [
        ("/run/a b", "unix:///run/a b"),
        ("unix:/run/x", "unix:/run/x"),
        ("unix:///run/a%20b", "unix:///run/a%20b"),
        ("UNIX:///run/x", "unix:///run/x"),
        ("/run/a\\tb", None),
        ("unix:///run/a\\nb", None),
        ("/run/%zz", None),
        ("unix://run/x", None),
        ("npipe:///x", None),
    ],
)
def test_a_socket_is_written_as_it_was_checked(typed: str, written: str | None) -> None:
    init = INIT + f'nodeRegistration: {{name: cp1, criSocket: "{typed}"}}\n'
    if written is None:
        with pytest.raises(InvalidConfig, match="criSocket"):
            resolve_init(loads((CLUSTER + init).encode(), "c"), FACTS)
    else:
        assert resolve_init(loads((CLUSTER + init).encode(), "c"), FACTS).init.node_registration.cri_socket == written


@pytest.mark.parametrize("name", ["a b", "a%20b", "q?x#y", "ä"])
def test_the_socket_that_is_asked_is_the_one_that_the_kubelet_asks(tmp_path: Path, name: str) -> None:
    """The kubelet decodes the path of the URL; ours asked at another path and said that nothing is there."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / name))
        server.listen()
        server.settimeout(5)
        url = socket_url(str(tmp_path / name))
        assert socket_path(url) == str(tmp_path / name) and split(url).scheme == "unix"
        asked: list[int] = []
        answering = threading.Thread(target=lambda: asked.append(_accept(server)))
        answering.start()
        with pytest.raises(QuorateError), Runtime.connect(url) as runtime:
            runtime.version()
        answering.join()
    assert asked == [1]


def _accept(server: socket.socket) -> int:
    server.accept()[0].close()
    server.close()
    return 1


@pytest.mark.parametrize(
    ("typed", "path"),
    [
        ("file:///etc/a%20b.conf", "/etc/a b.conf"),
        ("FILE:///etc/x", "/etc/x"),
        ("file:/etc/x", "/etc/x"),
        ("HTTPS://h/x", "HTTPS://h/x"),
        ("https://j:p@h/x", "https://j:p@h/x"),
        ("https://h/x\\t", None),
        ("https://", None),
        ("http://h/x", None),
        ("https://j:geheim@h:x/", None),
    ],
)
def test_where_a_discovery_file_is(typed: str, path: str | None) -> None:
    text = f'apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\ndiscovery: {{file: {{kubeConfigPath: "{typed}"}}}}\n'
    if path is None:
        with pytest.raises(InvalidConfig, match=r"c:3: discovery\.file\.kubeConfigPath") as failed:
            resolve_join(loads(text.encode(), "c"), FACTS)
        assert "geheim" not in str(failed.value)
    else:
        found = resolve_join(loads(text.encode(), "c"), FACTS)[0].discovery.file
        assert found is not None and found.kube_config_path == path


@pytest.mark.parametrize(
    "text", ["h\t:1", "https://[::1]x:1", "h%41:1", "h\\:1", "\uff11.0.0.1:1", "h:1_0", "https://h:1#x", "h:٣"]
)
def test_no_endpoint_is_asked_that_is_not_the_one_that_was_given(text: str) -> None:
    with pytest.raises(ConfigError):
        Endpoint.parse(text)
    with pytest.raises(ConfigError):
        normalise_url(text if "://" in text else f"https://{text}")


def test_an_endpoint_is_one_by_every_spelling() -> None:
    assert Endpoint.parse("HTTPS://A.b:02379/") == Endpoint.parse("https://a.B:2379")
    assert normalise_url("HTTPS://[FE80::1%eth0]:02380/") == "https://[fe80::1%25eth0]:2380"


SECRET = "joe:geheim"


@pytest.mark.parametrize(
    "text",
    [
        f"https://{SECRET}@h:1",
        f"https://{SECRET}@h:x",
        f"{SECRET}@h\t:1",
        f"ftp://{SECRET}@h/@x",
        f"//{SECRET}\\@h",
        f"{SECRET}@",
    ],
)
def test_no_message_repeats_a_password(text: str) -> None:
    assert "geheim" not in without_login(text) and without_login(text).endswith(text.rpartition("@")[2])
    for read in (Endpoint.parse, normalise_url, http.split_url):
        with pytest.raises(QuorateError) as failed:
            read(text)
        assert "geheim" not in str(failed.value.as_dict())
    escaped = text.encode("unicode_escape").decode()
    body = f'etcd: {{external: {{caFile: /ca, endpoints: ["{escaped}", "http://{SECRET}@h:1"]}}}}\n'
    with pytest.raises(InvalidConfig) as refused:
        resolve_init(loads((CLUSTER + body + INIT).encode(), "c"), FACTS)
    assert "geheim" not in str(refused.value.as_dict())


@pytest.mark.parametrize(
    "text", [f"https://{SECRET}@h:1", f"{SECRET}@h:1", f"{SECRET}@h", "h:geheim@x", f"unix://{SECRET}@h/x"]
)
def test_no_rule_repeats_what_may_be_a_password(text: str) -> None:
    for rule in (rules.endpoint, rules.discovery_endpoint, rules.socket, rules.etcd_endpoint, rules.https_file):
        assert "geheim" not in (rule(text) or "")


def test_a_finding_about_an_external_etcd_repeats_no_password() -> None:
    for told in ("refused", (3, 1, 0)):
        found = [*external_etcd.silent({f"https://{SECRET}@h:1": told}, "error")]
        found += external_etcd.too_old({f"https://{SECRET}@h:1": told}, 34)
        assert len(found) == 1 and "geheim" not in found[0].text and "@h:1" in found[0].text


def test_a_request_names_its_path_in_ascii() -> None:
    assert split("https://h/ä b?c d").target == "/%C3%A4%20b?c%20d"
    assert split("https://h").target == "/"
    assert login_of(split("https://joe:p%C3%A4@h")) == "joe:pä".encode()


@given(st.text())
def test_a_socket_has_one_path(text: str) -> None:
    path = f"/{text}".replace("\0", "")
    assert socket_path(socket_url(path)) == path == socket_path(path)
    assert default_socket(path) == f"unix://{path}"
