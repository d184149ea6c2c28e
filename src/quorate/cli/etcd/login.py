"""Who asks etcd, and with which password: from a flag, a variable or a prompt, in this order."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quorate.errors import ConfigError
from quorate.secret import Secret

if TYPE_CHECKING:
    from quorate.etcd.client.endpoint import Login

_MOST_PASSWORD = 1 << 16


def login(given: dict[str, Any], ranks: Mapping[str, int]) -> Login | None:
    """Returns who asks. The password comes from a flag before a variable, and from a variable before a prompt. A flag that is
    given is used, or is an error: one that a forgotten variable replaces asks as another user, or fails for no visible reason.
    """
    from quorate.etcd.client.endpoint import Login

    by_flag = ranks.get("password_file") == 0
    if not given["user"]:
        if by_flag:
            raise ConfigError("--password-file without a user", state="nothing was sent", advice="pass --user as well")
        return None
    # ETCDCTL_USER may contain user:password, as with etcdctl. On the command line `_refuse_unsafe` has refused that.
    user, _, password = given["user"].partition(":")
    if by_flag:
        return Login(user, Secret(_from_file(given["password_file"])))
    return Login(user, Secret(password or _password(given, user)))


def _from_file(name: str) -> str:
    from quorate.foreign.local_files import read_at_most

    try:
        return read_at_most(Path(name), _MOST_PASSWORD).decode().rstrip("\n")
    except UnicodeDecodeError:
        raise ConfigError(f"the password file {name} is not UTF-8 text") from None


def _password(given: dict[str, Any], user: str) -> str:
    if given["password"]:
        return str(given["password"])
    if given["password_file"]:
        return _from_file(given["password_file"])
    if sys.stdin.isatty():
        from quorate.cli.common.signals import asking

        with asking():
            return str(click.prompt(f"Password of {user}", hide_input=True, err=True))
    raise ConfigError(f"no password for {user}", advice="set ETCDCTL_PASSWORD or pass --password-file")
