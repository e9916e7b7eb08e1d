"""What applications do in these tests, whatever their framework."""

from __future__ import annotations

from tests.contract.unharmed.watching import Log


PART = 64  # bytes that are sent at once, and read at once where an application says how many


class RefusedError(Exception):
    """What an application raises."""


class Endpoints:
    """
    Each takes a request and answers with bytes, `drip` with an asynchronous generator.

    A request has the coroutines ``read()`` and ``json()``, and the asynchronous iterators
    ``parts()`` and, of many bytes at once, ``large()``: by the framework's own words.
    """

    NAMES = (
        *("once", "twice", "parts", "first", "large", "json", "unread", "fail", "spoil", "hold"),
        "drip",
    )

    def __init__(self):
        self.log = Log()
        self._refused = None

    async def run(self, name, request):
        with self.log.running(name):
            self.log.note(f"{name} begins")
            return await getattr(self, name)(request)

    async def once(self, request):
        self.log.note("body", await request.read())
        return b"once"

    async def twice(self, request):
        self.log.note("body", await request.read())
        self.log.note("body", await request.read())
        return b"twice"

    async def parts(self, request):
        async for part in request.parts():
            if part:
                self.log.note("part", part)
        return b"parts"

    async def first(self, request):
        async for part in request.parts():
            self.log.note("part", part)
            break
        return b"first"

    async def large(self, request):
        read = 0
        async for part in request.large():
            read += len(part)
        self.log.note("read", read)
        return b"large"

    async def json(self, request):
        self.log.note("json", repr(await request.json()))
        return b"json"

    async def unread(self, request):
        return b"unread"

    async def fail(self, request):
        self.log.note("body", await request.read())
        self._refused = RefusedError("out of stock")
        raise self._refused

    async def spoil(self, request):
        await self.parts(request)
        self._refused = RefusedError("out of stock")
        raise self._refused

    def passed(self, error):
        """Note an exception that passes a middleware."""
        self.log.note("passed", type(error).__name__, error is self._refused)

    async def hold(self, request):
        self.log.note("body", await request.read())
        self.log.note("held")
        await self.log.released()
        return b"hold"

    async def drip(self, request):
        self.log.note("body", await request.read())
        return self._drops()

    async def _drops(self):
        with self.log.running("drops"):
            yield b"drop one"
            await self.log.released()
            yield b"drop two"
            self.log.note("dropped")
            yield b"drop three"
