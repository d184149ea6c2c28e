"""What a kubelet refuses of its configuration where several fields, a gate or a form of text have a say.

Source: k8s.io/kubernetes, pkg/kubelet/apis/config/validation, and what the kubelet reads after it (cmd/kubelet/app/server.go,
pkg/kubelet/eviction). Single words and bounds are in `component_limits.py`. What depends on the host is not here: cgroups, the
number of CPUs, files. Where a minor has another rule than the next, the rule says so.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from typing import Any

from quorate.config.component_gates import Gates
from quorate.config.component_parts import (
    Found,
    Given,
    Rule,
    at,
    duration_at,
    feature_gates,
    hidden_metrics,
    list_at,
    logging,
    needs_gate,
    text_at,
)
from quorate.config.duration import Duration
from quorate.config.labels import label_value, qualified_name
from quorate.config.quantity import canonical
from quorate.foreign.urls import parts_of

_SECOND = Duration.parse("1s")
_PODS, _NONE = "pods", "none"
_COMPRESSIBLE = "-compressible"
_CPUS = re.compile(r"[+]?[0-9]{1,9}(?:-[+]?[0-9]{1,9})?")
_IDS = 65536
_MOST_IDS = (1 << 32) - 1
_RESERVABLE = ("cpu", "memory", "ephemeral-storage", "pid")
_PERCENT = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?%+")
_WHOLE_PERCENT = re.compile(r"[+-]?[0-9]{1,9}%+")
_SYSCTL = re.compile(r"(?:[a-z0-9](?:[-_a-z0-9]*[a-z0-9])?[./])*[a-z0-9](?:[-_a-z0-9]*[a-z0-9])?")
_NAMESPACED = ("net.", "fs.mqueue.", "user.")
_OF_PODS = (
    *("kernel.domainname", "kernel.sem", "kernel.shm", "kernel.shmall", "kernel.shmmax", "kernel.shmmni"),
    *("kernel.shm_rmid_forced", "kernel.msg", "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni"),
)


def _cgroups(given: Given, gates: Gates) -> Found:
    if at(given, "systemCgroups") and not at(given, "cgroupRoot"):
        yield "systemCgroups", "this needs cgroupRoot"
    yield from _enforced(given, gates)


def _enforced(given: Given, gates: Gates) -> Found:
    path = "enforceNodeAllocatable"
    every = list_at(given, path)
    names = every or [_PODS]
    per_pod = at(given, "cgroupsPerQOS") is not False
    if not per_pod and (gates.minor < 31 or set(names) != {_NONE}):
        yield "cgroupsPerQOS", f"false is for {path}: [{_NONE}] only" if gates.minor >= 31 else f"false needs an empty {path}"
    for name in (one for one, times in Counter(every).items() if times > 1 and gates.minor >= 31):
        yield path, f"{name} is there twice"
    if _NONE in every and len(every) > 1:
        yield path, f"{_NONE} must be the only entry"
    for of, cgroup in (("system-reserved", "systemReservedCgroup"), ("kube-reserved", "kubeReservedCgroup")):
        if {of, of + _COMPRESSIBLE} & set(every) and not at(given, cgroup):
            yield path, f"{of} needs {cgroup}"
        if {of, of + _COMPRESSIBLE} <= set(every):
            yield path, f"{of} and {of}{_COMPRESSIBLE} exclude each other"


def _images(given: Given, gates: Gates) -> Found:
    low, high = at(given, "imageGCLowThresholdPercent"), at(given, "imageGCHighThresholdPercent")
    lower, upper = 80 if low is None else low, 85 if high is None else high
    if lower >= upper:
        path, other = ("imageGCLowThresholdPercent", "High") if low is not None else ("imageGCHighThresholdPercent", "Low")
        text = f"{lower} must be less than imageGC{other}ThresholdPercent, {upper}"
        yield path, text if other == "High" else f"{upper} must be more than imageGC{other}ThresholdPercent, {lower}"
    most, least = duration_at(given, "imageMaximumGCAge"), duration_at(given, "imageMinimumGCAge", "2m")
    if most and not gates.is_on("ImageMaximumGCAge"):
        yield "imageMaximumGCAge", "this needs the feature gate ImageMaximumGCAge"
    if most < 0:
        yield "imageMaximumGCAge", f"{most} is too small: 0s or more"
    elif 0 < most <= least:
        yield "imageMaximumGCAge", f"{most} must be more than imageMinimumGCAge, {least}"
    if least < 0 and gates.minor >= 36:
        yield "imageMinimumGCAge", f"{least} is too small: 0s or more"
    if at(given, "serializeImagePulls") and (at(given, "maxParallelImagePulls") or 0) > 1:
        yield "maxParallelImagePulls", "more than 1 needs serializeImagePulls: false"
    yield from _pulled_images(given, gates)


def _pulled_images(given: Given, gates: Gates) -> Found:
    policy, images, name = "imagePullCredentialsVerificationPolicy", "preloadedImagesVerificationAllowlist", "AllowlistedImages"
    gate = "KubeletEnsureSecretPulledImages"
    for path in (one for one in (policy, images) if at(given, one) and not gates.is_on(gate)):
        yield path, f"this needs the feature gate {gate}"
    if gates.is_on(gate) and list_at(given, images) and text_at(given, policy) != f"NeverVerify{name}":
        yield images, f"this needs {policy}: NeverVerify{name}"


def _cpus(given: Given, gates: Gates) -> Found:
    path, gate, usual = "cpuCFSQuotaPeriod", "CustomCPUCFSQuotaPeriod", "100ms"
    period = duration_at(given, path, usual)
    if not gates.is_on(gate) and period != Duration.parse(usual):
        yield path, f"{period} needs the feature gate {gate}"
    elif not Duration.parse("1ms") <= period <= _SECOND:
        yield path, f"{period} is not in 1ms to 1s"
    if text := text_at(given, "reservedSystemCPUs"):
        if not _is_cpus(text):
            yield "reservedSystemCPUs", f"{text!r} is not a list of CPUs such as 0-3,7"
        for other in (one for one in ("systemReservedCgroup", "kubeReservedCgroup") if at(given, one)):
            yield "reservedSystemCPUs", f"this and {other} exclude each other"


def _is_cpus(text: str) -> bool:
    for part in text.split(","):
        first, _, last = part.partition("-")
        if not _CPUS.fullmatch(part) or int(first) > int(last or first):
            return False
    return True


def _taints(given: Given, _: Gates) -> Found:
    for number, taint in enumerate(list_at(given, "registerWithTaints")):
        path = f"registerWithTaints[{number}]"
        if why := qualified_name(text_at(taint, "key")):
            yield f"{path}.key", why
        if why := label_value(text_at(taint, "value")):
            yield f"{path}.value", why
        if at(taint, "timeAdded") is not None:
            yield f"{path}.timeAdded", "the kubelet takes no taint with a time"


def _shutdown(given: Given, gates: Gates) -> Found:
    whole, critical, by_priority = "shutdownGracePeriod", "shutdownGracePeriodCriticalPods", "shutdownGracePeriodByPodPriority"
    periods = {path: duration_at(given, path) for path in (whole, critical)}
    is_on = gates.is_on("GracefulNodeShutdown")
    for path, value in periods.items():
        if is_on and value < _SECOND and value != 0:
            yield path, f"{value} is neither 0s nor 1s or more"
        elif not is_on and value > 0:
            yield path, "this needs the feature gate GracefulNodeShutdown"
    if is_on and periods[critical] > periods[whole]:
        yield critical, f"{periods[critical]} is longer than {whole}, {periods[whole]}, of which it is a part"
    if list_at(given, by_priority):
        if not gates.is_on("GracefulNodeShutdownBasedOnPodPriority"):
            yield by_priority, "this needs the feature gate GracefulNodeShutdownBasedOnPodPriority"
        elif any(value > 0 for value in periods.values()):
            yield by_priority, f"this and {whole} exclude each other"


def _restarts(given: Given, gates: Gates) -> Found:
    path, gate = "crashLoopBackOff.maxContainerRestartPeriod", "KubeletCrashLoopBackOffMax"
    if at(given, path) is None:
        return
    value = duration_at(given, path)
    if not gates.is_on(gate):
        yield path, f"this needs the feature gate {gate}"
    elif not _SECOND <= value <= Duration.parse("300s"):
        yield path, f"{value} is not in 1s to 5m0s"


def _memory(given: Given, gates: Gates) -> Found:
    seen: set[tuple[int, str]] = set()
    for number, item in enumerate(list_at(given, "reservedMemory")):
        node = at(item, "numaNode") or 0
        for name, value in (at(item, "limits") or {}).items():
            path = f"reservedMemory[{number}].limits.{name}"
            if name != "memory" and not name.startswith("hugepages-"):
                yield path, f"{name!r} is neither memory nor hugepages-SIZE"
            if value in ("0", None):
                yield path, "0 is too small"
            if (node, name) in seen:
                yield path, f"NUMA node {node} has a limit of {name} already"
            seen.add((node, name))
    if text_at(given, "memoryReservationPolicy") == "TieredReservation" and not gates.is_on("MemoryQoS"):
        yield "memoryReservationPolicy", "TieredReservation needs the feature gate MemoryQoS"
    factor, usual = at(given, "memoryThrottlingFactor"), 0.9
    if gates.minor >= 37 and factor not in (None, usual) and not gates.is_on("MemoryQoS"):
        yield "memoryThrottlingFactor", "this needs the feature gate MemoryQoS"


def _swap(given: Given, gates: Gates) -> Found:
    if text_at(given, "memorySwap.swapBehavior") and not gates.is_on("NodeSwap"):
        yield "memorySwap.swapBehavior", "this needs the feature gate NodeSwap"


def _namespaces(given: Given, _: Gates) -> Found:
    path = "userNamespaces.idsPerPod"
    value = at(given, path)
    if value is not None and not (_IDS <= value <= _MOST_IDS and value % _IDS == 0):
        yield path, f"{value} is not a multiple of {_IDS}, from {_IDS} to {_MOST_IDS}"


def _tracing(given: Given, gates: Gates) -> Found:
    if at(given, "tracing") is not None and not gates.is_on("KubeletTracing"):
        yield "tracing", "this needs the feature gate KubeletTracing"
    endpoint = text_at(given, "tracing.endpoint")
    if "//" in endpoint and (scheme := parts_of(endpoint).scheme) not in ("dns", "unix", "unix-abstract"):
        yield "tracing.endpoint", f"{endpoint!r} has the scheme {scheme!r}: none, dns, unix and unix-abstract are possible"


def _logs(given: Given, gates: Gates) -> Found:
    path = text_at(given, "podLogsDir")
    # A relative one is meant from the folder of the file.
    if not path.isascii() or (path.startswith("/") and _cleaned(path) != path):
        yield "podLogsDir", f"{path!r} is not a path in ASCII without .., // and / at its end"
    if at(given, "enableSystemLogQuery"):
        if not gates.is_on("NodeLogQuery"):
            yield "enableSystemLogQuery", "this needs the feature gate NodeLogQuery"
        if at(given, "enableSystemLogHandler") is False:
            yield "enableSystemLogQuery", "this needs enableSystemLogHandler"
    if (size := text_at(given, "containerLogMaxSize")) and _is_no_quantity(size):
        yield "containerLogMaxSize", f"{size!r} is not a quantity such as 10Mi"


def _cleaned(path: str) -> str:
    # Python keeps two slashes in front, as POSIX has it; Go does not.
    return posixpath.normpath(path).replace("//", "/")


def _run_once(given: Given, gates: Gates) -> Found:
    if at(given, "runOnce") and gates.minor >= 32:
        yield "runOnce", "the kubelet refuses this mode since Kubernetes 1.32"


def _is_no_quantity(text: str) -> bool:
    try:
        canonical(text)
    except ValueError:
        return True
    return text != text.strip()


def _is_negative(text: str) -> bool:
    return canonical(text).startswith("-")


def _reserved(given: Given, _: Gates) -> Found:
    for field in ("kubeReserved", "systemReserved"):
        for name, text in (at(given, field) or {}).items():
            if name not in _RESERVABLE:
                yield f"{field}.{name}", f"{name!r} is none of {', '.join(_RESERVABLE)}"
            elif not isinstance(text, str) or _is_no_quantity(text) or _is_negative(text):
                yield f"{field}.{name}", f"{text!r} is not a quantity such as 500m or 1Gi"
    for name, text in (at(given, "qosReserved") or {}).items():
        if name != "memory":
            yield f"qosReserved.{name}", f"{name!r} is not memory"
        elif not isinstance(text, str) or not _WHOLE_PERCENT.fullmatch(text) or not 0 <= int(text.rstrip("%")) <= 100:
            yield f"qosReserved.{name}", f"{text!r} is not in 0% to 100%"


def _evictions(given: Given, _: Gates) -> Found:
    grace = at(given, "evictionSoftGracePeriod") or {}
    for field in ("evictionHard", "evictionSoft"):
        for signal, text in (at(given, field) or {}).items():
            if not _is_amount(text, may_be_zero=isinstance(text, str) and text.endswith("%")) or _percent(text) > 100:
                yield f"{field}.{signal}", f"{text!r} is neither a quantity such as 100Mi, above 0, nor 0% to 100%"
    for signal, text in (at(given, "evictionSoft") or {}).items():
        # These two switch a signal off, and so need no time.
        if signal not in grace and text not in ("0%", "100%"):
            yield f"evictionSoft.{signal}", "this needs the same signal in evictionSoftGracePeriod"
    for signal, text in grace.items():
        if _is_no_time(text):
            yield f"evictionSoftGracePeriod.{signal}", f"{text!r} is not a duration such as 1m30s"
    for signal, text in (at(given, "evictionMinimumReclaim") or {}).items():
        if not _is_amount(text, may_be_zero=isinstance(text, str) and not text.endswith("%")):
            yield f"evictionMinimumReclaim.{signal}", f"{text!r} is neither a quantity such as 100Mi nor more than 0%"


def _percent(text: Any) -> float:
    return float(text.rstrip("%")) if isinstance(text, str) and _PERCENT.fullmatch(text) else 0


def _is_amount(text: Any, *, may_be_zero: bool) -> bool:
    if not isinstance(text, str):
        return False
    if text.endswith("%"):
        return bool(_PERCENT.fullmatch(text)) and (_percent(text) > 0 or (may_be_zero and _percent(text) == 0))
    return not _is_no_quantity(text) and not _is_negative(text) and (may_be_zero or canonical(text) != "0")


def _is_no_time(text: Any) -> bool:
    try:
        return Duration.parse(str(text)) < 0
    except ValueError:
        return True


def _sysctls(given: Given, gates: Gates) -> Found:
    path = "defaultPodSysctls"
    found = at(given, path) or {}
    if found and not gates.is_on("DefaultPodSysctls"):
        yield path, "this needs the feature gate DefaultPodSysctls"
    for name in found:
        if len(name) > 253 or not _SYSCTL.fullmatch(name):
            yield f"{path}.{name}", f"{name!r} is not the name of a sysctl"
        elif (plain := name.replace("/", ".")) not in _OF_PODS and not plain.startswith(_NAMESPACED):
            yield f"{path}.{name}", f"{name!r} is for a whole node: a pod has none of its own"


RULES: tuple[Rule, ...] = (
    feature_gates,
    hidden_metrics,
    logging,
    _cgroups,
    _images,
    _cpus,
    _taints,
    _shutdown,
    _restarts,
    _memory,
    _swap,
    _namespaces,
    _tracing,
    _logs,
    _run_once,
    _reserved,
    _evictions,
    _sysctls,
    needs_gate("serverTLSBootstrap", "RotateKubeletServerCertificate"),
    needs_gate("topologyManagerPolicyOptions", "TopologyManagerPolicyOptions"),
)
