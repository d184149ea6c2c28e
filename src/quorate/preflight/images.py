"""Check ImagePull: every image that the node will run is present, or the container runtime pulls it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from quorate.core.finding import Finding
from quorate.host.cri import CriError, Runtime

_TRIES = 5


def pull(socket: str, images: Sequence[str], policy: str, told: Callable[[str], None]) -> Iterator[Finding]:
    """Yields a finding for each image that cannot be pulled. `policy`: Always, IfNotPresent or Never. `told`: called with each
    image before it is pulled."""
    if policy == "Never":
        return
    with Runtime.connect(socket) as runtime:
        for image in images:
            problem = _fetch(runtime, image, policy, told)
            if problem:
                yield Finding("ImagePull", "error", f"{image} cannot be pulled: {problem}")


def _fetch(runtime: Runtime, image: str, policy: str, told: Callable[[str], None]) -> str:
    """Returns what went wrong, empty when nothing did. A failed pull is tried five times in all, as in kubeadm."""
    problem = ""
    for _ in range(_TRIES):
        try:
            if policy == "IfNotPresent" and runtime.has_image(image):
                return ""
            told(image)
            runtime.ensure_image(image, policy=policy)
        except CriError as error:
            problem = error.what
        else:
            return ""
    return problem
