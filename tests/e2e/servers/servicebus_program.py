"""
What stands in for Azure Service Bus: `python servicebus_program.py HOST PORT [CERTIFICATE KEY]`.

Microsoft's own is a service, and its emulator needs a container engine. This one speaks AMQP 1.0
to any client, over TLS where it has a certificate: queues, topics and subscriptions in memory,
with locks that run out, sessions, deferred and dead letters, batches and scheduled messages. Any
token will do. No rules, filters, duplicate detection or partitions.
"""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import itertools
import re
import signal
import ssl
import struct
import sys
import time

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from amqp10 import (
    NULL,
    array,
    binary,
    boolean,
    decoded,
    described,
    integer,
    listed,
    long,
    mapped,
    string,
    symbol,
    symbols,
    timestamp,
    ubyte,
    uint,
    ulong,
    ushort,
    uuid,
)


SASL = b"AMQP\x03\x01\x00\x00"
OPEN, BEGIN, ATTACH, FLOW, TRANSFER, DISPOSITION, DETACH, END, CLOSE = range(0x10, 0x19)
ERROR = 0x1D
ACCEPTED, REJECTED, RELEASED, MODIFIED = range(0x24, 0x28)
SOURCE, TARGET = 0x28, 0x29
MECHANISMS, INIT, OUTCOME = 0x40, 0x41, 0x44
HEADER, FOR_RECEIVER, ANNOTATIONS, PROPERTIES, APPLICATION_PROPERTIES, DATA, _, VALUE = range(
    0x70, 0x78
)
BATCH = 0x80013700
GROUP_ID = 10
WINDOW, CREDIT, MOST_BYTES = 2**31 - 1, 1000, 256 * 1024
LOCK_SECONDS, SHORT_LOCK_SECONDS = 60, 1
MOST_DELIVERIES = 10
DEAD_LETTERS = "/$DeadLetterQueue"
# How names of entities end that take nothing, and that lock for a short time only.
FULL, BRIEF = "full", "brief"
_WHERE = re.compile(r"^\w+://[^/]*/")
# What a request says becomes of a message; else it is given back, or deferred.
_SETTLEMENTS = {"completed": ACCEPTED, "suspended": REJECTED}


def an_error(condition: str) -> bytes:
    return described(ERROR, listed(symbol(condition), string(f"the stand-in: {condition}"), NULL))


def sections(message: bytes) -> Iterator[tuple[int, Any, bytes]]:
    """Each section of a message: its code, what it holds, and its bytes."""
    place = 0
    while place < len(message):
        (code, value), following = decoded(message, place)
        yield code, value, message[place:following]
        place = following


@dataclass(eq=False)
class Entry:
    """
    A message as its sender wrote it, and what the broker adds.

    Attributes:
        bare: Its sections without header and annotations, which are the broker's.
        session: The session that it belongs to.
        due: When it is to be there, in seconds since 1970.
        failures: How often its handling came to nothing.
    """

    number: int
    bare: bytes
    session: str | None
    due: float
    failures: int = 0
    enqueued: float = field(default_factory=time.time)
    locked_until: float = 0

    def message(self, token: UUID | None = None) -> bytes:
        """What is sent, with its lock token where it is locked."""
        header = listed(NULL, NULL, NULL, NULL, uint(self.failures))
        annotations = {
            symbol("x-opt-sequence-number"): long(self.number),
            symbol("x-opt-enqueued-time"): timestamp(self.enqueued),
        }
        locked = b""
        if token is not None:
            annotations[symbol("x-opt-locked-until")] = timestamp(self.locked_until)
            locked = described(FOR_RECEIVER, mapped({symbol("x-opt-lock-token"): uuid(token)}))
        annotated = described(ANNOTATIONS, mapped(annotations))
        return described(HEADER, header) + locked + annotated + self.bare


