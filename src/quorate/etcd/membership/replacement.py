"""Replaces one member by another: which of the two halves goes first, and how the command continues."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from quorate.core.absence import Absence
from quorate.core.ids import format_id, same_url
from quorate.core.invariants import Succession
from quorate.core.membership import ClusterView, Member, find_members, margin_of, pick, removal_margins, starting_advice
from quorate.core.outcome import Joined, Removed, Unchanged, as_dict
from quorate.core.quorum import fewer_may_fail
from quorate.errors import ConfigError, QuorateError, Refused, having_done
from quorate.etcd.coordination.replacements import Replacements
from quorate.etcd.membership.remove import Removal
from quorate.spelling import spelled


@dataclass(frozen=True, slots=True)
class Replacement:
    """One replacement. `absence_of` returns the proof that a voter is dead, or None. `removal_of_dead` takes a member and that
    proof, as `absence`; `removal_of_live` a member and its conditions, as `succession`. `consent`: the operator accepts a
    lower margin."""

    records: Replacements
    look: Callable[[], ClusterView]
    absence_of: Callable[[Member], Absence | None]
    removal_of_dead: Callable[..., Removal]
    removal_of_live: Callable[..., Removal]
    consent: bool = False

    def run(self, old: str, join: Callable[[], Joined], check: Callable[[], None]) -> Joined:
        """Joins the new member with `join` in the place of `old`. A live voter is removed last, when the new one serves; a
        dead voter, and a learner, are removed first. A dead voter counts against the quorum, and before 3.5.30 and 3.6.11
        etcd refuses an add next to it; a learner holds the one seat.

        Running it again continues: a record shows that an `old` which is gone was replaced by this very command. `check`
        raises for what would make the join fail. Raises `ConfigError` with nothing changed for an `old` that is no member,
        or several.
        """
        target = self.target(old)
        margin = margin_of(self.look())
        if target is None:
            result = join()
            self.records.ended()
            return result
        # Before the first change: otherwise the old member could be removed for a new one that cannot join.
        check()
        absence = None if target.is_learner else self._absence_if_silent(target)
        margin = self.records.began(target, old, margin)
        if target.is_learner or absence is not None:
            result = self._remove_then_join(target, absence, join)
        else:
            result = self._join_then_remove(target, margin, join)
        self.records.ended()
        return result

    def check(self, old: str, check: Callable[[], object]) -> tuple[Member | None, bool]:
        """Raises what `run` would raise before its first change. Returns the member that `old` names, None if an earlier run
        removed it, and whether it would be removed before the join."""
        target = self.target(old)
        if target is None:
            return None, False
        check()
        absence = None if target.is_learner else self._absence_if_silent(target)
        if not target.is_learner and absence is None:
            return target, False
        self.removal_of_dead(target, absence=absence).check()
        return target, True

    def target(self, old: str) -> Member | None:
        """Returns the member that `old` names; None if an earlier run of this replacement removed it. Raises `ConfigError`."""
        view, url = self.look(), self.records.peer_url
        if not view.linearizable:
            raise Refused(
                "the member list cannot be read through the quorum, and one member's own copy may be old",
                state="nothing was changed",
                advice=f"{starting_advice(view)}, then run the same command again",
            )
        if not find_members(view, old) and self.records.is_about(old):
            return None
        target = pick(view, old)
        if any(same_url(url, own) for own in target.peer_urls):
            raise ConfigError(f"{old!r} is itself at {url}: a member cannot replace itself", state="nothing was changed")
        self._refuse_shrinking(view, target, old)
        return target

    def _refuse_shrinking(self, view: ClusterView, target: Member, old: str) -> None:
        """Refuses a new member that has its vote already: it replaces no member. That is a mistake, such as a loop that forgot
        to change NEW, unless an earlier run of this very replacement gave the vote."""
        new = view.by_peer_urls((self.records.peer_url,))
        if new is None or new.is_learner or target.is_learner or self.consent or self.records.is_about(old):
            return
        before, after = removal_margins(view, target.id, dead=False)
        if after < before:
            raise Refused(
                f"{new.name or format_id(new.id)} is a voter already, so nothing would take the place of {target.name}: "
                f"{fewer_may_fail(after, before)}",
                state="nothing was changed",
                advice="give the name and peer URL of a new member, or accept the lower tolerance with "
                f"{spelled('--accept-reduced-tolerance')}",
            )

    def _absence_if_silent(self, target: Member) -> Absence | None:
        return self.absence_of(target) if self.look().answer(target.id) is None else None

    def _remove_then_join(self, target: Member, absence: Absence | None, join: Callable[[], Joined]) -> Joined:
        self.removal_of_dead(target, absence=absence).run()
        try:
            return join()
        except QuorateError as error:
            raise _having(Removed(target.name, target.id), "was removed before", error) from error

    def _join_then_remove(self, target: Member, margin: int, join: Callable[[], Joined]) -> Joined:
        try:
            result = join()
        except QuorateError as error:
            half = Unchanged(target.name, target.id)
            error.outcomes = (as_dict(half), *error.outcomes)
            error.state = "; ".join(filter(None, (_beyond_nothing(error), f"{_called(half)} is still a member")))
            raise
        try:
            self.removal_of_live(target, succession=Succession(result.member_id, margin)).run()
        except QuorateError as error:
            raise _having(result, "has joined", error) from error
        return result


def _having(half: Joined | Removed, words: str, error: QuorateError) -> QuorateError:
    """Returns the error of the second half of a replacement, with the half that is done."""
    error.outcomes = (as_dict(half), *error.outcomes)
    return having_done(error, f"{_called(half)} {words}")


def _beyond_nothing(error: QuorateError) -> str:
    return "" if error.state == "nothing was changed" else error.state


def _called(half: Joined | Removed | Unchanged) -> str:
    return half.name or format_id(half.member_id)
