"""
Files of OTLP requests, in a directory that belongs to one process at a time.

A segment is whole requests (``ExportLogsServiceRequest`` or its likes), one behind the other,
which by the rules of protobuf is one request itself: what no process delivers any more can be
posted to a collector as it is. Its name is when it was begun, in Unix nanoseconds.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time

from pathlib import Path


try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_SUFFIX = ".otlp"
_UNFINISHED = ".part"
_DAMAGED = ".damaged"
_NOT_OURS = (BlockingIOError, FileNotFoundError, NotADirectoryError, PermissionError)
# Seconds before a disk that failed is tried again.
RETRY_AFTER = 30.0
# Payloads are nobody else's to read.
_FOLDER_MODE, _FILE_MODE = 0o700, 0o600
# The data, and of the metadata only what is needed to read it.
synchronize = getattr(os, "fdatasync", os.fsync)


class Lease:
    """
    A directory of segments, this process's as long as the lock on it is held.

    The lock is the kernel's (``flock``): it ends with the process, however that ends.

    Args:
        folder: The directory.
        lock: Its descriptor, locked.
    """

    def __init__(self, folder: Path, lock: int) -> None:
        self.folder = folder
        self._lock = lock
        self._newest = 0

    def segments(self) -> list[tuple[Path, int]]:
        """What is in it, with the sizes in bytes."""
        try:
            return [(path, path.stat().st_size) for path in self.folder.glob(f"*{_SUFFIX}")]
        except OSError:
            return []

    def cleared(self) -> bool:
        """Without what was never finished, is there anything? If not, it is removed."""
        with contextlib.suppress(OSError):
            for path in self.folder.glob(f"*{_UNFINISHED}"):
                path.unlink()
        return self.remove()

    def new_segment(self, request: bytes) -> Path:
        """
        Begin a segment with this.

        Raises:
            OSError: It cannot be written; then nothing is there.
        """
        self._newest = max(self._newest + 1, time.time_ns())
        path = self.folder / f"{self._newest:020}{_SUFFIX}"
        replace(path, request)
        os.fsync(self._lock)  # its name; the descriptor is the directory's
        return path

    def remove(self) -> bool:
        """Remove it, if no segment is left in it, and let go of it; whether it was."""
        try:
            self.folder.rmdir()
        except OSError:
            return False
        self.leave()
        return True

    def end(self) -> None:
        """Remove it, or leave what is in it to another process; may be called again."""
        if not self.remove():
            self.leave()

    def leave(self) -> None:
        """Let go of it: another process may have it, or, in a forked child, the parent has."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def make_root(root: Path) -> str | None:
    """Make the directory that leases are in; why none can be, if so."""
    if fcntl is None:
        return "it takes locks that only POSIX systems have"
    try:
        root.mkdir(_FOLDER_MODE, parents=True, exist_ok=True)
    except OSError as error:
        return error.strerror or str(error)
    return None if os.access(root, os.R_OK | os.W_OK | os.X_OK) else "it is not writable"


def lease_of(held: Lease | None, root: Path) -> Lease:
    """
    A directory of this process's own: the one held, or a new one where there is none any more.

    Raises:
        OSError: It cannot be made.
    """
    if held is not None:
        if held.folder.exists():
            return held
        held.leave()
    while True:
        folder = root / f"{os.getpid()}-{secrets.token_hex(4)}"
        folder.mkdir(_FOLDER_MODE, parents=True)
        # None: another process took it for one left behind, and removed it.
        if (lease := _lease(folder)) is not None:
            return lease


def leases_left(root: Path) -> list[Lease]:
    """The directories whose processes have ended, but for the empty ones, which are removed."""
    try:
        leases = [_lease(folder) for folder in root.iterdir()]
    except OSError:
        return []
    return [lease for lease in leases if lease is not None and not lease.cleared()]


def _lease(folder: Path) -> Lease | None:
    """
    The lease of a directory; None when it is another's, or gone.

    Raises:
        OSError: It cannot be had, as on a file system without locks.
    """
    lock = -1
    with contextlib.suppress(*_NOT_OURS):
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # It may have been removed since it was opened.
            if os.fstat(lock).st_ino == folder.stat().st_ino:
                lease, lock = Lease(folder, lock), -1
                return lease
        finally:
            if lock >= 0:
                os.close(lock)
    return None


def bytes_in(root: Path) -> int:
    """What the segments of all processes take."""
    size = 0
    with contextlib.suppress(OSError):
        for folder in root.iterdir():
            with contextlib.suppress(OSError), os.scandir(folder) as files:
                size += sum(file.stat().st_size for file in files)
    return size


def append(path: Path, request: bytes) -> None:
    """
    Write a request behind what a segment holds: all of it and for good, or nothing.

    Raises:
        OSError: It cannot be written.
    """
    file = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        write(file, request)
        synchronize(file)
    finally:
        os.close(file)


def write(file: int, request: bytes) -> None:
    """
    Append to an open segment, without waiting for the disk.

    Raises:
        OSError: It cannot be written; then nothing of it is.
    """
    size = os.fstat(file).st_size
    rest = memoryview(request)
    try:
        while rest:
            rest = rest[os.write(file, rest) :]
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(file, size)
        raise


def replace(path: Path, request: bytes) -> None:
    """
    Let a segment hold this request instead: at once, or not at all.

    Raises:
        OSError: It cannot be written.
    """
    beside = path.with_suffix(_UNFINISHED)
    try:
        file = os.open(beside, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, _FILE_MODE)
        try:
            write(file, request)
            synchronize(file)
        finally:
            os.close(file)
        beside.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise


def set_aside(path: Path) -> None:
    """Keep for people what cannot be read as a segment."""
    with contextlib.suppress(OSError):
        path.replace(path.with_suffix(_DAMAGED))
