"""A handling that is announced where its message is received, and may happen elsewhere."""

from __future__ import annotations

import os
import threading
import weakref

from collections.abc import Callable
from typing import Any, NamedTuple

from otelope.core.adapter import Adapter
from otelope.core.guard import guard
from otelope.core.message import Message
from otelope.core.operation import Arrived, Delivery, place
from otelope.model.envelope import Envelope


_forks = 0


class Portable(NamedTuple):
    """
    What another process needs to tell how a message was handled.

    Args:
        message: As it came, without its body, the headers as text.
        envelope: The message's.
        headers: Whether it could have had headers.
    """

    message: Message
    envelope: Envelope
    headers: bool


class Claim:
    """
    The right to tell how one message was handled; whoever received it goes on without it.

    Args:
        arrived: The message and its envelope.
        library: How it came.
        delivery: What is claimed.
        again: Begins another handling of the message, where that one ended meanwhile.
        lasts: Whether it goes on where it was received until this begins, as that of a callback.
    """

    __slots__ = (
        "__weakref__",
        "_again",
        "_around",
        "_arrived",
        "_forks",
        "_library",
        "_lock",
        "_pid",
        "_place",
        "_taken",
    )

    def __init__(
        self,
        arrived: Arrived,
        library: Adapter,
        delivery: Delivery,
        again: Callable[[], Delivery],
        *,
        lasts: bool,
    ) -> None:
        self._arrived = arrived
        self._library = library
        self._taken = None if lasts else delivery
        self._around = delivery if lasts else None
        self._place: Any = place() if lasts else None
        self._again = again
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._forks = _forks
        if lasts:
            delivery.promise(weakref.WeakMethod(self.inherit))

    def begin(self) -> Delivery | None:
        """
        Begin to handle the message in this thread or task.

        Returns:
            The delivery, which the caller ends; None where what goes on here is just that.
        """
        delivery = None
        # After a fork, what it claims is the parent's, as is the lock.
        if os.getpid() == self._pid:
            with self._lock:
                delivery, self._taken = self._taken, None
                around, self._around = self._around, None
                if around is not None and around.open:
                    if place() is self._place:
                        return None
                    delivery = around.hand_on()
        if delivery is None:
            delivery = self._again()
        delivery.attach()
        return delivery

    def inherit(self) -> bool:
        """Take the delivery over as its callback returns; False when the handling began."""
        with self._lock:
            around, self._around = self._around, None
            if around is None:
                return False
            self._taken = around.hand_on()
            return True

    def send_away(self) -> Portable:
        """Leave the message to another process, which tells of it with what this returns."""
        self.inherit()
        with self._lock:
            delivery, self._taken = self._taken, None
        if delivery is not None:
            delivery.open = False
        message, envelope = self._arrived
        carrier, headers = self._library.carrier, message.headers
        plain = {name: carrier.get(headers, name) for name in carrier.keys(headers)}
        message = Message(
            message.channel,
            None,
            {name: value for name, value in plain.items() if value is not None},
            attempt=message.attempt,
            redelivered=message.redelivered,
            transport_id=message.transport_id,
            system=message.system or self._library.system,
            alias=message.alias,
        )
        if envelope.text is not None:
            envelope = envelope._replace(payload=None)  # the text has it
        return Portable(message, envelope, carrier.headers)

    def __del__(self) -> None:
        # Nobody else has it, so no lock: a thread that holds one may be the one that frees this.
        delivery = self._taken
        # A process that was forked meanwhile may have it: then that tells.
        if delivery is not None and os.getpid() == self._pid and self._forks == _forks:
            with guard:
                delivery.end(abandoned=True)


def _count_fork() -> None:
    global _forks  # noqa: PLW0603 - of this process there is one
    _forks += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_parent=_count_fork)
