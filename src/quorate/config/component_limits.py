"""Values that the kubelet and kube-proxy refuse at their start although the type is right: words, and simple bounds.

They are those of the components' own validation (k8s.io/kubernetes, pkg/kubelet/apis/config/validation and
pkg/proxy/apis/config/validation), of the kubelet's managers and of its parser of eviction thresholds. What a feature gate or
another field decides is in `kubelet_rules.py` and `proxy_rules.py`. Paths are those of `component_fields.json`.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from quorate.config.duration import Duration
from quorate.config.versions import NEWEST, OLDEST
from quorate.core.suggestions import close_names, did_you_mean

_MOST = float("inf")


class Bounds(Struct, frozen=True):
    """A number, or a duration as text, has to be in `least` to `most`."""

    least: float | str
    most: float | str = _MOST
    since: int = OLDEST


class Words(Struct, frozen=True):
    """A text has to be one of `words`, or empty."""

    words: tuple[str, ...]
    since: int = OLDEST
    until: int = NEWEST


_SIGNALS = (
    *("memory.available", "nodefs.available", "nodefs.inodesFree", "imagefs.available", "imagefs.inodesFree"),
    *("allocatableMemory.available", "pid.available"),
)
_ENFORCED = ("pods", "system-reserved", "kube-reserved", "none")
_NOT_NEGATIVE = Bounds(0)
_BIT, _PERCENT, _PORT, _SCORE = Bounds(0, 31), Bounds(0, 100), Bounds(0, 65535), Bounds(-1000, 1000)
_FORMATS = (Words(("text", "json")),)

_CIPHERS = (
    *("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"),
    *("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256"),
    *("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA"),
    *("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305"),
    *("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA"),
    *("TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA", "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256"),
    *("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"),
    *("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "TLS_ECDHE_RSA_WITH_RC4_128_SHA"),
    *("TLS_RSA_WITH_3DES_EDE_CBC_SHA", "TLS_RSA_WITH_AES_128_CBC_SHA", "TLS_RSA_WITH_AES_128_CBC_SHA256"),
    *("TLS_RSA_WITH_AES_128_GCM_SHA256", "TLS_RSA_WITH_AES_256_CBC_SHA", "TLS_RSA_WITH_AES_256_GCM_SHA384"),
    "TLS_RSA_WITH_RC4_128_SHA",
)
"""What Go's crypto/tls has had since before the oldest minor, and two names that Kubernetes keeps."""

