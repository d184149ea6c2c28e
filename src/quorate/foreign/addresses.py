"""IP addresses as the components of Kubernetes read them (ParseIPSloppy of k8s.io/utils/net), in one form.

They take 010.0.0.9 for 10.0.0.9 and ::ffff:10.0.0.7 for 10.0.0.7. Python refuses the first, which is then taken for a DNS name,
and keeps the second as an IPv6 address, which no client of 10.0.0.7 finds in a certificate.
"""

from __future__ import annotations

import ipaddress
import re

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NUMBER = re.compile(r"[0-9a-fA-F]+")


def read_address(text: str) -> Address | None:
    """Returns the address of a text; None when it is none, or has a zone, which components refuse. An IPv4 address in the form
    of IPv6 is IPv4. Its `str` is what Go writes."""
    if "%" in text:
        return None
    try:
        found = ipaddress.ip_address(without_leading_zeros(text))
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, ipaddress.IPv6Address) else found


def without_leading_zeros(text: str) -> str:
    """Returns an address with no zeros before its numbers: Python takes four hex digits at most, and none before a decimal."""
    return _NUMBER.sub(lambda match: match[0].lstrip("0") or "0", text)
