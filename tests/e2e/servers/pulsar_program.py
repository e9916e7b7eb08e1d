"""
What stands in for a broker of Pulsar: `python pulsar_program.py HOST PORT`.

Apache's own needs more than a bare machine has. This one speaks its binary protocol (version 12)
to any client: topics and subscriptions in memory, which keep what nobody has acknowledged, count
how often it was sent, and give back what is refused. No partitions, schemas or transactions.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import signal
import struct
import sys

from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any


# Types of commands; a command's fields stand in the field of the same number.
CONNECT, CONNECTED, SUBSCRIBE, PRODUCER, SEND, SEND_RECEIPT, SEND_ERROR = range(2, 9)
MESSAGE, ACK, FLOW, UNSUBSCRIBE, SUCCESS, ERROR = range(9, 15)
CLOSE_PRODUCER, CLOSE_CONSUMER, PRODUCER_SUCCESS, PING, PONG, REDELIVER = range(15, 21)
METADATA, METADATA_RESPONSE, LOOKUP, LOOKUP_RESPONSE = range(21, 25)
TOPIC_NOT_FOUND, INVALID_NAME = 11, 17
CUMULATIVE, EARLIEST, CONNECT_THERE = 1, 1, 1
PROTOCOL = 12
# Clients of 3.4 to 3.6 at least crash when a message comes before `subscribe` has returned, which
# no broker that is further away is quick enough for.
SETTLING_SECONDS = 0.05
FIRST_OF_ALL = (1 << 64) - 1
# Who sends to a topic of this name gets no answer, as of a broker that is overloaded.
SILENT = b"silent"

Fields = dict[int, list[Any]]


def decoded(data: bytes) -> Fields:
    """The fields of a protobuf message by number: integers, or bytes."""
    found: Fields = defaultdict(list)
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        if key & 7 == 0:
            value, place = _varint(data, place)
        elif key & 7 == 2:
            length, place = _varint(data, place)
            value, place = data[place : place + length], place + length
        else:
            width = 8 if key & 7 == 1 else 4
            value, place = data[place : place + width], place + width
        found[key >> 3].append(value)
    return found


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place


def encoded(fields: dict[int, int | str | bytes]) -> bytes:
    """A protobuf message of integers, texts and bytes."""
    out = bytearray()
    for number, value in fields.items():
        if isinstance(value, int):
            out += _as_varint(number << 3) + _as_varint(value)
        else:
            data = value.encode() if isinstance(value, str) else value
            out += _as_varint(number << 3 | 2) + _as_varint(len(data)) + data
    return bytes(out)


def _as_varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


@dataclass
class Entry:
    """A message as its sender wrote it, with its checksum and metadata."""

    ledger: int
    number: int
    payload: bytes
    sent: int = 0

    @property
    def id(self) -> bytes:
        return encoded({1: self.ledger, 2: self.number})


@dataclass(eq=False)
class Consumer:
    number: int
    connection: Connection
    permits: int = 0
    ready: bool = False
    unacknowledged: dict[int, Entry] = field(default_factory=dict)


@dataclass(eq=False)
class Subscription:
    waiting: deque[Entry]
    consumers: deque[Consumer] = field(default_factory=deque)

    def deliver(self) -> None:
        """Send what waits to those who have asked for more, in turns."""
        while self.waiting and any(each.permits and each.ready for each in self.consumers):
            consumer = self.consumers[0]
            self.consumers.rotate(-1)
            if consumer.permits and consumer.ready:
                entry = self.waiting.popleft()
                consumer.permits -= 1
                consumer.unacknowledged[entry.number] = entry
                about = {1: consumer.number, 2: entry.id, 3: entry.sent}
                consumer.connection.write(MESSAGE, about, entry.payload)
                entry.sent += 1

    def give_back(self, consumer: Consumer, ids: list[int]) -> None:
        """Let what a consumer has not acknowledged be sent again, in its order."""
        back = [consumer.unacknowledged.pop(each, None) for each in ids]
        self.waiting.extendleft(each for each in reversed(back) if each is not None)


class Topic:
    """All that was ever sent to it, and who is to have it; its ledger is its own."""

    _ledgers = itertools.count()

    def __init__(self) -> None:
        self.ledger = next(self._ledgers)
        self.entries: list[Entry] = []
        self.subscriptions: dict[bytes, Subscription] = {}

    def subscription(self, name: bytes, *, earliest: bool) -> Subscription:
        if name not in self.subscriptions:
            kept = deque(map(replace, self.entries if earliest else ()))
            self.subscriptions[name] = Subscription(kept)
        return self.subscriptions[name]

    def publish(self, payload: bytes) -> Entry:
        entry = Entry(self.ledger, len(self.entries), payload)
        self.entries.append(entry)
        for subscription in self.subscriptions.values():
            subscription.waiting.append(replace(entry))
            subscription.deliver()
        return entry


class Broker:
    def __init__(self, url: str) -> None:
        self.url = url
        self.topics: dict[bytes, Topic] = defaultdict(Topic)
        self.numbers = itertools.count()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(self, writer)
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    (size,) = struct.unpack(">I", await reader.readexactly(4))
                    connection.take(await reader.readexactly(size))
        finally:
            connection.leave()
            writer.close()


class Connection:
    """One client's: its producers and consumers by the numbers that it gave them."""

    def __init__(self, broker: Broker, writer: asyncio.StreamWriter) -> None:
        self.broker = broker
        self.writer = writer
        self.producers: dict[int, bytes] = {}
        self.consumers: dict[int, tuple[Subscription, Consumer]] = {}

    def write(self, kind: int, fields: dict[int, int | str | bytes], payload: bytes = b"") -> None:
        command = encoded({1: kind, kind: encoded(fields)})
        size = struct.pack(">II", len(command) + 4 + len(payload), len(command))
        if not self.writer.is_closing():
            self.writer.write(size + command + payload)

    def take(self, frame: bytes) -> None:
        (size,) = struct.unpack_from(">I", frame)
        command = decoded(frame[4 : 4 + size])
        (kind,) = command[1]
        said = decoded(command[kind][0]) if command[kind] else {}
        first = {number: values[0] for number, values in said.items()}
        if kind == SEND:
            self.publish(first[1], first[2], frame[4 + size :])
        elif kind in (FLOW, ACK, REDELIVER) and first[1] in self.consumers:
            self.consume(kind, said)
        elif kind in (PRODUCER, CLOSE_PRODUCER):
            self.open_producer(kind, first)
        elif kind == SUBSCRIBE:
            self.subscribe(first)
        elif kind in (CLOSE_CONSUMER, UNSUBSCRIBE):
            self.close(first[1])
            self.write(SUCCESS, {1: first[2]})
        elif kind in (CONNECT, PING, METADATA, LOOKUP):
            self.say(kind, first)

    def say(self, kind: int, first: dict[int, Any]) -> None:
        if kind == CONNECT:
            self.write(CONNECTED, {1: "stand-in", 2: PROTOCOL})
        elif kind == PING:
            self.write(PONG, {})
        elif kind == METADATA:
            self.write(METADATA_RESPONSE, {1: 0, 2: first[2], 3: 0})
        else:
            there = {1: self.broker.url, 3: CONNECT_THERE, 4: first[2], 5: 1}
            self.write(LOOKUP_RESPONSE, there)

    def open_producer(self, kind: int, first: dict[int, Any]) -> None:
        if kind == PRODUCER:
            self.producers[first[2]] = first[1]
            name = first.get(4) or f"producer-{next(self.broker.numbers)}"
            self.write(PRODUCER_SUCCESS, {1: first[3], 2: name})
        else:
            self.producers.pop(first[1], None)
            self.write(SUCCESS, {1: first[2]})

    def publish(self, producer: int, sequence: int, payload: bytes) -> None:
        topic = self.producers[producer]
        if not topic.endswith(SILENT):
            entry = self.broker.topics[topic].publish(payload)
            self.write(SEND_RECEIPT, {1: producer, 2: sequence, 3: entry.id})

    def subscribe(self, first: dict[int, Any]) -> None:
        topic = self.broker.topics[first[1]]
        # A reader says the first message that it wants: -1 for the first of all.
        start = decoded(first[9])[1][0] if 9 in first else 0
        earliest = first.get(13) == EARLIEST or start == FIRST_OF_ALL
        subscription = topic.subscription(first[2], earliest=earliest)
        consumer = Consumer(first[4], self)
        subscription.consumers.append(consumer)
        self.consumers[first[4]] = subscription, consumer
        self.write(SUCCESS, {1: first[5]})

    def consume(self, kind: int, said: Fields) -> None:
        subscription, consumer = self.consumers[said[1][0]]
        if kind == FLOW:
            consumer.permits += said[2][0]
            if not consumer.ready:
                loop = asyncio.get_running_loop()
                loop.call_later(SETTLING_SECONDS, self.begin, subscription, consumer)
        elif kind == ACK:
            for each in list(self._ids(said[3])):
                settled = range(each + 1) if said[2][0] == CUMULATIVE else (each,)
                for number in consumer.unacknowledged.keys() & set(settled):
                    del consumer.unacknowledged[number]
        else:
            ids = list(self._ids(said[2])) or list(consumer.unacknowledged)
            subscription.give_back(consumer, ids)
        subscription.deliver()

    def begin(self, subscription: Subscription, consumer: Consumer) -> None:
        consumer.ready = True
        subscription.deliver()

    def close(self, number: int) -> None:
        subscription, consumer = self.consumers.pop(number, (None, None))
        if subscription is not None and consumer is not None:
            subscription.consumers.remove(consumer)
            subscription.give_back(consumer, list(consumer.unacknowledged))
            subscription.deliver()

    def leave(self) -> None:
        for number in list(self.consumers):
            self.close(number)

    def _ids(self, values: list[bytes]) -> Iterator[int]:
        for value in values:
            yield decoded(value)[2][0]


async def main(host: str, port: int) -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    broker = Broker(f"pulsar://{host}:{port}")
    server = await asyncio.start_server(broker.serve, host, port)
    print("serving", broker.url, flush=True)
    await stopped.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
