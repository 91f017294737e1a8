"""The key of the dashboard, and the addresses that have it: a file of the home that its owner alone may read."""

import fcntl
import os
import secrets
from html import escape

from archgw.home import Home, write_private
from router_service.shell.private import open_private


def key(at: Home) -> str:
    """Made once and kept, so that a page that is open goes on when the gateway is started anew."""
    with os.fdopen(open_private(at.dashboard_key, os.O_RDWR), "r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # who comes second finds that of the first
        known = file.read().strip()
        if not known:
            known = secrets.token_urlsafe(24)
            file.write(known)
        return known


def address(at: Home, url: str) -> str:
    """Where a browser finds the page, with the key behind '#', which no browser sends anywhere."""
    return f"{url}/#key={key(at)}"


def way_in(at: Home, url: str) -> str:
    """A file that leads a browser there: its arguments, which everybody on the machine can read, shall hold no key."""
    file = at.run / "dashboard.html"
    where = escape(address(at, url), quote=True)
    write_private(
        file, f'<!doctype html><meta http-equiv="refresh" content="0; url={where}"><a href="{where}">open</a>\n'
    )
    return file.as_uri()
