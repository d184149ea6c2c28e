"""Addresses, ports and versions are read as the components read them, and written in one form. The expected ones are kubeadm
1.34.4's."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from pathlib import Path

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st
from kubeadm_cases import FACTS

from quorate.cli.kubeadm.setup import facts_for, usual_runtime
from quorate.config import rules
from quorate.config.load import loads
from quorate.config.problems import InvalidConfig
from quorate.config.resolve import InitSetup, resolve_init
from quorate.config.versions import parse_version
from quorate.core.ids import parse_id
from quorate.errors import ConfigError
from quorate.foreign.addresses import read_address
from quorate.foreign.numbers import are_digits, whole
from quorate.foreign.resolve import resolve
from quorate.host import facts as host
from quorate.phases.cluster.tokens import id_of
from quorate.pki.certificates import alternative_names

READ = {
    "010.0.0.5": "10.0.0.5",
    "0000010.0.0.05": "10.0.0.5",
    "::ffff:10.0.0.5": "10.0.0.5",
    "::FFFF:a00:5": "10.0.0.5",
    "::ffff:010.0.0.5": "10.0.0.5",
    "FD00::1": "fd00::1",
    "fd00:0:0:0:0:0:0:1": "fd00::1",
    "0fd00::00001": "fd00::1",
    "fd00::10.0.0.1": "fd00::a00:1",
}
NONE = [
    "",
    "10.0.0",
    "10.0.0.256",
    "0x0a.0.0.5",
    "10.0.0.5 ",
    "fe80::1%eth0",
    "10.0.0.5/24",
    "1.2.3.4.",
    "1::2::3",
    "٣.0.0.1",
    "a.b",
]


def setup(body: str, address: str = "10.77.0.11") -> InitSetup:
    head = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: "
    text = f"{head}InitConfiguration\nlocalAPIEndpoint: {{advertiseAddress: '{address}'}}\nnodeRegistration: {{name: cp1}}\n"
    version = "" if "kubernetesVersion" in body else "kubernetesVersion: v1.34.4\n"
    return resolve_init(loads(f"{text}---\n{head}ClusterConfiguration\n{version}{body}\n".encode(), "c"), FACTS)


@pytest.mark.parametrize("text", READ)
def test_an_address_is_read_and_written_as_kubeadm_does_it(text: str) -> None:
    assert setup("", text).init.local_api_endpoint.advertise_address == READ[text]
    (name,) = alternative_names([text, READ[text]])
    assert isinstance(name, x509.IPAddress) and str(name.value) == READ[text], "not a DNS name, and once"


@pytest.mark.parametrize("text", NONE)
def test_what_is_no_address(text: str) -> None:
    assert read_address(text) is None
    with pytest.raises(InvalidConfig, match=r"c:3: localAPIEndpoint\.advertiseAddress"):
        setup("", text or "x")


@pytest.mark.parametrize("text", ["0.0.0.0", "::", "000.0.0.0", "::ffff:0:0", "0:0:0:0:0:0:0:0"])
def test_all_addresses_in_any_spelling_are_this_hosts(text: str) -> None:
    assert setup("", text).init.local_api_endpoint.advertise_address == FACTS.address


@pytest.mark.parametrize(("text", "first"), [("", "AF_INET"), ("0.0.0.0", "AF_INET"), ("0:0::", "AF_INET6")])
def test_all_addresses_of_ipv6_are_one_of_ipv6(text: str, first: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def default_address(families: Sequence[str] = ("AF_INET",)) -> str:
        asked.append(families[0])
        return "192.0.2.9"

    monkeypatch.setattr(host, "default_address", default_address)
    body = f"localAPIEndpoint: {{advertiseAddress: '{text}'}}"
    loaded = loads(f"apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\n{body}".encode(), "c")
    assert facts_for(loaded, Path("/"), lambda _: None, usual_runtime).address == "192.0.2.9"
    assert asked == [first]


@pytest.mark.parametrize("text", ["127.0.0.1", "127.000.000.001", "::ffff:127.0.0.1", "::1", "0224.0.0.1"])
def test_an_address_that_nobody_reaches_is_refused_in_any_spelling(text: str) -> None:
    with pytest.raises(InvalidConfig, match="cannot be reached by other nodes"):
        setup("", text)


@given(st.ip_addresses(), st.integers(0, 3))
def test_zeros_in_front_change_nothing(address: ipaddress.IPv4Address | ipaddress.IPv6Address, zeros: int) -> None:
    between = "." if address.version == 4 else ":"
    text = between.join("0" * zeros + part for part in address.exploded.split(between))
    assert read_address(text) == read_address(str(address))


@pytest.mark.parametrize("text", ["fd00::010.0.0.0/112", "010.96.0.0/16", "FD00::/112"])
def test_a_subnet_is_read_as_an_address_is(text: str) -> None:
    assert setup(f"networking: {{serviceSubnet: '{text}'}}").cluster.networking.service_subnet == text


@pytest.mark.parametrize("text", ["10.96.0.0/1٦", "10.96.0.0/+16", "10.96.0.0/ 16", "10.96.0.0/1_6", "10.96.0.0/"])
def test_what_is_no_subnet(text: str) -> None:
    with pytest.raises(InvalidConfig, match="serviceSubnet"):
        setup(f"networking: {{serviceSubnet: '{text}'}}")


@pytest.mark.parametrize(
    "text",
    ["[fd00::1]x:6443", "[fd00::1]x", "[fd00::1]]:6443", "a:٣", "a:+1", "a:1_0", "a: 1", "a:65536", f"a:{'9' * 5000}", "[]:1"],
)
def test_what_stands_behind_the_host_is_a_port_or_nothing(text: str) -> None:
    """int() and isdecimal() take every script's digits; a port of 5000 digits ended the run with ValueError."""
    assert rules.endpoint(text) is not None and rules.discovery_endpoint(text) is not None
    with pytest.raises(InvalidConfig, match="controlPlaneEndpoint"):
        setup(f"controlPlaneEndpoint: '{text}'")


