"""A server that keeps the bytes of requests as they came, and answers as their paths say."""

from __future__ import annotations

import re
import socketserver
import threading

from tests.contract.unharmed.watching import PATIENCE


_LENGTH = re.compile(rb"(?im)^content-length: (\d+)")
_CHUNKED = re.compile(rb"(?im)^transfer-encoding: chunked")
_TRACE = re.compile(rb"(?im)^trace(?:parent|state): [^\r]*\r\n")
_BOUNDARY = re.compile(rb"boundary=\"?([^\"\r;]+)")
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_MOVED = b"HTTP/1.1 307 Moved\r\nLocation: /moved\r\nContent-Length: 0\r\n\r\n"
_BUSY = b"HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n"
_DROPS = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\ndrop one\r\n",
    b"8\r\ndrop two\r\n0\r\n\r\n",
)


class Recording:
    """
    What came, until it is `taken`.

    `/redirect` is moved, `/retry` busy the first time, `/drip` answered in two parts, of which
    the second waits for `release`.
    """

    def __init__(self):
        self._server = _Server(("127.0.0.1", 0), _Connection)
        self._server.recording = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._changed = threading.Condition()
        self._begin()

    def _begin(self):
        self._requests = []
        self._connections = 0
        self._arriving = b""
        self._released = threading.Event()

    def stop(self):
        self._server.shutdown()
        self._thread.join(PATIENCE)
        self._server.server_close()

    def wait_for(self, part):
        """Until these bytes are among those of the request that is coming."""
        with self._changed:
            if not self._changed.wait_for(lambda: part in self._arriving, PATIENCE):
                raise TimeoutError(f"{part!r} is not in {self._arriving!r}")

    def release(self):
        self._released.set()

    def taken(self):
        """Each request's bytes but for ours and for a drawn boundary; how many connections."""
        with self._changed:
            requests, connections = self._requests, self._connections
            self._begin()
        return [_without_chance(request) for request in requests], connections

    def connected(self):
        with self._changed:
            self._connections += 1

    def arriving(self, so_far):
        with self._changed:
            self._arriving = so_far
            self._changed.notify_all()

    def answers(self, request):
        """What is answered to it, in parts that come one after the other."""
        path = request.split(b" ", 2)[1]
        with self._changed:
            again = any(earlier.split(b" ", 2)[1] == path for earlier in self._requests)
            self._requests.append(request)
        if path == b"/redirect":
            yield _MOVED
        elif path == b"/retry" and not again:
            yield _BUSY
        elif path == b"/drip":
            yield _DROPS[0]
            self._released.wait(PATIENCE)
            yield _DROPS[1]
        else:
            yield _OK


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


class _Connection(socketserver.BaseRequestHandler):
    def handle(self):
        recording, unread = self.server.recording, b""
        recording.connected()
        while True:
            while not (length := _length_of(unread)):
                part = self.request.recv(65_536)
                if not part:
                    return
                unread += part
                recording.arriving(unread)
            request, unread = unread[:length], unread[length:]
            for part in recording.answers(request):
                self.request.sendall(part)


def _length_of(unread):
    """Of the first request, head and body; 0 where more of it is to come."""
    head, end, body = unread.partition(b"\r\n\r\n")
    if not end:
        return 0
    if _CHUNKED.search(head):
        last = b"\r\n0\r\n\r\n"
        whole = len(head) + 4 + body.index(last) + len(last) if last in body else 0
    else:
        declared = _LENGTH.search(head)
        whole = len(head) + 4 + (int(declared[1]) if declared else 0)
    return whole if len(unread) >= whole else 0


def _without_chance(request):
    head, end, body = request.partition(b"\r\n\r\n")
    head = _TRACE.sub(b"", head + b"\r\n")
    boundary = _BOUNDARY.search(head)
    whole = head + end[2:] + body
    return whole.replace(boundary[1], b"BOUNDARY") if boundary else whole
