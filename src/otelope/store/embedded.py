"""chDB: the ClickHouse engine inside this process, on a directory that nobody else has open."""

from __future__ import annotations

import os
import tempfile
import threading

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from otelope.store.engine import clause, quoted
from otelope.store.errors import CannotOpenError, StoreError


if TYPE_CHECKING:
    from chdb.state.sqlitelike import Connection

_DATABASE = "otelope"


class EmbeddedEngine:
    """
    The engine on a directory.

    Reads and writes go through a connection each, so that a question does not wait for an
    insert; the engine runs one statement per connection at a time.

    Raises:
        CannotOpenError: chDB is missing, or the directory is in use or cannot be written.
    """

    def __init__(self, directory: Path) -> None:
        self._failure, connect = _chdb()
        self.where = str(directory)
        self.database = _DATABASE
        self._lock = _lock(directory)
        try:
            self._path = str(directory / "engine")
            self._writer = self._connect(connect)
            self._reader = self._connect(connect)
        except CannotOpenError:
            os.close(self._lock)
            raise
        self._writing = threading.Lock()
        self._reading = threading.Lock()
        self._closed = False

    def run(self, statement: str) -> None:
        """As `Engine.run`."""
        with self._writing:
            self._query(self._writer, statement, "Null", {})

    def read(
        self, statement: str, parameters: Mapping[str, str], form: str = "JSONCompactEachRow"
    ) -> bytes:
        """As `Engine.read`."""
        with self._reading:
            return self._query(self._reader, statement, form, parameters)

    def write(
        self,
        statement: str,
        rows: bytes,
        settings: Mapping[str, str | int],
        form: str = "RowBinary",
    ) -> None:
        """As `Engine.write`."""
        # Not Connection.send_insert: in chDB 26.9 its finish() says that rows were written when
        # their commit has failed, on a full disk for one.
        with _readable(rows) as path, self._writing:
            source = f"FROM INFILE {quoted(path)} {clause(settings)} FORMAT {form}"
            self._query(self._writer, f"{statement} {source}", "Null", {})

    def close(self) -> None:
        """As `Engine.close`."""
        with self._writing, self._reading:
            if self._closed:
                return
            self._closed = True
            self._reader.close()
            self._writer.close()
        os.close(self._lock)

    def _connect(self, connect: type[Connection]) -> Connection:
        try:
            connection = connect(self._path)
            connection.query(f"CREATE DATABASE IF NOT EXISTS {_DATABASE}")
            connection.query(f"USE {_DATABASE}")
        except self._failure as error:
            raise CannotOpenError(
                f"The store in {self._path} cannot be opened: {_first_line(error)}"
            ) from None
        return connection

    def _query(
        self, connection: Connection, statement: str, form: str, parameters: Mapping[str, str]
    ) -> bytes:
        self._check_open()
        try:
            answer = connection.query(statement, form, params=dict(parameters))
        except self._failure as error:
            raise StoreError(_first_line(error)) from None
        data: bytes = answer.bytes() or b""
        return data

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError("The store is closed.")


def _chdb() -> tuple[tuple[type[Exception], ...], type[Connection]]:
    # A forked child of a process that has the engine loaded hangs, and the engine takes 250 MB:
    # it is imported here, by who opens a directory, and nowhere else.
    try:
        from chdb import ChdbError  # noqa: PLC0415
        from chdb.state.sqlitelike import Connection  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise CannotOpenError(
            "The embedded store needs chDB: pip install 'otelope[up]'. chDB has wheels for Linux "
            "and macOS; elsewhere, use a ClickHouse server and a collector. "
            f"(No module named {error.name!r}.)"
        ) from None
    except (ImportError, OSError, NotImplementedError) as error:
        raise CannotOpenError(
            f"chDB does not run on this machine ({error}). Use a ClickHouse server and a "
            "collector, or Linux or macOS on x86-64 or arm64."
        ) from None
    return (ChdbError, RuntimeError), Connection


@contextmanager
def _readable(rows: bytes) -> Iterator[str]:
    """A path where the engine finds these bytes; on Linux they are in memory only."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("rows")
        path = f"/proc/self/fd/{descriptor}"
    else:
        descriptor, path = tempfile.mkstemp()
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(rows)
        yield path
    except OSError as error:
        raise StoreError(f"The rows cannot be handed to the engine: {error.strerror}") from None
    finally:
        os.close(descriptor)
        if not path.startswith("/proc"):
            os.unlink(path)  # noqa: PTH108 - mkstemp's own


def _lock(directory: Path) -> int:
    import fcntl  # noqa: PLC0415 - not on Windows, nor is chDB

    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _not_writable(directory, error) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(lock, 20).decode("ascii", "replace").strip() or "unknown"
        os.close(lock)
        raise CannotOpenError(
            f"{directory} is in use by another otelope (process {holder}). Ask that one over "
            "HTTP, stop it, or choose another directory with --data."
        ) from None
    except OSError as error:
        os.close(lock)
        raise CannotOpenError(
            f"{directory} cannot be locked ({error.strerror}). Choose a directory on a local "
            "disk with --data."
        ) from None
    try:
        os.ftruncate(lock, 0)
        os.write(lock, b"%d\n" % os.getpid())
    except OSError as error:
        os.close(lock)
        raise _not_writable(directory, error) from None
    return lock


def _not_writable(directory: Path, error: OSError) -> CannotOpenError:
    return CannotOpenError(
        f"{directory} cannot be written ({error.strerror}). Make it writable, free some space, "
        "or choose another directory with --data."
    )


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
