"""Check ImagePull: every image the node will run is there, or the container runtime fetches it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from quorate.core.finding import Finding
from quorate.host.cri import CriError, Runtime

_TRIES = 5


def pull(socket: str, images: Sequence[str], policy: str, told: Callable[[str], None]) -> Iterator[Finding]:
    """One finding for each image that cannot be had. `policy`: Always, IfNotPresent or Never. `told`: what is fetched now."""
    if policy == "Never":
        return
    with Runtime.connect(socket) as runtime:
        for image in images:
            problem = _fetch(runtime, image, policy, told)
            if problem:
                yield Finding("ImagePull", "error", f"{image} cannot be fetched: {problem}")


def _fetch(runtime: Runtime, image: str, policy: str, told: Callable[[str], None]) -> str:
    """What went wrong, empty when nothing did. A registry that fails once is asked again, as kubeadm does."""
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