class Entity:
    """
    A queue or a subscription: what waits, what is locked, and what is deferred.

    Attributes:
        locked: By lock token, with what takes the lock away when its time has come.
    """

    _numbers = itertools.count(1)

    def __init__(self, broker: Broker, name: str) -> None:
        self.broker = broker
        self.name = name
        self.waiting: list[Entry] = []
        self.locked: dict[UUID, tuple[Entry, asyncio.TimerHandle]] = {}
        self.deferred: dict[int, Entry] = {}
        self.outlets: deque[Outlet] = deque()
        self.lock_seconds = SHORT_LOCK_SECONDS if name.endswith(BRIEF) else LOCK_SECONDS

    def put(self, message: bytes) -> int:
        """Take a message; its sequence number."""
        bare, session, due = b"", None, 0.0
        for code, value, whole in sections(message):
            if code == ANNOTATIONS:
                due = (value.get("x-opt-scheduled-enqueue-time") or 0) / 1000
            elif code >= PROPERTIES:
                bare += whole
            if code == PROPERTIES and len(value) > GROUP_ID:
                session = value[GROUP_ID]
        entry = Entry(next(self._numbers), bare, session, due)
        if due > time.time():
            asyncio.get_running_loop().call_later(due - time.time(), self.give_back, entry)
        else:
            self.give_back(entry)
        return entry.number

    def deliver(self) -> None:
        """Send what waits to those who have asked for more, in turns."""
        for entry in list(self.waiting):
            for outlet in self.outlets:
                if outlet.credit and outlet.session in (None, entry.session):
                    self.waiting.remove(entry)
                    self.outlets.remove(outlet)
                    self.outlets.append(outlet)
                    outlet.send(entry)
                    break
            else:
                if not any(outlet.credit for outlet in self.outlets):
                    return

    def lock(self, entry: Entry) -> UUID:
        token = uuid4()
        self.locked[token] = entry, self._expiry(entry, token)
        return token

    def renew(self, token: UUID) -> float | None:
        """Lock a message for longer: until when; None where the lock is lost."""
        if token not in self.locked:
            return None
        entry, expiry = self.locked[token]
        expiry.cancel()
        self.locked[token] = entry, self._expiry(entry, token)
        return entry.locked_until

    def _expiry(self, entry: Entry, token: UUID) -> asyncio.TimerHandle:
        entry.locked_until = time.time() + self.lock_seconds
        loop = asyncio.get_running_loop()
        return loop.call_later(self.lock_seconds, self.settle, token, MODIFIED, [True, False])

    def settle(self, token: UUID, outcome: int, said: list[Any]) -> bool:
        """Let a message go, give it back or put it away; whether its lock was held."""
        if token not in self.locked:
            return False
        entry, expiry = self.locked.pop(token)
        expiry.cancel()
        failed, elsewhere = (*said, None, None)[:2] if outcome == MODIFIED else (False, False)
        entry.failures += bool(failed)
        if outcome == REJECTED or entry.failures >= MOST_DELIVERIES:
            self.broker.entity(self.name + DEAD_LETTERS).give_back(entry)
        elif elsewhere:
            self.deferred[entry.number] = entry
        elif outcome != ACCEPTED:
            self.give_back(entry)
        return True

    def give_back(self, entry: Entry) -> None:
        """Let it be received, in its order."""
        bisect.insort(self.waiting, entry, key=lambda each: each.number)
        self.deliver()

    def free_session(self) -> str | None:
        """A session with a message that nobody else has."""
        held = {outlet.session for outlet in self.outlets}
        return next((e.session for e in self.waiting if e.session and e.session not in held), None)


class Broker:
    def __init__(self) -> None:
        self.entities: dict[str, Entity] = {}

    def entity(self, name: str) -> Entity:
        key = name.lower()
        if key not in self.entities:
            self.entities[key] = Entity(self, name)
        return self.entities[key]

    def publish(self, name: str, message: bytes) -> list[int]:
        """Put a message, or those of a batch, where it belongs; their sequence numbers."""
        topic = f"{name.lower()}/subscriptions/"
        subscriptions = [
            each
            for key, each in self.entities.items()
            if key.startswith(topic) and not key.endswith(DEAD_LETTERS.lower())
        ]
        numbers = [each.put(message) for each in subscriptions or [self.entity(name)]]
        return numbers[:1]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(self, writer)
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
                while not connection.closed:
                    start = await reader.readexactly(4)
                    if start == SASL[:4]:
                        connection.greet(start + await reader.readexactly(4))
                    else:
                        (size,) = struct.unpack(">I", start)
                        connection.take(await reader.readexactly(size - 4))
        finally:
            connection.leave()
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                writer.close()
                await writer.wait_closed()


