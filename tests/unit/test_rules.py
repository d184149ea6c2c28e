"""The reasons that rules for single fields give: the true ones, with what to write instead."""

from __future__ import annotations

import ipaddress

import pytest

from quorate.config import rules


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("My-LB-12.elb.amazonaws.com:6443", "capital letters, which RFC 1123 does not allow: write my-lb-12.elb.amazonaws.com"),
        ("K8S-API:6443", "write k8s-api:6443"),
        ("my_lb:6443", "'my_lb' is not a DNS name: lower-case letters, digits, - and ."),
        ("https://a.b:6443", "is a URL: give HOST or HOST:PORT, without https://"),
        ("a:b:c", "is not of the form HOST or HOST:PORT"),
        ("lb:0", "'0' is not a port"),
    ],
)
def test_what_is_wrong_with_an_endpoint_is_said(text: str, why: str) -> None:
    """All were "not of the form HOST or HOST:PORT", which they had."""
    assert why in (rules.endpoint(text) or "")


@pytest.mark.parametrize("text", ["API.example:6443", "my_lb:6443", "10.0.0.1:6443", "[fd00::1]:6443"])
def test_an_api_server_that_is_only_asked_may_have_any_name(text: str) -> None:
    """kubeadm splits it into host and port, and asks."""
    assert rules.discovery_endpoint(text) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [("API.example", "HOST:PORT"), ("https://a.b:6443", "is a URL"), ("a b:6443", "form HOST"), ("A:x", "not a port")],
)
def test_what_is_no_discovery_endpoint(text: str, why: str) -> None:
    assert why in (rules.discovery_endpoint(text) or "")


def test_a_network_with_leading_zeros_is_read_as_the_components_read_it() -> None:
    assert rules.networks("010.244.0.0/16") == [ipaddress.ip_network("10.244.0.0/16")]
    assert rules.networks("fd00:010::/48") == [ipaddress.ip_network("fd00:10::/48")]
    with pytest.raises(ValueError, match="is not a subnet"):
        rules.networks("0x0a.1.0.0/16")
