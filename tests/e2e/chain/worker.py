"""
One service of the chain tests, in the environment that `opentelemetry-instrument` sets.

PlaceOrder → OrderPlaced → ChargeCard → PaymentTaken, over the client library that `style` names.
What each message's payload says under ``via`` decides how the next one is sent: to the channel
of its receiver, to a channel that the transport empties of its headers, or into a table from
which the service `relay` sends it later. Started by `python worker.py '{"style": …}'`.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import signal
import sqlite3
import sys
import time

from collections.abc import Coroutine, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from otelope import new_id


# What follows, and who receives that.
NEXT = {
    "PlaceOrder": ("OrderPlaced", "payments"),
    "OrderPlaced": ("ChargeCard", "payments"),
    "ChargeCard": ("PaymentTaken", "shop"),
}
# So long a row stays in the table at least: whoever wrote it has gone on by then.
RELAY_AFTER_SECONDS = 0.3
# Longer than a client takes to close.
CANCELLED_AGAIN_SECONDS = 5


class Message(NamedTuple):
    """What to send, and where to."""

    channel: str
    body: bytes


class Work:
    """What a service does, whatever library brings the messages."""

    def __init__(
        self,
        style: str,
        broker: str,
        run: str,
        service: str,
        outbox: str,
        ended: str,
        first: list[dict[str, Any]],
    ) -> None:
        self.style = style
        self.broker = broker
        self.service = service
        self.inbox = f"{run}.{service}"
        self.stopped = False
        self._run = run
        self._first = first
        self._outbox = outbox
        self._ended = Path(ended)
        signal.signal(signal.SIGTERM, self._stop)

    @property
    def relays(self) -> bool:
        """Whether this service only sends what others wrote into the table."""
        return self.service == "relay"

    @property
    def starts(self) -> bool:
        """Whether this service sends the commands that start the chains."""
        return bool(self._first)

    def first(self) -> list[Message]:
        """The commands that start the chains."""
        return [out for command in self._first for out in self._out(command, "orders")]

    def react(self, body: bytes) -> list[Message]:
        """What to send because of a message."""
        received = json.loads(body)
        if received["type"] not in NEXT:
            with self._ended.open("a") as ended:
                ended.write(f"{received['id']}\n")
            return []
        follows, receiver = NEXT[received["type"]]
        foreign = received["payload"]["foreign"]
        sent = {
            "id": str(uuid4()) if foreign else new_id(received["id"]),
            "timestamp": time.time_ns() // 1_000_000,
            "source": {"name": self.service, "version": "1.0"},
            "parentId": received["id"],
            "type": follows,
            "payload": received["payload"],
        }
        return self._out(sent, receiver)

    def due(self) -> Iterator[Message]:
        """What has waited long enough in the table."""
        with closing(sqlite3.connect(self._outbox)) as table, table:
            rows = table.execute(
                "DELETE FROM outbox WHERE written < ? RETURNING channel, body",
                [time.time() - RELAY_AFTER_SECONDS],
            ).fetchall()
        yield from (Message(*row) for row in rows)

    def run_until_cancelled(self, service: Coroutine[Any, Any, None]) -> None:
        """Run a service that SIGTERM cancels."""

        async def run() -> None:
            task, loop = asyncio.ensure_future(service), asyncio.get_running_loop()

            def cancel() -> None:
                task.cancel()
                # Before Python 3.12, `asyncio.wait_for` loses a cancellation when what it waits
                # for comes at that moment, as in nats-py's `fetch`.
                loop.call_later(CANCELLED_AGAIN_SECONDS, cancel)

            loop.add_signal_handler(signal.SIGTERM, cancel)
            await asyncio.wait([task])
            if not task.cancelled():
                task.result()

        asyncio.run(run())

    def _out(self, sent: dict[str, Any], receiver: str) -> list[Message]:
        via = sent["payload"]["via"]
        body = json.dumps(sent).encode()
        if via == "headers":
            return [Message(f"{self._run}.{receiver}", body)]
        if via == "no headers":
            return [Message(f"{self._run}.{receiver}.bare", body)]
        with closing(sqlite3.connect(self._outbox)) as table, table:
            table.execute(
                "INSERT INTO outbox VALUES (?, ?, ?)",
                [f"{self._run}.{receiver}", body, time.time()],
            )
        return []

    def _stop(self, *_: object) -> None:
        self.stopped = True


if __name__ == "__main__":
    work = Work(**json.loads(sys.argv[1]))
    module, _, mode = work.style.partition(" ")
    importlib.import_module(f"over_{module}").run(work, mode)
