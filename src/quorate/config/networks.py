"""Addresses that are derived from the service network."""

from __future__ import annotations

import ipaddress

from quorate.config.rules import networks


def service_address(service_subnet: str, number: int) -> str:
    """Returns the address with that number in the first service network: 1 is the API server's, 10 the DNS server's.

    Raises ValueError when the text is not a network, or the network is too small.
    """
    network = networks(service_subnet)[0]
    if number >= network.num_addresses:
        raise ValueError(f"{network} has no address number {number}")
    return str(ipaddress.ip_address(int(network.network_address) + number))
