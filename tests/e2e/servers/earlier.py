"""libfaketime: programs whose clock is behind."""

from __future__ import annotations

import glob

from tests.e2e.servers.processes import Missing


# Debian's; between them is the machine's architecture.
LIBRARY = "/usr/lib/*/faketime/libfaketimeMT.so.1"


def earlier(seconds: int) -> dict[str, str]:
    """
    What a program must find in its environment to live so long ago; its monotonic clock is true.

    Raises:
        Missing: libfaketime is.
    """
    found = glob.glob(LIBRARY)  # noqa: PTH207 - Path has no absolute patterns
    if not found:
        raise Missing("libfaketime is not installed: apt-get install libfaketime")
    return {"LD_PRELOAD": found[0], "FAKETIME": f"-{seconds}", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
