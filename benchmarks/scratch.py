"""Where benchmarks put what they write to a disk."""

from __future__ import annotations

import tempfile

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


_BUILD = Path(__file__).parent.parent / "build"


@contextmanager
def scratch() -> Iterator[Path]:
    """A directory that is gone in the end; in ``build``, as ``/tmp`` may be in memory."""
    _BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=_BUILD) as name:
        yield Path(name)
