"""Errors of the API server.

KubeError            1   the API server answered with an error
├── NotFound             no such object
├── AlreadyExists        an object of that name is there
├── Conflict             another client changed it meanwhile
├── Denied               we are not allowed to do this
│   └── Unauthorized     it does not know who we are
├── Untrusted            its certificate is not trusted
└── Unreachable          no answer, or one that asks to retry
"""

from __future__ import annotations

from quorate.errors import QuorateError

_MOST_MESSAGE = 1000


class KubeError(QuorateError):
    """The API server answered with an error."""

    code = "kubernetes"
    next_step = "read its message"


class NotFound(KubeError):
    """There is no such object."""

    code = "kubernetes-not-found"
    next_step = "check its name and namespace"


class AlreadyExists(KubeError):
    """An object of that name exists."""

    code = "kubernetes-exists"
    next_step = "use or delete it"


class Conflict(KubeError):
    """Another client changed the object meanwhile."""

    code = "kubernetes-conflict"
    next_step = "run the same command again"


class Denied(KubeError):
    """The user of the kubeconfig is not allowed to do this."""

    code = "kubernetes-denied"
    next_step = "check the kubeconfig: its user and its cluster"


class Unauthorized(Denied):
    """The API server does not know the user of the kubeconfig."""

    code = "kubernetes-unauthorized"
    next_step = "renew the kubeconfig"


class Untrusted(KubeError):
    """The API server's certificate is not trusted. A retry does not help."""

    code = "kubernetes-untrusted"
    next_step = "check the pinned key or the CA"


class Unreachable(KubeError):
    """The API server did not answer, or was too busy. A retry may help. It is unknown whether a change was made."""

    code = "kubernetes-unreachable"
    next_step = "check that the API server runs; run the same command again"


def from_status(status: int, what: str, message: str, reason: str) -> KubeError:
    """Returns the error for an HTTP status. `reason`: the API's own code. A message is cut at 1000 characters: its sender may
    not be trusted yet."""
    text = f"{what}: {(message or reason)[:_MOST_MESSAGE] or f'HTTP {status}'}"
    if status == 404:
        return NotFound(text)
    if status == 409:
        return AlreadyExists(text) if reason == "AlreadyExists" else Conflict(text)
    if status in (401, 403):
        return (Unauthorized if status == 401 else Denied)(text, advice="check the user and the cluster of the kubeconfig")
    if status == 429 or status >= 500:
        return Unreachable(text)
    return KubeError(text)