@dataclass(eq=False)
class Outlet:
    """A link by which a client receives, of a queue or of the answers to its requests."""

    session_of: Session
    handle: int
    entity: Entity | None
    session: str | None
    settled: bool
    credit: int = 0
    count: int = 0

    def send(self, entry: Entry) -> None:
        """Send a message of the entity, locked where it has to be settled."""
        assert self.entity is not None
        if self.settled:
            self.transfer(uuid4(), entry.message())
        else:
            token = self.entity.lock(entry)
            number = self.transfer(token, entry.message(token))
            self.session_of.unsettled[number] = self.entity, token, self

    def transfer(self, tag: UUID, message: bytes) -> int:
        """Send a message; its number in the session."""
        session = self.session_of
        number, session.next_outgoing = session.next_outgoing, session.next_outgoing + 1
        self.credit -= 1
        self.count += 1
        most = session.connection.most_bytes - 100  # for the frame around it
        parts = [message[start : start + most] for start in range(0, len(message), most)]
        for index, part in enumerate(parts):
            session.write(
                TRANSFER,
                *(uint(self.handle), uint(number), binary(tag.bytes_le), uint(0)),
                *(boolean(self.settled), boolean(index + 1 < len(parts))),
                *[NULL] * 5,
                payload=part,
            )
        return number

    def flow(self, drain: object) -> None:
        if drain:
            self.count, self.credit = self.count + self.credit, 0
            self.session_of.flow(self.handle, self.count, 0, drain=True)

    def leave(self) -> None:
        """Nobody receives by it any more: only the lock of a session goes with its link."""
        if self.entity is not None:
            self.entity.outlets.remove(self)
            if self.session is not None:
                for entity, token, by in list(self.session_of.unsettled.values()):
                    if by is self:
                        entity.settle(token, RELEASED, [])
            self.entity.deliver()


