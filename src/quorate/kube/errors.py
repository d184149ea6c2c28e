"""What the API server may answer.

KubeError            1   the API server answered with an error
├── NotFound             no such object
├── AlreadyExists        an object of that name is there
├── Conflict             somebody else changed it meanwhile
├── Denied               we may not do this
│   └── Unauthorized     it does not know who we are
├── Untrusted            its certificate is not to be trusted
└── Unreachable          no answer, or one that says to come again
"""

from __future__ import annotations

from quorate.errors import QuorateError

_MOST_MESSAGE = 1000


class KubeError(QuorateError):
    code = "kubernetes"


class NotFound(KubeError):
    code = "kubernetes-not-found"


class AlreadyExists(KubeError):
    code = "kubernetes-exists"


class Conflict(KubeError):
    code = "kubernetes-conflict"


class Denied(KubeError):
    code = "kubernetes-denied"


class Unauthorized(Denied):
    code = "kubernetes-unauthorized"


class Untrusted(KubeError):
    """Asking again will not help."""

    code = "kubernetes-untrusted"


class Unreachable(KubeError):
    """Asking again may help; whether a change was made is not known."""

    code = "kubernetes-unreachable"


def from_status(status: int, what: str, message: str, reason: str) -> KubeError:
    """The error for an HTTP status; `reason` is the API's own word. Of a longer message the beginning is kept: whoever wrote it
    may not be trusted yet."""
    text = f"{what}: {(message or reason)[:_MOST_MESSAGE] or f'HTTP {status}'}"
    if status == 404:
        return NotFound(text)
    if status == 409:
        return AlreadyExists(text) if reason == "AlreadyExists" else Conflict(text)
    if status in (401, 403):
        return (Unauthorized if status == 401 else Denied)(
            text, advice="check the kubeconfig: who it logs in as, and for which cluster"
        )
    if status == 429 or status >= 500:
        return Unreachable(text)
    return KubeError(text)
