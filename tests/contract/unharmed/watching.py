"""What an application and its client saw: notes of the one, bytes on the socket of the other."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import re
import socket
import struct
import threading

from otelope.testing import run_inline


PATIENCE = 20.0  # seconds; what does not come within them does not come
_DATE = re.compile(rb"(?im)^date: [^\r]*")
_LENGTH = re.compile(rb"(?im)^content-length: (\d+)")
_CHUNKED = re.compile(rb"(?im)^transfer-encoding: chunked")
_CLOSE_AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER


class Log:
    """Notes that an application makes in its own threads and tasks, to be waited for in others."""

    def __init__(self):
        self.notes = []
        self._running = 0
        self._changed = threading.Condition()
        self._release = concurrent.futures.Future()

    def note(self, *what):
        with self._changed:
            self.notes.append(what)
            self._changed.notify_all()

    def wait_for(self, what, count=1):
        """Until so many notes begin with this."""
        self._wait(lambda: self.count(what) >= count, what)

    def count(self, what):
        """How many notes begin with this."""
        return sum(note[0] == what for note in self.notes)

    @contextlib.contextmanager
    def busy(self):
        """What `settle` waits for."""
        with self._changed:
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    @contextlib.contextmanager
    def running(self, what):
        """As `busy`; notes what ended it."""
        end = "ended"
        with self.busy():
            try:
                yield
            except BaseException as error:
                end = type(error).__name__
                raise
            finally:
                self.note(what, end)

    @contextlib.contextmanager
    def reaching_server(self):
        """As `busy`; notes what an application raises to its server."""
        with self.busy():
            try:
                yield
            except BaseException as error:
                self.note("reached the server", type(error).__name__)
                raise

    @contextlib.contextmanager
    def listening(self):
        """Note which errors are logged meanwhile, by whom and with which exception."""
        root = logging.getLogger()
        # Without pytest's own handlers, which keep tracebacks, and with them what was read.
        handlers, root.handlers = root.handlers, [_Listener(self)]
        try:
            yield
        finally:
            root.handlers = handlers

    def settle(self):
        """Until nothing runs."""
        self._wait(lambda: not self._running, "the end")

    async def released(self):
        """Until `release`; in a thread without a loop, that waits."""
        release = self._release
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            release.result(PATIENCE)
        else:
            await asyncio.shield(asyncio.wrap_future(release))

    def release(self):
        self._release.set_result(None)

    def taken(self):
        """The notes so far; it begins anew."""
        with self._changed:
            notes, self.notes = self.notes, []
            self._release = concurrent.futures.Future()
            return notes

    def _wait(self, condition, what):
        with self._changed:
            if not self._changed.wait_for(condition, PATIENCE):
                raise TimeoutError(f"waited for {what}, noted: {self.notes}")


class _Listener(logging.Handler):
    def __init__(self, log):
        super().__init__(logging.ERROR)
        self._log = log

    def emit(self, record):
        kind = record.exc_info[0] if record.exc_info else None
        # What asyncio says, it says when the garbage is collected.
        if record.name != "asyncio":
            self._log.note("logged", record.name, kind and kind.__name__)


class Client:
    """A client that speaks HTTP by hand."""

    def __init__(self, port):
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self._unread = b""
        self._seen = b""

    def send(self, *parts):
        self._socket.sendall(b"".join(parts))

    def until(self, mark):
        """What comes up to this mark, which is a part of it."""
        while mark not in self._unread:
            if not self._more():
                seen = self._seen + self._unread
                raise ConnectionError(f"closed before {mark!r}, seen: {seen!r}")
        return self._take(self._unread.index(mark) + len(mark))

    def answer(self):
        """One response, or an interim one; its status."""
        head = self.until(b"\r\n\r\n")
        status = int(head.split()[1])
        length = _LENGTH.search(head)
        if _CHUNKED.search(head):
            self.until(b"0\r\n\r\n")
        elif length:
            self._whole(int(length[1]))
        elif status not in (100, 204):
            self.rest()
        return status

    def rest(self):
        """What comes until the server closes the connection."""
        while self._more():
            pass
        return self._take(len(self._unread))

    def forget(self):
        """Let it be as if nothing had been read."""
        self._seen = b""

    def half_close(self):
        self._socket.shutdown(socket.SHUT_WR)

    def close(self):
        self._socket.close()

    def break_off(self):
        """Close so that the server's next write fails."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _CLOSE_AT_ONCE)
        self._socket.close()

    def seen(self):
        """All that has been read, whatever the date."""
        return _DATE.sub(b"date: today", self._seen)

    def _whole(self, length):
        while len(self._unread) < length:
            if not self._more():
                raise ConnectionError(f"closed too early, seen: {self._seen + self._unread!r}")
        self._take(length)

    def _more(self):
        # A server that has not read all of a request resets the connection when it closes it.
        with contextlib.suppress(ConnectionResetError):
            part = self._socket.recv(65_536)
            self._unread += part
            return bool(part)
        return False

    def _take(self, length):
        taken, self._unread = self._unread[:length], self._unread[length:]
        self._seen += taken
        return taken


def inline(answer):
    """An asynchronous generator that never waits, as a plain one."""
    try:
        while True:
            try:
                part = run_inline(answer.__anext__())
            except StopAsyncIteration:
                return
            yield part
    finally:
        run_inline(answer.aclose())
