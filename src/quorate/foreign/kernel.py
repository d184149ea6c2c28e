"""System calls that Python does not have: when a file was born, a rename that replaces nothing, and one that exchanges two."""

from __future__ import annotations

import errno
import os
import stat
import sys
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ctypes import CDLL

_AT_EMPTY_PATH, _STATX_BTIME = 0x1000, 0x800
_RENAME_NOREPLACE, _RENAME_EXCHANGE = 1, 2
_OVERLAY = 0x794C7630
_ORDER = sys.byteorder
_STATX_BYTES, _STATFS_BYTES = 256, 256
_BTIME_AT = 80
"""The offset of stx_btime in `struct statx` (linux/stat.h): 8 bytes of seconds, 4 of nanoseconds. stx_mask is the first."""

_HAS_NO_FLAG = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM)
"""What a file system, a kernel, or a filter of system calls answers that does not know the call."""


@lru_cache(maxsize=1)
def _libc() -> CDLL:
    # Most commands need neither call.
    import ctypes

    return ctypes.CDLL(None, use_errno=True)


def born_ns(fd: int) -> int:
    """Returns when an open file was made, in nanoseconds since the epoch; 0 where its file system does not know.

    An inode number is given to the next file at once, a moment is not. An overlay counts as one that does not know: it shows
    the moment of the lower file until the first change copies that, and then the moment of the copy.
    """
    import ctypes

    call = getattr(_libc(), "statx", None)
    room = ctypes.create_string_buffer(_STATX_BYTES)
    if call is None or call(fd, b"", _AT_EMPTY_PATH, _STATX_BTIME, room) != 0:
        return 0
    if not int.from_bytes(room.raw[:4], _ORDER) & _STATX_BTIME or _is_overlay(fd):
        return 0
    seconds, part = room.raw[_BTIME_AT : _BTIME_AT + 8], room.raw[_BTIME_AT + 8 : _BTIME_AT + 12]
    return int.from_bytes(seconds, _ORDER) * 10**9 + int.from_bytes(part, _ORDER)


def _is_overlay(fd: int) -> bool:
    import ctypes

    room = ctypes.create_string_buffer(_STATFS_BYTES)
    # f_type, the first field, is a long, and 4 bytes long on s390.
    return _libc().fstatfs(fd, room) == 0 and _OVERLAY in (int.from_bytes(room.raw[:size], _ORDER) for size in (4, 8))


def rename_new(source: str, target: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
    """Gives a file or folder of an open folder another name. Raises FileExistsError, and changes nothing, where something has
    that name; other OSErrors.

    A file system without that rename has links, for files. One without both replaces what gets that name in this moment.
    """
    number = _renameat2(src_dir_fd, source, dst_dir_fd, target, _RENAME_NOREPLACE)
    if number == 0:
        return
    if number not in _HAS_NO_FLAG:
        raise OSError(number, os.strerror(number), source)
    _rename_slowly(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)


def exchange(folder: int, one: str, other: str) -> bool:
    """Exchanges two names of an open folder in one step. Returns False, and changes nothing, where this file system cannot.
    Raises OSError."""
    number = _renameat2(folder, one, folder, other, _RENAME_EXCHANGE)
    if number and number not in _HAS_NO_FLAG:
        raise OSError(number, os.strerror(number), other)
    return not number


def _renameat2(source_folder: int, source: str, target_folder: int, target: str, flag: int) -> int:
    """Returns the number of the error, 0 for none."""
    import ctypes

    call = getattr(_libc(), "renameat2", None)
    if call is None:
        return errno.ENOSYS
    ended = call(source_folder, os.fsencode(source), target_folder, os.fsencode(target), flag)
    return ctypes.get_errno() if ended else 0


def _rename_slowly(source: str, target: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
    if not stat.S_ISDIR(os.stat(source, dir_fd=src_dir_fd, follow_symlinks=False).st_mode):
        try:
            os.link(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _HAS_NO_FLAG:
                raise
        else:
            os.unlink(source, dir_fd=src_dir_fd)
            return
    with suppress(FileNotFoundError):
        os.stat(target, dir_fd=dst_dir_fd, follow_symlinks=False)
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target)
    os.rename(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
