"""The exception tree: every failure a user can meet, with a stable exit code and a stable machine-readable code.

    QuorateError                1    failed
    ├── PreflightFailed         2    a check failed before anything was changed
    ├── ConfigError             3    a file, flag or variable is wrong
    ├── Refused                 4    the step would be unsafe; nothing was changed
    ├── OutcomeUnknown          5    a change may or may not have happened; running the command again is safe
    ├── Interrupted             130  the user or the system asked us to stop
    ├── HostError               1    a file, process or port on this machine
    ├── Unforeseen              1    an exception that nobody foresaw; what was begun was rolled back all the same
    ├── JoinFailed              1    a join did not finish; says whether it was undone
    └── EtcdError               1    etcd answered with an error, or did not answer (quorate.etcd.client.errors)

Every error says what failed, what state the cluster is in now, and what to run next. 1, 2 and 3 mean what they mean
for kubeadm, because scripts depend on them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class QuorateError(Exception):
    """Base of all errors this package raises on purpose.

    `what` is the failure in one sentence; `state` says what the cluster or the files are like now; `advice` is the
    next command or action. None of the three may hold a secret.
    """

    exit_code = 1
    code = "failed"
    next_step = "read the advice"
    """For the reference: what helps in general. `advice` names the command for the case at hand."""

    def __init__(self, what: str, *, state: str = "", advice: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.state = state
        self.advice = advice
        self.outcomes: tuple[dict[str, object], ...] = ()

    def conclude(self, state: str, outcomes: tuple[dict[str, object], ...], *, unknown: bool) -> None:
        """Say how what failed has ended: `state` for people, `outcomes` for programs. When nobody knows what the cluster looks
        like now (`unknown`), that is what the exit code says, whatever failed first."""
        self.state, self.outcomes = state, outcomes
        if unknown:
            self.exit_code = OutcomeUnknown.exit_code

    def lines(self) -> list[str]:
        """What failed, one finding a line; line breaks within one are not ours."""
        return [self.what]

    def as_dict(self) -> dict[str, object]:
        """The error as `-o json` shows it."""
        shown: dict[str, object] = {
            "code": self.code,
            "message": self.what,
            "state": self.state,
            "advice": self.advice,
            "exitCode": self.exit_code,
        }
        return {**shown, "outcomes": list(self.outcomes)} if self.outcomes else shown


class PreflightFailed(QuorateError):
    """A check failed before anything was changed. `findings`: everything that was found, warnings too, as programs see it."""

    exit_code = 2
    code = "preflight"
    next_step = "fix what each finding names, then run the same command again"

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


class Refused(QuorateError):
    """The step would be unsafe, or is not meant; nothing was changed."""

    exit_code = 4
    code = "refused"
    next_step = "read why; where consent can be given, the advice names the flag"


class OutcomeUnknown(QuorateError):
    """A change may or may not have happened."""

    exit_code = 5
    code = "outcome-unknown"
    next_step = "run the same command again: it looks first"


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
    """An exception that nobody foresaw; what was begun was rolled back.

    Its text is not repeated: a library may have put a token into it.
    """

    code = "unforeseen"
    next_step = "run the same command again, and report it"


def foreseen(error: BaseException) -> QuorateError:
    """Returns the error as one of ours, to be raised from it."""
    if isinstance(error, QuorateError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return Interrupted("interrupted")
    made = Unforeseen(f"{type(error).__name__}{_place(error)}: this should not happen", advice=_REPORT)
    made.__cause__ = error
    return made


_REPORT = "run the same command again: it looks, and resumes from there; then please report this"


def _place(error: BaseException) -> str:
    """Where it arose, by module and line."""
    trace = error.__traceback__
    if trace is None:
        return ""
    while trace.tb_next is not None:
        trace = trace.tb_next
    return f" in {trace.tb_frame.f_globals.get('__name__', '?')}, line {trace.tb_lineno}"
