"""What kube-proxy refuses of its configuration where several fields, a gate or a form of text have a say.

Source: k8s.io/kubernetes, pkg/proxy/apis/config/validation, with the defaults that are set before it. Up to 1.30 the periods of
iptables were checked in each mode, and clusterCIDR whatever tells local traffic.
"""

from __future__ import annotations

from quorate.config import rules
from quorate.config.component_gates import Gates
from quorate.config.component_parts import (
    Found,
    Given,
    Rule,
    at,
    duration_at,
    feature_gates,
    hidden_metrics,
    is_cidr,
    list_at,
    logging,
    not_negative,
    text_at,
)
from quorate.foreign.numbers import are_digits

_BY_MODE_SINCE = 31
_MODES = ("iptables", "ipvs", "nftables")
_USUAL_PERIODS = {"iptables": ("30s", "1s"), "ipvs": ("30s", "0s"), "nftables": ("30s", "1s")}
_GATES_OF_MODES = {"ipvs": "KubeProxyIPVS", "nftables": "NFTablesProxyMode"}
_BITS = range(32)
_PRIMARY = "primary"
_MOST_DIGITS = 9


def _mode(given: Given) -> str:
    return text_at(given, "mode") or _MODES[0]


def _modes(given: Given, gates: Gates) -> Found:
    gate = _GATES_OF_MODES.get(mode := _mode(given))
    # Whether a minor has a mode at all is a matter of `component_limits`.
    if gate and gates.is_off(gate):
        yield "mode", f"{mode} needs the feature gate {gate}"


def _addresses(given: Given, _: Gates) -> Found:
    if (text := text_at(given, "bindAddress")) and not _is_address(text):
        yield "bindAddress", f"{text!r} is not an IP address"
    for path in ("healthzBindAddress", "metricsBindAddress"):
        if (text := text_at(given, path)) and not _is_bound(text):
            yield path, f"{text!r} is neither an IP address nor one with a port, ADDRESS:PORT or [IPv6]:PORT"


def _is_address(text: str) -> bool:
    return rules.is_address(text)


def _is_bound(text: str) -> bool:
    if _is_address(text):
        return True
    host, given = rules.split_endpoint(text)
    # Atoi takes a sign, and so does the listener.
    number = (given or "").removeprefix("+")
    is_closed = text.startswith("[") or ":" not in host
    return is_closed and _is_address(host) and _is_number(number) and rules.port(int(number)) is None


def _node_ports(given: Given, gates: Gates) -> Found:
    every = list_at(given, "nodePortAddresses")
    keywords = (_PRIMARY, "localhost", "all") if gates.minor >= 37 else (_PRIMARY,) if gates.minor >= _BY_MODE_SINCE else ()
    for number, text in enumerate(every):
        path = f"nodePortAddresses[{number}]"
        if text in keywords:
            if gates.minor >= 37 and text in every[:number]:
                yield path, f"{text} is there twice"
            elif gates.minor < 37 and len(every) > 1:
                yield path, f"{text} must be the only entry"
        elif not is_cidr(str(text)):
            yield path, f"{text!r} is not a subnet such as 10.0.0.0/8" + "".join(f", nor {one}" for one in keywords)


def _cluster(given: Given, gates: Gates) -> Found:
    text, path = text_at(given, "clusterCIDR"), "clusterCIDR"
    if not text or (gates.minor >= _BY_MODE_SINCE and text_at(given, "detectLocalMode") not in ("", "ClusterCIDR")):
        return
    parts = text.split(",")
    for part in parts:
        if not is_cidr(part):
            blank = ": kube-proxy takes no blanks here" if part != part.strip() else ""
            yield path, f"{part!r} is not a subnet such as 10.244.0.0/16{blank}"
            return
    if len(parts) > 2 or (len(parts) == 2 and len({network.version for one in parts for network in rules.networks(one)}) == 1):
        yield path, f"{text!r} is neither one subnet nor one of IPv4 and one of IPv6"


def _local(given: Given, _: Gates) -> Found:
    mode = text_at(given, "detectLocalMode")
    for wanted, field in (("BridgeInterface", "bridgeInterface"), ("InterfaceNamePrefix", "interfaceNamePrefix")):
        if mode == wanted and not text_at(given, f"detectLocal.{field}"):
            yield "detectLocalMode", f"{mode} needs detectLocal.{field}"


def _periods(given: Given, gates: Gates) -> Found:
    if duration_at(given, "configSyncPeriod") < 0:
        yield "configSyncPeriod", "this must be longer than 0s"
    mode = _mode(given)
    for form in (mode,) if gates.minor >= _BY_MODE_SINCE else dict.fromkeys((_MODES[0], mode)):
        usual, least = _USUAL_PERIODS.get(form, _USUAL_PERIODS[_MODES[0]])
        period, shortest = duration_at(given, f"{form}.syncPeriod", usual), duration_at(given, f"{form}.minSyncPeriod", least)
        if period < 0:
            yield f"{form}.syncPeriod", f"{period} must be longer than 0s"
        elif shortest < 0:
            yield f"{form}.minSyncPeriod", f"{shortest} is too small: 0s or more"
        elif shortest > period:
            at_fault = "minSyncPeriod" if at(given, f"{form}.minSyncPeriod") else "syncPeriod"
            yield f"{form}.{at_fault}", f"minSyncPeriod, {shortest}, is longer than syncPeriod, {period}"


def _of_mode(given: Given, gates: Gates) -> Found:
    mode = _mode(given)
    bit = at(given, "nftables.masqueradeBit")
    if mode == "nftables" and bit is not None and bit not in _BITS:
        yield "nftables.masqueradeBit", f"{bit} is not in 0 to 31"
    if mode != "ipvs":
        return
    yield from not_negative("ipvs.tcpTimeout", "ipvs.tcpFinTimeout", "ipvs.udpTimeout")(given, gates)
    for number, text in enumerate(list_at(given, "ipvs.excludeCIDRs")):
        if not is_cidr(str(text)):
            yield f"ipvs.excludeCIDRs[{number}]", f"{text!r} is not a subnet such as 10.0.0.0/8"


def _port_range(given: Given, gates: Gates) -> Found:
    text = text_at(given, "portRange").strip()
    if text and gates.minor < _BY_MODE_SINCE and not _is_port_range(text):
        yield "portRange", f"{text!r} is not a range of ports such as 300-2000, or 300+100"


def _is_number(text: str) -> bool:
    return are_digits(text) and len(text) <= _MOST_DIGITS


def _is_port_range(text: str) -> bool:
    first, sign, last = text.partition("-" if "-" in text else "+")
    if not all(_is_number(one) for one in ((first, last) if sign else (first,))):
        return False
    low = int(first)
    high = low if not sign else int(last) if sign == "-" else low + int(last)
    return low <= high <= 65535


RULES: tuple[Rule, ...] = (
    feature_gates,
    hidden_metrics,
    logging,
    _modes,
    _addresses,
    _node_ports,
    _cluster,
    _local,
    _periods,
    _of_mode,
    _port_range,
    not_negative(
        "conntrack.tcpEstablishedTimeout", "conntrack.tcpCloseWaitTimeout", "conntrack.udpTimeout", "conntrack.udpStreamTimeout"
    ),
)
