"""A small message library, such as otelope instruments: the edge at which its tests fake."""

from __future__ import annotations

import asyncio

from collections import deque
from concurrent.futures import Future


class Message:
    def __init__(self, body, headers=None):
        self.body = body
        self.headers = headers or {}

    def done(self):
        return "done"

    def refuse(self):
        return "refused"


class Client:
    """Sends to and receives from a queue of its own; notes what it was called with."""

    def __init__(self, *messages):
        self.queue = deque(messages)
        self.calls = []
        self.callback = None
        self.failure = None
        self.one_by_one = False
        self.refuses = None
        self.everywhere = False
        self.promised = Future()

    def send(self, channel, body, headers=None):
        self.calls.append((channel, body, headers))
        if self.failure is not None:
            raise self.failure
        return "sent"

    async def send_later(self, channel, body, headers=None):
        self.calls.append((channel, body, headers))
        await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure
        return "sent"

    def begin_transaction(self):
        self.calls.append("begin")

    def commit_transaction(self):
        if self.failure is not None:
            raise self.failure

    async def abort_transaction(self):
        await asyncio.sleep(0)

    def send_parcel(self, channel, parcel):
        for body, headers in parcel.letters:
            self.send(channel, body, headers)

    def send_all(self, letters):
        self.calls.append(letters)
        if self.failure is not None:
            raise self.failure
        for letter in letters if self.one_by_one else ():
            self.send(letter["channel"], letter["body"], letter["headers"])
        return ["refused" if letter and letter.get("refused") else None for letter in letters]

    async def send_all_later(self, letters):
        await asyncio.sleep(0)
        return self.send_all(letters)

    def operate(self, operation, letter=None):
        self.calls.append((operation, letter))
        return self.queue.popleft() if operation == "get" else "operated"

    async def operate_later(self, operation, letter=None):
        await asyncio.sleep(0)
        return self.operate(operation, letter)

    def get(self):
        return self.queue.popleft() if self.queue else None

    async def get_later(self):
        await asyncio.sleep(0)
        return self.get()

    def promise(self, channel, body, headers=None):
        self.calls.append((channel, body, headers))
        return self.promised

    def send_and_tell(self, channel, body, callback, properties=None):
        self.calls.append((channel, body, properties))
        callback(self.refuses)

    def ask(self, channel, body, headers=None):
        self.send(channel, body, headers)
        return self.queue.popleft() if self.queue else None

    async def take_later(self):
        await asyncio.sleep(0)
        return self.queue.popleft() if self.queue else None

    def send_soon(self, channel, body, headers=None):
        if self.failure is TypeError:
            raise TypeError("at once")
        return self._sent_soon(channel, body, headers)

    async def _sent_soon(self, channel, body, headers):
        await asyncio.sleep(0)
        self.calls.append((channel, body, headers))
        if self.failure is not None:
            raise self.failure
        return "sent"

    def send_many(self, channel, letters):
        return self._sent(channel, letters)

    async def send_many_later(self, channel, letters):
        return await self._sent_later(channel, letters)

    def send_many_soon(self, channel, letters):
        return self._sent_later(channel, letters)

    async def _sent_later(self, channel, letters):
        await asyncio.sleep(0)
        return self._sent(channel, letters)

    def _sent(self, channel, letters):
        self.calls.append((channel, letters))
        if self.failure is not None:
            raise self.failure
        return ["too large" if body == self.refuses else "sent" for body, _ in letters]

    def take_soon(self, place):
        return self.take_from(place)

    async def take_from(self, place):
        await asyncio.sleep(0)
        found = place == "here" or self.everywhere
        return self.queue.popleft() if self.queue and found else None

    async def iterate_later(self):
        try:
            while self.queue:
                await asyncio.sleep(0)
                yield self.queue.popleft()
        finally:
            self.calls.append("left")

    def subscribe_all(self, **callbacks):
        self.callback = callbacks

    async def leave(self):
        await asyncio.ensure_future(self.close_later())

    async def close_later(self):
        self.close()

    def finalize(self):
        self.close()

    def iterate(self):
        while self.queue:
            yield self.queue.popleft()

    def subscribe(self, channel, callback=None):
        self.callback = callback

    def subscribe_at(self, place, callback=None):
        self.callback = callback

    def subscribe_by_name(self, place, callback):
        self.callback = callback

    def subscribe_through(self, channel, callback=None):
        self.subscribe(channel, callback)

    def dispatch(self, message):
        return self.callback(message)

    async def dispatch_later(self, message):
        await asyncio.sleep(0)
        return await self.callback(message)

    def work(self, place, message):
        return self.callback(message)

    async def work_later(self, place, message):
        return await asyncio.ensure_future(self.callback(message))

    def acknowledge(self, *messages):
        self.calls.append(messages)

    def refuse(self, *messages):
        self.calls.append(messages)

    def commit(self):
        self.calls.append("commit")

    def reject(self):
        self.calls.append("reject")

    def close(self):
        self.calls.append("close")


class Parcel:
    """Has room for two letters, and no channel until it is sent."""

    def __init__(self):
        self.letters = []

    def add(self, body, headers=None):
        if len(self.letters) == 2:
            return False
        self.letters.append((body, headers))
        return True


class Batches:
    """Receives several at once, through a client of its own."""

    def __init__(self, *messages):
        self.client = Client(*messages)

    def fetch(self, count):
        return [self.client.get() for _ in range(count)]


class Courier:
    """A client of its own that stands on another one of the same system."""

    def __init__(self, client):
        self.client = client

    def send(self, channel, body, headers=None):
        return self.carry(channel, body, headers)

    def carry(self, *letter):
        return self.client.send(*letter)

    def bring(self, body):
        pass


class Postcards:
    """Another system of the same library, whose messages have no headers."""

    def __init__(self):
        self.calls = []

    def send_all(self, letters):
        self.calls.append(letters)
