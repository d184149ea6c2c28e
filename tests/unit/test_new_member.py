"""Which names and peer URLs a new member may have, and when two URLs are one."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from quorate.core.finding import Finding
from quorate.core.ids import canonical_url, host_and_port, normalise_url, same_url, urls_of
from quorate.core.membership import ClusterView, Member
from quorate.core.new_member import check_new_name, new_member_findings
from quorate.core.view_findings import findings, judge
from quorate.errors import ConfigError, PreflightFailed
from quorate.local.layout import check_name
from quorate.report import silent
from unit.views import member, view

NEW = "https://10.0.0.9:2380"


def at(number: int, *urls: str, clients: tuple[str, ...] = ()) -> Member:
    return replace(member(number), peer_urls=urls, client_urls=clients)


def of(*members: Member) -> ClusterView:
    return replace(view(0), members=members)


def found(seen: ClusterView, name: str, *urls: str) -> list[str]:
    return [one.name for one in new_member_findings(seen, name, urls) if one.level == "error"]


# -- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["m4", "0", "Node_A", "node-a.example.org", "a" * 253, "etcd-node-1."])
def test_names_that_a_new_member_may_have(name: str) -> None:
    assert check_new_name(name) == name
    assert found(view(3), name, NEW) == []


BAD = ["", "d=e", "d,x=http://h:1", "d e", '"; touch x; "', "d\n", "-d", ".d", "_d", "a" * 254, "$(id)", "../d", "a/b", "ä",
       "d\x1b[2J", "\u0661"]  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_names_that_it_may_not_have(name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be a member name"):
        check_new_name(name)
    assert found(view(3), name, NEW) == ["name-illegal"]


@given(st.text(max_size=260))
@example("d\n")
def test_a_legal_name_survives_initial_cluster_and_a_path(name: str) -> None:
    try:
        check_new_name(name)
    except ConfigError:
        return
    assert f"{name}=http://h:1,x=http://i:2".split(",")[0].split("=") == [name, "http://h:1"]
    assert name.isascii() and name.isprintable() and not set(name) & set("/ \"'$`\\;&|<>*?%~")
    assert name not in (".", "..") and not name.startswith("-")


@given(st.text(alphabet="abc0-._", min_size=1, max_size=70))
def test_a_local_name_is_a_legal_one_of_63_characters(name: str) -> None:
    try:
        check_name(name)
    except ConfigError:
        assert len(name) > 63 or not name[0].isalnum()
    else:
        assert len(check_new_name(name)) <= 63


def test_an_illegal_name_that_exists_is_not_held_against_its_own_member() -> None:
    odd = replace(member(4), name="d e")
    assert found(view(3, odd), "d e", *odd.peer_urls) == []


def test_a_name_of_another_member_is_taken() -> None:
    assert found(view(3), "m2", NEW) == ["name-taken"]
    taken = next(one for one in new_member_findings(view(3), "m2", NEW) if one.name == "name-taken")
    assert taken.advice.startswith("choose another name; only a member that is gone for good"), "m2 may be a healthy voter"
    assert found(view(3), "m2", "https://10.0.0.2:2380") == [], "its own row"
    assert found(view(3), "m2", "https://10.0.0.2:2380/") == [], "its own row, spelled otherwise"
    assert found(view(3), "m2", NEW, "https://10.0.0.2:2380") == []
    assert found(view(3, member(4, started=False)), "m4", NEW) == [], "who has not started has no name"


# -- peer URLs ---------------------------------------------------------------------------------------------------------

V6 = of(at(1, "http://[fd00::1]:2380", clients=("http://[fd00::1]:2379",)))
LOCAL = of(at(1, "https://127.0.0.1:2380"))


@pytest.mark.parametrize(
    ("seen", "urls", "errors"),
    [
        (view(3), [NEW], []),
        (view(3), ["https://0.0.0.0:2380"], ["peer-url-unspecified"]),
        (view(3), ["https://[::]:2380"], ["peer-url-unspecified"]),
        (view(3), ["https://[0:0::0]:2380", NEW], ["peer-url-unspecified"]),
        (view(3), ["https://[::ffff:0.0.0.0]:2380"], ["peer-url-unspecified"]),
        (view(3), ["https://10.0.0.9:0"], ["peer-url-port"]),
        (view(3), ["https://10.0.0.999:2380"], ["peer-url-address"]),
        (view(3), ["https://10.0.9:2380"], ["peer-url-address"]),
        (view(3), ["https://010.0.0.9:2380"], ["peer-url-address"]),
        (view(3), ["https://2130706433:2380"], ["peer-url-address"]),
        (view(3), ["https://node-9.example.org:2380"], []),
        (view(3), ["https://9.node-9:2380"], []),
        (view(3), ["https://224.0.0.9:2380"], ["peer-url-address"]),
        (view(3), ["https://255.255.255.255:2380"], ["peer-url-address"]),
        (view(3), ["https://[ff02::1]:2380"], ["peer-url-address"]),
        (V6, ["http://[fe80::1]:2380"], ["peer-url-link-local"]),
        (V6, ["http://[fe80::1%25eth0]:2380"], []),
        (view(3), ["https://169.254.1.1:2380"], []),
        (view(3), ["https://10.0.0.2:2379"], ["peer-url-is-client-url"]),
        (view(3), ["https://10.0.0.2:2379/"], ["peer-url-is-client-url"]),
        (view(3), ["http://10.0.0.2:2379"], ["peer-url-is-client-url", "peer-url-scheme"]),
        (V6, ["http://[fd00:0:0::1]:2379"], ["peer-url-is-client-url"]),
        (view(3), ["https://10.0.0.1:2380", "https://10.0.0.2:2380"], ["peer-url-of-two"]),
        (view(3), ["https://10.0.0.1:2380", NEW], ["peer-url-taken"]),
        (view(3), ["https://[::ffff:10.0.0.1]:2380"], ["peer-url-taken"]),
        (of(at(1, "https://node-a.example.org:2380")), ["https://NODE-A.example.org.:2380/"], ["peer-url-taken"]),
        (view(3), ["http://10.0.0.1:2380"], ["peer-url-taken", "peer-url-scheme"]),
        (view(3), ["http://10.0.0.9:2380"], ["peer-url-scheme"]),
        (V6, ["https://[fd00::2]:2380"], ["peer-url-scheme"]),
        (of(at(1, "http://10.0.0.1:1"), at(2, "https://10.0.0.2:1")), ["http://10.0.0.3:1"], []),
        (view(0), ["http://10.0.0.3:1"], []),
        (view(3), ["https://localhost:2380"], ["loopback-new"]),
        (view(3), ["https://[::1]:2380"], ["loopback-new"]),
        (LOCAL, ["https://127.0.0.1:9"], []),
        (LOCAL, [NEW], ["loopback-old"]),
        (view(3), [], []),
        (of(at(1, "https://[::1", clients=("junk", "unix://x"))), ["https://h:1"], []),
        (view(3), ["https://[::1", "junk"], []),
    ],
)
def test_each_finding(seen: ClusterView, urls: list[str], errors: list[str]) -> None:
    assert found(seen, "m9", *urls) == errors
    assert {one.name for one in findings(seen, "m9", urls) if one.level == "error"} == set(errors), "there is one list"


def test_its_own_row_is_not_held_against_a_member() -> None:
    """A learner that an earlier run registered at its client port is for the undo to remove, not for us to refuse."""
    own = at(4, "https://10.0.0.4:2379", clients=("https://10.0.0.4:2379",))
    assert found(view(3, own), "m4", "https://10.0.0.4:2379") == []


def test_an_old_loopback_url_is_updated_by_a_command_of_its_member() -> None:
    """Two members of one advice gave it twice; etcdctl needs the id and the URL."""
    seen = of(at(0xA, "https://127.0.0.1:2380"), at(0xB, "https://127.0.0.1:2390"))
    advice = [one.advice for one in new_member_findings(seen, "m9", [NEW])]
    assert [one.rpartition(": ")[2] for one in advice] == [
        "etcdctl member update a --peer-urls=https://HOST:2380",
        "etcdctl member update b --peer-urls=https://HOST:2390",
    ]


def test_advice_for_two_findings_is_given_once() -> None:
    with pytest.raises(PreflightFailed) as failed:
        judge([Finding(name, "error", name, "do this") for name in ("a", "b")], silent)
    assert (failed.value.what, failed.value.advice) == ("a; b", "do this")


def test_every_error_says_what_to_do() -> None:
    for seen, name, urls in (
        (view(3), "d=e", ["http://0.0.0.0:1"]),
        (view(3), "m1", ["https://10.0.0.2:2379", "https://[fe80::1]:1"]),
        (view(3), "m9", ["https://10.0.0.1:2380", "https://10.0.0.2:2380"]),
    ):
        assert all(one.advice for one in new_member_findings(seen, name, urls))


# -- URLs --------------------------------------------------------------------------------------------------------------

ADDRESSES = st.ip_addresses(v=6) | st.ip_addresses(v=4)
HOSTS = st.from_regex(r"[a-z][a-z0-9-]{0,20}(\.[a-z]{1,8})?", fullmatch=True)
PORTS = st.integers(0, 65535)
SCHEMES = st.sampled_from(["http", "https"])


def bracketed(text: str) -> str:
    return f"[{text}]" if ":" in text else text


@given(ADDRESSES, PORTS, SCHEMES)
def test_every_form_of_an_address_is_the_same_url(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int, scheme: str
) -> None:
    short = f"{scheme}://{bracketed(address.compressed)}:{port}"
    for other in (address.exploded, address.exploded.upper()):
        assert same_url(short, f"{scheme.upper()}://{bracketed(other)}:{port}/")
    if address.version == 4:
        assert same_url(short, f"{scheme}://[::ffff:{address}]:{port}")


@given(HOSTS, PORTS, SCHEMES)
def test_the_case_of_a_host_and_a_slash_mean_nothing(host: str, port: int, scheme: str) -> None:
    assert same_url(f"{scheme}://{host}:{port}", f"{scheme.upper()}://{host.upper()}:{port:05}/")


@given(HOSTS | ADDRESSES.map(str), HOSTS | ADDRESSES.map(str), PORTS, PORTS, SCHEMES, SCHEMES)
def test_another_host_port_or_scheme_is_another_url(
    host: str, other: str, port: int, other_port: int, scheme: str, other_scheme: str
) -> None:
    mapped = {text: str(getattr(ip, "ipv4_mapped", None) or ip) for text in (host, other) if (ip := _ip(text))}
    same = (mapped.get(host, host), port, scheme) == (mapped.get(other, other), other_port, other_scheme)
    assert same_url(f"{scheme}://{bracketed(host)}:{port}", f"{other_scheme}://{bracketed(other)}:{other_port}") is same


def _ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


ANYTHING = st.text() | st.builds("{}://{}:{}".format, st.text(max_size=5), st.text(max_size=20), st.text(max_size=6))


@given(ANYTHING, ANYTHING)
@example("http://[fe80::1%25\udcff]:1", "http://[fe80::1%25%ff]:1")
@example("http://[fe80::1%25a%20b]:1", "http://[fe80::1%2525]:1")
@example("http://[::1", "http://h:99999999")
def test_nothing_that_is_given_makes_it_raise(a: str, b: str) -> None:
    assert same_url(a, a) and same_url(a, b) == same_url(b, a) == (canonical_url(a) == canonical_url(b))
    assert canonical_url(canonical_url(a)) == canonical_url(a)
    host_and_port(a)
    new_member_findings(of(at(1, a, clients=(b,))), b, [a, b])


@given(st.builds("{}://{}:{}{}".format, SCHEMES, HOSTS | ADDRESSES.map(str).map(bracketed), PORTS, st.sampled_from(["", "/"])))
def test_a_normalised_url_is_the_same_url_and_stays_as_it_is(url: str) -> None:
    assert same_url(url, normalise_url(url))
    assert normalise_url(normalise_url(url)) == normalise_url(url)


@given(st.from_regex(r"[A-Za-z0-9._~-]{1,15}", fullmatch=True))
def test_zone_ids_survive(zone: str) -> None:
    url = f"http://[fe80::1%25{zone}]:2380"
    assert normalise_url(url) == url
    assert same_url(url, f"http://[FE80:0::1%25{zone}]:2380")
    assume(zone != zone.swapcase())
    assert not same_url(url, f"http://[fe80::1%25{zone.swapcase()}]:2380")


def test_a_name_is_not_an_address() -> None:
    assert not same_url("http://localhost:1", "http://127.0.0.1:1")
    assert same_url("http://LOCALHOST:1", "http://localhost:1")
    assert same_url("http://node-a.:1", "http://node-a:1") and not same_url("http://node-a.b:1", "http://node-a:1")
    assert host_and_port("http://H:1") == host_and_port("https://h:1/") == "h:1"
    assert urls_of(at(1, "http://H:1/", "junk")) == {"http://h:1", "junk"}