@dataclass(eq=False)
class Inlet:
    """A link by which a client sends, to an entity or to what answers its requests."""

    session_of: Session
    handle: int
    address: str
    count: int
    message: bytes = b""

    def take(self, said: list[Any], payload: bytes) -> None:
        self.message += payload
        if said[5]:
            return
        message, self.message = self.message, b""
        self.count += 1
        if self.count % (CREDIT // 2) == 0:
            self.session_of.flow(self.handle, self.count, CREDIT)
        state = self._taken(message, batch=said[3] == BATCH)
        if not said[4]:
            accepted = boolean(True), uint(said[1]), uint(said[1]), boolean(True), state
            self.session_of.write(DISPOSITION, *accepted, NULL)

    def _taken(self, message: bytes, *, batch: bool) -> bytes:
        broker = self.session_of.connection.broker
        if self.address.endswith(FULL):
            return described(REJECTED, listed(an_error("amqp:resource-limit-exceeded")))
        if self.address.rpartition("/")[2].startswith("$") and DEAD_LETTERS not in self.address:
            self.session_of.answer(self.address, message)
        elif batch:
            for code, value, _ in sections(message):
                if code == DATA:
                    broker.publish(self.address, value)
        else:
            broker.publish(self.address, message)
        return described(ACCEPTED, listed())


class Session:
    """One of a client's: its links by handle, and what it has not settled by delivery."""

    def __init__(self, connection: Connection, channel: int, next_incoming: int) -> None:
        self.connection = connection
        self.channel = channel
        self.next_incoming = next_incoming
        self.next_outgoing = 0
        self.links: dict[int, Inlet | Outlet] = {}
        self.answers: dict[str, Outlet] = {}
        self.unsettled: dict[int, tuple[Entity, UUID, Outlet]] = {}

    def write(self, kind: int, *fields: bytes, payload: bytes = b"") -> None:
        self.connection.write(self.channel, described(kind, listed(*fields)) + payload)

    def flow(self, handle: int, count: int, credit: int, *, drain: bool = False) -> None:
        windows = map(uint, (self.next_incoming, WINDOW, self.next_outgoing, WINDOW))
        link = uint(handle), uint(count), uint(credit)
        self.write(FLOW, *windows, *link, NULL, boolean(drain), boolean(False), NULL)

    def take(self, kind: int, said: list[Any], payload: bytes) -> None:
        if kind == ATTACH:
            self.attach(said)
        elif kind == FLOW and said[4] in self.links:
            self.ask(said)
        elif kind == TRANSFER and said[0] in self.links:
            self.next_incoming += 1
            link = self.links[said[0]]
            assert isinstance(link, Inlet)
            link.take(said, payload)
        elif kind == DISPOSITION:
            self.settle(said)
        elif kind == DETACH and self.detach(said[0]):
            self.write(DETACH, uint(said[0]), boolean(said[1]), NULL)
        elif kind == END:
            self.leave()
            self.write(END, NULL)

    def attach(self, said: list[Any]) -> None:
        handle, receives = said[1], said[2]
        (_, source), (_, target) = said[5], said[6]
        address = _WHERE.sub("", (source if receives else target)[0])
        asks = address.rpartition("/")[2].startswith("$") and DEAD_LETTERS not in address
        session = condition = None
        filters = (source[7] or {}) if receives else {}
        if "com.microsoft:session-filter" in filters:
            wanted = filters["com.microsoft:session-filter"]
            # A client of this library does not describe it.
            session = wanted[1] if isinstance(wanted, tuple) else wanted
            entity = self.connection.broker.entity(address)
            session = session or entity.free_session()
            if session is None or session in {outlet.session for outlet in entity.outlets}:
                condition = "com.microsoft:session-cannot-be-locked"
        self._attached(said, session)
        if condition is not None:
            self.write(DETACH, uint(handle), boolean(True), an_error(condition))
        elif not receives:
            self.links[handle] = Inlet(self, handle, address, said[9] or 0)
            self.flow(handle, said[9] or 0, CREDIT)
        elif asks:
            self.answers[address] = self.links[handle] = Outlet(self, handle, None, None, True)
        else:
            entity = self.connection.broker.entity(address)
            outlet = Outlet(self, handle, entity, session, settled=said[3] == 1)
            self.links[handle] = outlet
            entity.outlets.append(outlet)

    def _attached(self, said: list[Any], session: str | None) -> None:
        (_, source), (_, target) = said[5], said[6]
        until, filters = NULL, NULL
        if session is not None:
            filters = mapped({symbol("com.microsoft:session-filter"): string(session)})
            # In ticks of 100 ns since the year 1.
            ticks = int((time.time() + LOCK_SECONDS) * 10_000_000) + 621_355_968_000_000_000
            until = mapped({symbol("com.microsoft:locked-until-utc"): long(ticks)})
        self.write(
            ATTACH,
            *(string(said[0]), uint(said[1]), boolean(not said[2])),
            *(ubyte(2 if said[3] is None else said[3]), ubyte(said[4] or 0)),
            described(SOURCE, listed(_address(source), *[NULL] * 6, filters, *[NULL] * 3)),
            described(TARGET, listed(_address(target), *[NULL] * 6)),
            *(NULL, NULL, uint(0) if said[2] else NULL, ulong(MOST_BYTES), NULL, NULL, until),
        )

    def ask(self, said: list[Any]) -> None:
        link = self.links[said[4]]
        if isinstance(link, Outlet):
            # What is on its way is not yet counted by who asks.
            link.credit = max(0, (said[5] or 0) + (said[6] or 0) - link.count)
            if link.entity is not None:
                link.entity.deliver()
            link.flow(said[8])

    def settle(self, said: list[Any]) -> None:
        first, last, settled, state = said[1], said[2], said[3], said[4]
        for number in range(first, (first if last is None else last) + 1):
            entity, token, _ = self.unsettled.pop(number, (None, None, None))
            if entity is None or token is None:
                continue
            outcome, fields = state or (ACCEPTED, [])
            echo = described(outcome, listed())
            if not entity.settle(token, outcome, fields):
                echo = described(REJECTED, listed(an_error("com.microsoft:message-lock-lost")))
            if not settled:
                answer = boolean(False), uint(number), uint(number), boolean(True), echo
                self.write(DISPOSITION, *answer, NULL)

    def answer(self, address: str, request: bytes) -> None:
        """Answer a request to ``$cbs`` or to an entity's ``$management``."""
        found = {code: value for code, value, _ in sections(request)}
        properties, said = found[PROPERTIES], found[APPLICATION_PROPERTIES]
        status, value = 202, NULL
        code_field = "status-code"
        if address != "$cbs":
            code_field = "statusCode"
            name = address.rpartition("/")[0]
            operation = said["operation"].removeprefix("com.microsoft:")
            handler = OPERATIONS.get(operation, _unknown)
            status, value = handler(self.connection.broker.entity(name), found.get(VALUE) or {})
        headers = {string(code_field): integer(status)}
        if status >= 400:
            headers[string("errorCondition")] = symbol("com.microsoft:message-lock-lost")
        message = (
            described(PROPERTIES, listed(*[NULL] * 5, _id(properties[0]), *[NULL] * 7))
            + described(APPLICATION_PROPERTIES, mapped(headers))
            + described(VALUE, value)
        )
        self.answers[address].transfer(uuid4(), message)

    def detach(self, handle: int) -> bool:
        """Whether there was such a link."""
        link = self.links.pop(handle, None)
        if isinstance(link, Outlet):
            link.leave()
        return link is not None

    def leave(self) -> None:
        for handle in list(self.links):
            self.detach(handle)


def _address(terminus: list[Any]) -> bytes:
    return string(terminus[0]) if terminus and terminus[0] else NULL


def _id(given: UUID | int | str) -> bytes:
    if isinstance(given, UUID):
        return uuid(given)
    return ulong(given) if isinstance(given, int) else string(given)


Answer = tuple[int, bytes]


def _unknown(_: Entity, __: dict[str, Any]) -> Answer:
    return 501, NULL


def _renew(entity: Entity, said: dict[str, Any]) -> Answer:
    until = [entity.renew(token) for token in said["lock-tokens"]]
    if None in until:
        return 410, NULL
    expirations = array(*(timestamp(each) for each in until if each is not None))
    return 200, mapped({string("expirations"): expirations})


def _renew_session(*_: object) -> Answer:
    return 200, mapped({string("expiration"): timestamp(time.time() + LOCK_SECONDS)})


def _deferred(entity: Entity, said: dict[str, Any]) -> Answer:
    messages = []
    for number in said["sequence-numbers"]:
        entry = entity.deferred.pop(number, None)
        if entry is not None:
            token = entity.lock(entry)
            message = {string("message"): binary(entry.message(token))}
            messages.append(mapped({**message, string("lock-token"): uuid(token)}))
    return 200, mapped({string("messages"): listed(*messages)})


def _dispose(entity: Entity, said: dict[str, Any]) -> Answer:
    status = said["disposition-status"]
    outcome, fields = _SETTLEMENTS.get(status, MODIFIED), [True, status.startswith("defer")]
    held = [entity.settle(token, outcome, fields) for token in said["lock-tokens"]]
    return (200 if all(held) else 410), mapped({})


def _peek(entity: Entity, said: dict[str, Any]) -> Answer:
    first, most = said["from-sequence-number"], said["message-count"]
    found = [each for each in entity.waiting if each.number >= first][:most]
    if not found:
        return 204, NULL
    messages = [mapped({string("message"): binary(each.message())}) for each in found]
    return 200, mapped({string("messages"): listed(*messages)})


def _schedule(entity: Entity, said: dict[str, Any]) -> Answer:
    numbers = [
        number
        for each in said["messages"]
        for number in entity.broker.publish(entity.name, each["message"])
    ]
    return 200, mapped({string("sequence-numbers"): array(*map(long, numbers))})


OPERATIONS: dict[str, Callable[[Entity, dict[str, Any]], Answer]] = {
    "peek-message": _peek,
    "receive-by-sequence-number": _deferred,
    "renew-lock": _renew,
    "renew-session-lock": _renew_session,
    "schedule-message": _schedule,
    "update-disposition": _dispose,
}


class Connection:
    """One client's: its sessions by channel."""

    def __init__(self, broker: Broker, writer: asyncio.StreamWriter) -> None:
        self.broker = broker
        self.writer = writer
        self.sessions: dict[int, Session] = {}
        self.most_bytes = 512
        self.closed = False

    def greet(self, header: bytes) -> None:
        self.writer.write(header)
        if header == SASL:
            offered = listed(symbols("MSSBCBS", "PLAIN", "ANONYMOUS", "EXTERNAL"))
            self.write(0, described(MECHANISMS, offered), kind=1)

    def write(self, channel: int, body: bytes, kind: int = 0) -> None:
        if not self.writer.is_closing():
            self.writer.write(struct.pack(">IBBH", len(body) + 8, 2, kind, channel) + body)

    def take(self, frame: bytes) -> None:
        offset, _, channel = struct.unpack_from(">BBH", frame)
        body = frame[4 * offset - 4 :]
        if not body:
            return  # to say that it is alive
        (kind, fields), place = decoded(body)
        said = [*fields, *[None] * 14]
        if kind == INIT:
            self.write(0, described(OUTCOME, listed(ubyte(0))), kind=1)
        elif kind == OPEN:
            self.most_bytes = min(said[2] or MOST_BYTES, MOST_BYTES)
            fields = string("stand-in"), NULL, uint(MOST_BYTES), ushort(255)
            self.write(0, described(OPEN, listed(*fields, *[NULL] * 6)))
        elif kind == BEGIN:
            session = self.sessions[channel] = Session(self, channel, said[1])
            begun = ushort(channel), uint(0), uint(WINDOW), uint(WINDOW)
            session.write(BEGIN, *begun, uint(255), NULL, NULL, NULL)
        elif kind == CLOSE:
            self.write(0, described(CLOSE, listed(NULL)))
            self.closed = True
        elif channel in self.sessions:
            self.sessions[channel].take(kind, said, body[place:])

    def leave(self) -> None:
        for session in self.sessions.values():
            session.leave()


async def main(host: str, port: int, *certificate: str) -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    context = None
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*certificate)
    server = await asyncio.start_server(Broker().serve, host, port, ssl=context)
    print("serving", host, port, flush=True)
    await stopped.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:]))
