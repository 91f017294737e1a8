"""Files and sockets that their owner alone may open."""

import errno
import os
from pathlib import Path


def open_private(path: Path, flags: int) -> int:
    """A file descriptor of a file that only its owner may read, made where there is none. Follows no link."""
    opened = os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    os.fchmod(opened, 0o600)
    return opened


def make_private(file: Path) -> None:
    """Before anything is in it, and its folder where there is none: SQLite gives the files beside it the same.

    A database that is there is never opened: closing it again would drop all locks that this process holds on it
    (fcntl), and whoever reads it next would take himself for the only one and throw away what is written after.
    """
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
    except FileExistsError:
        if file.is_symlink():
            raise OSError(errno.ELOOP, "is a link, which may lead anywhere", str(file)) from None
        file.chmod(0o600)


def make_way(socket: Path) -> None:
    """For a socket that is to be there."""
    socket.unlink(missing_ok=True)


def close_to_others(socket: Path) -> None:
    """A socket that is there already."""
    socket.chmod(0o600)
