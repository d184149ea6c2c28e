"""Every key below /quorate/ that this tool writes, in one place, and the one that it reads elsewhere. A cluster loses nothing
when all of those below /quorate/ are deleted."""

from __future__ import annotations

import hashlib

SEATS = b"/quorate/seat/"
"""Places in the queue for the learner seat: one leased key per run."""

JOINS = b"/quorate/joins/"
"""Records of joins, without a lease: they outlive a crash."""

REPLACEMENTS = b"/quorate/replace/"
"""The member that a replacement removes, so that the same command continues when that member is gone."""

CHANGE = b"/quorate/change"
"""The lock for removals, leased."""

AUTOPILOT = b"/quorate/autopilot/"
"""Orders to the autopilot and what it did, without a lease; the key of the instance that acts is leased."""

RECOVERED = b"/quorate/recovered"
"""From which cluster this one was made anew, by which run, and what is known to be lost."""

KUBEADM_CONFIG = b"/registry/configmaps/kube-system/kubeadm-config"
"""Where a Kubernetes cluster keeps its configuration; only read."""

PROOFS = b"/quorate/align/"
"""Keys that proofs of alignment write; no other program has a reason to watch them."""


def join_key(peer_url: str) -> bytes:
    """Returns the key of a join's record. It is made from the peer URL, the one thing that a later run also knows; the member
    id in the record says which member it is about."""
    return JOINS + _short(peer_url)


def proof_key(member_id: int) -> bytes:
    """Returns the key that a proof about this member writes."""
    return PROOFS + f"{member_id:x}".encode()


def replacement_key(peer_url: str) -> bytes:
    return REPLACEMENTS + _short(peer_url)


def _short(text: str) -> bytes:
    return hashlib.sha256(text.encode()).hexdigest()[:16].encode()