def test_an_empty_port_is_none_and_a_dot_ends_a_name() -> None:
    assert setup("controlPlaneEndpoint: 'a:'").cluster.control_plane_endpoint == "a:6443"
    assert setup("controlPlaneEndpoint: '[fd00::1]:'").cluster.control_plane_endpoint == "[fd00::1]:6443"
    assert rules.discovery_endpoint("api.example.org.:6443") is None


WRONG_VERSIONS = [
    *(
        "v1.34.04",
        "v1.034.4",
        "v01.34.4",
        "v1.34.00",
        "v1.34.4-01",
        "v1.34.4-rc.01",
        "v1.34.4-a..b",
        "v1.34.4-.a",
        "v1.34.4+a.",
    ),
    *("v1.34.٤", "v1.34.4_1", "v1.34.4-", "v1.34.4+", "v1.34.4+a+b", "V1.34.4", "v1.34.4 ", "v1.34.4\\n"),
]


@pytest.mark.parametrize("text", WRONG_VERSIONS)
def test_a_version_that_kubeadm_does_not_read_is_refused(text: str) -> None:
    with pytest.raises(InvalidConfig, match="is not a Kubernetes version"):
        setup(f'kubernetesVersion: "{text}"')


@pytest.mark.parametrize(
    "text", ["v1.34.0", "1.34.4", "v1.34.4-00a", "v1.34.4--", "v1.34.4-0", "v1.34.4+00", "v1.34.4-rc.1+b.01"]
)
def test_a_version_is_written_with_a_v(text: str) -> None:
    written = text if text.startswith("v") else f"v{text}"
    assert setup(f'kubernetesVersion: "{text}"').cluster.kubernetes_version == written == parse_version(text).text


@pytest.mark.parametrize("text", ["010.0.0.1", "10.1", "167772161", "0x7f.1", "127.0.0.0x1", "127.1", "0"])
def test_no_address_of_the_c_library_alone_is_asked(text: str) -> None:
    """It takes 010.0.0.1 for 8.0.0.1: another host than the one that Kubernetes means."""
    assert resolve(text, 1) == []


def test_literals_and_names_are_asked() -> None:
    assert [one.host for one in resolve("127.0.0.1", 1)] == ["127.0.0.1"]
    assert [one.host for one in resolve("::1", 1)] == ["::1"]
    assert resolve("localhost", 1)


@pytest.mark.parametrize("text", ["", "٣", "²", "+1", "-1", " 1", "1_0", "0x1", "1.0"])
def test_what_is_no_number(text: str) -> None:
    assert not are_digits(text) and whole(text, 10**6) is None


def test_a_number_has_a_bound_and_zeros_in_front_do_not_count() -> None:
    assert [whole(text, 99) for text in ("0", "007", "99", "100", "9" * 5000, f"{'0' * 5000}7")] == [0, 7, 99, None, None, 7]


@pytest.mark.parametrize("text", ["8e_9e", "+8e", " 8e", "٣", "8e\n", "-1", ""])
def test_what_is_no_id(text: str) -> None:
    with pytest.raises(ConfigError, match="is not a member id"):
        parse_id(text)


def test_ids_of_tokens_and_keys_have_the_letters_that_kubeadm_takes() -> None:
    assert id_of("abc123.x") == "abc123" and rules.certificate_key("aB" * 32) is None
    for wrong in ("ABC123", "äbc123", "abc12\n"):
        with pytest.raises(ConfigError):
            id_of(wrong)
    assert rules.certificate_key("ab" * 32 + "\n") and rules.certificate_key("ab\tab" + "ab" * 30)