LIMITS: dict[str, dict[str, Bounds | tuple[Words, ...]]] = {
    "KubeletConfiguration": {
        "authorization.mode": (Words(("AlwaysAllow", "Webhook")),),
        "configMapAndSecretChangeDetectionStrategy": (Words(("Get", "Cache", "Watch")),),
        "containerLogMaxFiles": Bounds(2, since=33),
        "containerLogMaxWorkers": Bounds(1, since=30),
        "containerLogMonitorInterval": Bounds("3s", since=30),
        "cpuManagerPolicy": (Words(("none", "static")),),
        "enforceNodeAllocatable[]": (
            Words(_ENFORCED, until=31),
            Words((*_ENFORCED, "system-reserved-compressible", "kube-reserved-compressible"), since=32),
        ),
        "eventBurst": _NOT_NEGATIVE,
        "eventRecordQPS": _NOT_NEGATIVE,
        "hairpinMode": (Words(("none", "hairpin-veth", "promiscuous-bridge")),),
        "healthzPort": _PORT,
        "imageGCHighThresholdPercent": _PERCENT,
        "imageGCLowThresholdPercent": _PERCENT,
        "imagePullCredentialsVerificationPolicy": (
            Words(("NeverVerify", "NeverVerifyPreloadedImages", "NeverVerifyAllowlistedImages", "AlwaysVerify")),
        ),
        "iptablesDropBit": _BIT,
        "iptablesMasqueradeBit": _BIT,
        "kubeAPIBurst": _NOT_NEGATIVE,
        "kubeAPIQPS": _NOT_NEGATIVE,
        "logging.format": _FORMATS,
        "maxOpenFiles": _NOT_NEGATIVE,
        "maxParallelImagePulls": Bounds(1),
        "maxPods": _NOT_NEGATIVE,
        "memoryManagerPolicy": (Words(("None", "Static"), until=31), Words(("None", "Static", "BestEffort"), since=32)),
        "memoryReservationPolicy": (Words(("None", "TieredReservation")),),
        "memorySwap.swapBehavior": (
            Words(("LimitedSwap", "UnlimitedSwap"), until=28),
            Words(("NoSwap", "LimitedSwap", "UnlimitedSwap"), since=29, until=29),
            Words(("NoSwap", "LimitedSwap"), since=30),
        ),
        "memoryThrottlingFactor": Bounds(1e-9, 1),
        "nodeLeaseDurationSeconds": Bounds(1),
        "nodeStatusMaxImages": Bounds(-1),
        "oomScoreAdj": _SCORE,
        "podsPerCore": _NOT_NEGATIVE,
        "port": _PORT,
        "readOnlyPort": _PORT,
        "registerWithTaints[].effect": (Words(("NoSchedule", "PreferNoSchedule", "NoExecute")),),
        "registryBurst": _NOT_NEGATIVE,
        "registryPullQPS": _NOT_NEGATIVE,
        "tlsCipherSuites[]": (Words(_CIPHERS),),
        "tlsMinVersion": (Words(("VersionTLS10", "VersionTLS11", "VersionTLS12", "VersionTLS13")),),
        "topologyManagerPolicy": (Words(("none", "best-effort", "restricted", "single-numa-node")),),
        "topologyManagerScope": (Words(("container", "pod")),),
        "tracing.samplingRatePerMillion": Bounds(0, 1_000_000),
    },
    "KubeProxyConfiguration": {
        "clientConnection.burst": _NOT_NEGATIVE,
        "conntrack.maxPerCore": _NOT_NEGATIVE,
        "conntrack.min": _NOT_NEGATIVE,
        "detectLocalMode": (Words(("ClusterCIDR", "NodeCIDR", "BridgeInterface", "InterfaceNamePrefix"), since=28),),
        "iptables.masqueradeBit": _BIT,
        "logging.format": _FORMATS,
        "mode": (Words(("iptables", "ipvs"), until=28), Words(("iptables", "ipvs", "nftables"), since=29)),
        "oomScoreAdj": _SCORE,
    },
}

KEYS: dict[str, dict[str, tuple[Words, ...]]] = {
    "KubeletConfiguration": dict.fromkeys(
        ("evictionHard", "evictionSoft", "evictionSoftGracePeriod", "evictionMinimumReclaim"),
        (Words(_SIGNALS, until=28), Words((*_SIGNALS, "containerfs.available", "containerfs.inodesFree"), since=29)),
    )
}
"""The keys of mappings whose values are of one type."""


def refused(kind: str, minor: int, path: str, value: object) -> str | None:
    """Returns why a component of that minor refuses a value of the right type; None when it takes it."""
    limit = LIMITS.get(kind, {}).get(path)
    if isinstance(limit, Bounds):
        return _out_of(limit, value) if minor >= limit.since else None
    return _none_of(limit, minor, str(value)) if limit and value else None


def refused_key(kind: str, minor: int, path: str, key: str) -> str | None:
    """Returns why a component of that minor refuses a key of a mapping; None when it takes it."""
    return _none_of(KEYS.get(kind, {}).get(path, ()), minor, key)


def _none_of(lists: Iterable[Words], minor: int, text: str) -> str | None:
    known = next((one.words for one in lists if one.since <= minor <= one.until), None)
    if known is None or text in known:
        return None
    question = did_you_mean(close_names(text, known)[:1])
    return f"{text!r} is none of {', '.join(known)}" + (f"; {question}" if question else "")


def _out_of(limit: Bounds, value: object) -> str | None:
    if _number(limit.least) <= _number(value) <= _number(limit.most):
        return None
    if limit.most == _MOST:
        return f"{value} is too small: {limit.least} or more"
    return f"{value} is not in {limit.least} to {limit.most}"


def _number(value: object) -> float:
    return Duration.parse(value) if isinstance(value, str) else float(str(value))
