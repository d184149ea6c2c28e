"""The exception tree: every failure a user can meet, with a stable exit code and a stable machine-readable code.

    QuorateError                1    failed
    ├── PreflightFailed         2    a check failed before anything was changed
    ├── ConfigError             3    a file, flag or variable is wrong
    ├── Refused                 4    the step would be unsafe; nothing was changed
    ├── OutcomeUnknown          5    a change may or may not have happened; running the command again is safe
    ├── Interrupted             130  the user or the system asked us to stop
    ├── HostError               1    a file, process or port on this machine
    ├── PartlyDone              1    a later step was refused, after others were done
    ├── Unforeseen              1    an unexpected exception; what was begun was rolled back
    ├── JoinFailed              1    a join did not finish; says whether it was undone
    └── EtcdError               1    etcd answered with an error, or did not answer (quorate.etcd.client.errors)

Every error says what failed, what state the cluster is in now, and what to run next. 1, 2 and 3 have kubeadm's meaning,
because scripts depend on it.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from typing import ClassVar

from quorate.spelling import spelled


class QuorateError(Exception):
    """Base of all errors this package raises on purpose.

    `what` is the failure in one sentence; `state` describes the cluster or the files now, where there is something to say;
    `advice` is the next command or action. None of the three may hold a secret.
    """

    exit_code = 1
    code = "failed"
    next_step = "fix the cause that the message names, then run the same command again"
    """What helps in general: the advice of an error that has none of its own. It is never wrong, whatever failed. `{options}`
    are the `options`, as whoever reads it passes them."""
    options: ClassVar[tuple[str, ...]] = ()

    def __init__(self, what: str, *, state: str = "", advice: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.state = state
        self.own_advice = advice
        self.outcomes: tuple[dict[str, object], ...] = ()

    @property
    def advice(self) -> str:
        """The next command or action: that of this failure (`own_advice`), or else what helps in general. Never empty."""
        return self.own_advice or self.in_general()

    @advice.setter
    def advice(self, text: str) -> None:
        self.own_advice = text

    @classmethod
    def in_general(cls) -> str:
        """Returns `next_step` with its options."""
        return cls.next_step.replace("{options}", spelled(*cls.options)) if cls.options else cls.next_step

    def conclude(self, state: str, outcomes: tuple[dict[str, object], ...], *, unknown: bool) -> None:
        """Records how the failed run ended: `state` for people, `outcomes` for programs. When the state of the cluster is
        unknown (`unknown`), the exit code says so, whatever failed first."""
        self.state, self.outcomes = state, outcomes
        if unknown:
            self.exit_code = OutcomeUnknown.exit_code

    def lines(self) -> list[str]:
        """Returns what failed, one finding a line; a line break inside a finding is part of foreign text."""
        return [self.what]

    def as_dict(self) -> dict[str, object]:
        """Returns the error as `-o json` shows it."""
        shown: dict[str, object] = {
            "code": self.code,
            "message": self.what,
            "state": self.state,
            "advice": self.advice,
            "exitCode": self.exit_code,
        }
        return {**shown, "outcomes": list(self.outcomes)} if self.outcomes else shown


class PreflightFailed(QuorateError):
    """A check failed before anything was changed. `findings`: all findings, warnings included, as `-o json` shows them."""

    exit_code = 2
    code = "preflight"
    next_step = "fix what the message names, then run the same command again"

    def __init__(self, what: str, *, state: str = "", advice: str = "", findings: Sequence[Mapping[str, str]] = ()) -> None:
        super().__init__(what, state=state, advice=advice)
        self.findings = tuple(findings)

    def as_dict(self) -> dict[str, object]:
        shown = super().as_dict()
        return {**shown, "findings": [dict(row) for row in self.findings]} if self.findings else shown


class ConfigError(QuorateError):
    """A file, a flag or a variable is wrong; nothing was changed."""

    exit_code = 3
    code = "config"
    next_step = "correct what the message names"


class UsageProblem(ConfigError):
    """The command line is wrong: an unknown option, a missing argument, a value that is not allowed; nothing was changed."""

    code = "usage"
    next_step = "see the command's --help"


class NoSuchMember(ConfigError):
    """The cluster has no member of that name, id or peer URL; nothing was changed. A removal that is run again ends so."""

    code = "no-such-member"
    next_step = "quorate etcd members shows them"


class Refused(QuorateError):
    """The step is unsafe, or impossible in the present state; nothing was changed."""

    exit_code = 4
    code = "refused"
    next_step = "change what the message names, then run the same command again; quorate help COMMAND lists its options"


class PartlyDone(QuorateError):
    """A later step was refused, or failed its check, after others were done. `state` names what was done; `reason` is what
    would have ended the command with nothing changed, as the first step."""

    code = "partly-done"
    next_step = "fix what the message names, then run the same command again: it resumes"

    def __init__(self, reason: QuorateError, state: str) -> None:
        super().__init__(reason.what, state=state, advice=reason.advice)
        self.reason, self.outcomes = reason, reason.outcomes

    def lines(self) -> list[str]:
        return self.reason.lines()

    def as_dict(self) -> dict[str, object]:
        return {**self.reason.as_dict(), **super().as_dict(), "reason": self.reason.code}


_UNCHANGED = "nothing was changed"


def having_done(error: QuorateError, done: str) -> QuorateError:
    """Returns the error of a run that had changed something before it failed, with a state that says what. The exit codes of
    a check, a configuration and a refusal would claim that nothing was changed: such an error becomes a `PartlyDone`."""
    # What follows may be so all the same; that nothing was changed is not.
    rest = [one for one in error.state.split("; ") if one != _UNCHANGED]
    state = "; ".join(filter(None, (*rest, done)))
    if isinstance(error, PreflightFailed | ConfigError | Refused):
        return PartlyDone(error, state)
    error.state = state
    return error


class OutcomeUnknown(QuorateError):
    """A change may or may not have happened."""

    exit_code = 5
    code = "outcome-unknown"
    next_step = "run the same command again: it first looks at the cluster"


class Interrupted(QuorateError):
    """A signal or the caller asked to stop; `state` says what was rolled back."""

    exit_code = 130
    code = "interrupted"
    next_step = "run the same command again"


class HostError(QuorateError):
    """A file, a process or a port of this machine is in the way."""

    code = "host"
    next_step = "fix what the message names on this host"


class JoinFailed(QuorateError):
    """A join did not finish; `outcomes` says how each member ended."""

    code = "join-failed"
    next_step = "fix the cause, then run the same command again"


class Unforeseen(QuorateError):
    """An unexpected exception; what was begun was rolled back.

    Its text is not shown: a library may have put a token into it.
    """

    code = "unforeseen"
    next_step = "run the same command again, and report the error"


def foreseen(error: BaseException) -> QuorateError:
    """Returns `error` as a `QuorateError`: itself when it is one, else a new error with the original as its cause."""
    if isinstance(error, QuorateError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return Interrupted("interrupted")
    if isinstance(error, PermissionError) and error.filename is not None:
        return _not_permitted(error)
    if isinstance(error, OSError) and error.errno in _OF_THE_HOST:
        return _of_the_host(error, error.errno)
    made = Unforeseen(f"{type(error).__name__}{_place(error)}: this should not happen", advice=_REPORT)
    made.__cause__ = error
    return made


_REPORT = "run the same command again, and please report this error"


_OF_THE_HOST = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space, or raise the quota of this user",
    errno.EROFS: "mount it read-write, or choose another folder",
    errno.EIO: "look at the disk: dmesg",
    errno.EMFILE: "raise the limit: ulimit -n",
    errno.ENFILE: "raise the limit: sysctl fs.file-max",
    errno.ENOMEM: "free some memory",
}
"""What no code can foresee at each line, and no code is at fault for."""


def _of_the_host(error: OSError, number: int) -> HostError:
    where = f" ({error.filename})" if isinstance(error.filename, str) else ""
    made = HostError(f"{error.strerror}{where}", advice=f"{_OF_THE_HOST[number]}, then run the same command again")
    made.__cause__ = error
    return made


def _not_permitted(error: PermissionError) -> HostError:
    """Returns the error for a path that this user may not use: every look at a file may meet one, and no traceback helps."""
    path = error.filename.decode(errors="replace") if isinstance(error.filename, bytes) else str(error.filename)
    made = HostError(
        f"this user may not use {path}: {error.strerror}",
        advice="run this as root, or as the user to whom that path belongs",
    )
    made.__cause__ = error
    return made


def _place(error: BaseException) -> str:
    """Returns where the exception was raised, by module and line."""
    trace = error.__traceback__
    if trace is None:
        return ""
    while trace.tb_next is not None:
        trace = trace.tb_next
    return f" in {trace.tb_frame.f_globals.get('__name__', '?')}, line {trace.tb_lineno}"
