"""What is fetched or built once and kept, keyed by the files that it is made from."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
import time

from collections.abc import Callable, Sequence
from pathlib import Path


def cache_directory() -> Path:
    """Where what was made once stays."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "otelope"


def cached(name: str, inputs: Sequence[Path], make: Callable[[Path], Path]) -> Path:
    """
    The file or folder that is made from these inputs; made if it is not there.

    Args:
        name: Of the thing; its key follows.
        inputs: Files whose content decides what it is.
        make: Makes it in the empty folder that it is given, and says where in there it is.
    """
    digest = hashlib.sha256()
    for path in inputs:
        digest.update(path.read_bytes())
    kept = cache_directory() / f"{name}-{digest.hexdigest()[:16]}"
    kept.parent.mkdir(parents=True, exist_ok=True)
    with kept.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            _make(name, kept, make)
    return kept


def _make(name: str, kept: Path, make: Callable[[Path], Path]) -> None:
    print(f"{name}: is not there yet, making it", flush=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(dir=kept.parent) as scratch:
        # Renamed at the end: what exists is complete.
        make(Path(scratch)).rename(kept)
    print(f"{name}: made in {time.monotonic() - started:.0f} s", flush=True)
