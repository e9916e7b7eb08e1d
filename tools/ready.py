"""
Wait until what a service needs is there: `python ready.py [--within SECONDS] WHAT ...`.

An address is there when it answers, a directory when this user can write to it. Standard library
only: the image brings it, for the services whose own image has nothing to look with.
"""

from __future__ import annotations

import argparse
import http.client
import os
import sys
import time
import urllib.request


_SECONDS_FOR_AN_ANSWER = 3
_SECONDS_BETWEEN = 0.5

# Engines hand the proxy of their user to every container; what is asked here is beside us.
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def missing(what: str) -> str:
    """Why it is not there; empty when it is."""
    if not what.startswith(("http://", "https://")):
        return "" if os.access(what, os.W_OK) else f"user {os.getuid()} cannot write there"
    try:
        _direct.open(what, timeout=_SECONDS_FOR_AN_ANSWER).close()
    except (OSError, http.client.HTTPException) as error:
        return str(getattr(error, "reason", "")) or str(error) or type(error).__name__
    return ""


def wait(what: str, deadline: float) -> str:
    """As `missing`, as soon as it is there or the deadline is over."""
    while (why := missing(what)) and time.monotonic() < deadline:
        time.sleep(_SECONDS_BETWEEN)
    return why


def main() -> int:
    parser = argparse.ArgumentParser(description="Wait for addresses and directories.")
    parser.add_argument("--within", metavar="SECONDS", type=float, default=120)
    parser.add_argument("what", metavar="WHAT", nargs="+")
    args = parser.parse_args()
    deadline = time.monotonic() + args.within
    failed = 0
    for what in args.what:
        if why := wait(what, deadline):
            print(f"{what} is not ready after {args.within:.0f} s: {why}", file=sys.stderr)
            failed = 1
        else:
            print(f"{what} is ready")
    return failed


if __name__ == "__main__":
    sys.exit(main())
