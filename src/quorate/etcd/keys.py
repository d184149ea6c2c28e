"""Every key below /quorate/ that this tool writes, in one place. A cluster loses nothing when all of them are deleted."""

from __future__ import annotations

import hashlib

SEATS = b"/quorate/seat/"
"""Places in the queue for the learner seat: one leased key a run."""

JOINS = b"/quorate/joins/"
"""Records of joins, without a lease: they outlive a crash."""

REPLACEMENTS = b"/quorate/replace/"
"""Which member a replacement was to take the place of, so that the same command continues when that one is gone."""

CHANGE = b"/quorate/change"
"""The lock for removals, leased."""

PROOFS = b"/quorate/align/"
"""What proofs of alignment write: keys that nobody else has a reason to watch."""


def join_key(peer_url: str) -> bytes:
    """The record of a join is found by the peer URL, the one thing that a later run knows as well; what it is about is the
    member id that it holds."""
    return JOINS + _short(peer_url)


def proof_key(member_id: int) -> bytes:
    """What a proof about this member writes."""
    return PROOFS + f"{member_id:x}".encode()


def replacement_key(peer_url: str) -> bytes:
    return REPLACEMENTS + _short(peer_url)


def _short(text: str) -> bytes:
    return hashlib.sha256(text.encode()).hexdigest()[:16].encode()
