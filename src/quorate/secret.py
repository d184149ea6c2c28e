"""Values that must never be printed."""

from __future__ import annotations

from typing import Generic, TypeVar

_LETTERS_AND_DIGITS = "abcdefghijklmnopqrstuvwxyz0123456789"
T = TypeVar("T", bound=str | bytes)


class Secret(Generic[T]):
    """Holds a password or a private key; every textual form of it is a mask, so a log or a traceback cannot leak it."""

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value

    def reveal(self) -> T:
        """Returns the value itself; call this only to pass it to a library or to a file of mode 0600."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(("Secret", self._value))

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a Secret cannot be serialised")


def random_token() -> str:
    """Returns a bootstrap token: a public id of six characters, a dot, a secret of sixteen."""
    from random import SystemRandom  # late: every command imports this module, few make a token

    # What `secrets.choice` is, without the digests that `secrets` loads.
    choice = SystemRandom().choice
    token_id, secret = ("".join(choice(_LETTERS_AND_DIGITS) for _ in range(count)) for count in (6, 16))
    return f"{token_id}.{secret}"
