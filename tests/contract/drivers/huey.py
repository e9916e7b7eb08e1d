"""huey against Redis: tasks that are taken and executed where the test runs."""

from __future__ import annotations

import time

from huey import RedisHuey

from otelope.testing import Features, Got, run_inline
from otelope.testing.driver import bridge


SERVERS = ("redis_server",)
# What a task raises is kept as its result.
STYLES = {"task": Features("redis", in_sender=True, raises=False, headers=False)}


class Driver:
    run = staticmethod(run_inline)

    def __init__(self, style, address):
        self.address = address
        self.features = STYLES[style]
        self.between = lambda: None
        self._handlers = {}
        self._hueys = {}

    def destination(self, channel):
        return channel

    def call(self, channel, body, headers):
        return {"queue": channel, "order": 7, "body": body}

    async def send(self, *calls, positional=False):
        for call in calls:
            _, act = self._huey(call["queue"])
            if positional:
                act(call["order"], call["body"])
            else:
                act(order=call["order"], body=call["body"])
        self.between()

    async def send_bare(self, channel, body):
        raw = f"{channel}raw"
        await self.send(self.call(raw, body, {}))
        await bridge(self, raw, channel)
        self.between()

    async def send_in_vain(self, call):
        _, act = self._huey(call["queue"])
        try:
            act(order=lambda: "nothing that pickles", body=call["body"])
        finally:
            self._close()

    async def drive(self, handlers, start, count):
        around, self._handlers = self._handlers, {**self._handlers, **handlers}
        try:
            await start()
            self._work(list(handlers), count)
        finally:
            self._handlers = around
            if not around:
                self._close()

    def _work(self, channels, count):
        deadline = time.monotonic() + 20
        while count:
            for channel in channels:
                huey, _ = self._huey(channel)
                task = huey.dequeue()
                if task is not None:
                    huey.execute(task)
                    count -= 1
            if time.monotonic() > deadline:
                raise TimeoutError(f"{count} tasks did not come")

    def _huey(self, channel):
        if channel not in self._hueys:
            huey = RedisHuey(channel, url=self.address, blocking=False)

            def act(order, body):
                run_inline(self._handlers[channel](Got(body, body, {})))

            self._hueys[channel] = huey, huey.task()(act)
        return self._hueys[channel]

    def _close(self):
        while self._hueys:
            _, (huey, _) = self._hueys.popitem()
            huey.storage.conn.close()
            huey.storage.pool.disconnect()
