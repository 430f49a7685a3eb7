"""Tells what a living process is writing from what a dead one left behind.

The owner holds a lock on its file or folder; the system lets go of it when the process ends, however it ends. Since a
moment passes between making a file and locking it, and since some network file systems know no locks between hosts,
the name says host and process, too.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import socket
import time
from pathlib import Path
from typing import Final

__all__ = ["hold", "is_abandoned", "owned_name", "release"]

_OWNED: Final = re.compile(r"\.(?P<host>[0-9a-f]{8})-(?P<process>\d+)-[0-9a-f]{12}\.[a-z]+$")
_DAY_S: Final = 86_400.0


def owned_name(name: str, suffix: str) -> str:
    """A hidden name that no other file has: `name`, who makes it, chance, and `suffix`."""
    return f".{name}.{_host()}-{os.getpid()}-{secrets.token_hex(6)}.{suffix}"


def hold(path: Path) -> int | None:
    """Lock `path`, a file or folder that this process has made; None where the system has no such locks."""
    if os.name != "posix":
        return None
    import fcntl

    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError:  # a file system without locks
        os.close(descriptor)
        return None
    return descriptor


def release(held: int | None) -> None:
    """Give back what `hold` returned."""
    if held is not None:
        os.close(held)


def is_abandoned(path: Path) -> bool:
    """Whether whoever made `path` is surely gone.

    Nobody holds its lock, and: the process that its name tells of is no more on this host, or nothing has been
    written there for a day. Where there is doubt it is not.
    """
    if os.name != "posix":
        return False
    import fcntl

    try:
        age_s = time.time() - path.stat().st_mtime
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    match = _OWNED.search(path.name)
    gone = match is not None and match["host"] == _host() and not _lives(int(match["process"]))
    return gone or age_s > _DAY_S


def _host() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def _lives(process: int) -> bool:
    with contextlib.suppress(ProcessLookupError, OverflowError):
        try:
            os.kill(process, 0)
        except PermissionError:
            return True
        return True
    return False
