"""What the application needs of the world: a database, a broker, a service over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from otelope import Envelope


class Conflict(Exception):  # noqa: N818 - not an error: decide again
    """Another handling has changed the state meanwhile."""


class Unavailable(Exception):  # noqa: N818 - a state of the world
    """What is needed does not answer, or refuses; trying again may help."""


class Refused(Exception):  # noqa: N818 - a state of the world
    """The broker does not take the message of a key, such as a too large one, and never will."""

    def __init__(self, key: str, reason: object) -> None:
        super().__init__(f"{key}: {reason}")
        self.key = key


class Versioned(NamedTuple):
    """The state of a key; None and 0 before the first event."""

    key: str
    value: dict[str, Any] | None
    version: int


class Keyed(NamedTuple):
    """A message for a broker; those of one key stay in order."""

    key: str
    body: bytes


class Answer(NamedTuple):
    """What HTTP says."""

    status: int
    body: dict[str, Any]


class Database(Protocol):
    """
    Where a service keeps envelopes and states; each method is one transaction.

    Any method raises `Unavailable` when the database does not answer, and `Unreadable` when it
    cannot hold such data.
    """

    def store(self, command: Envelope, key: str) -> Envelope:
        """
        Store a command, the first of its key; the one that is stored.

        Args:
            command: When another one of the key is there, nothing happens to this one.
            key: The command's own id, or that of the event that leads to it, and to no other.
        """

    def state(self, key: str) -> Versioned:
        """The latest state."""

    def complete(
        self,
        command: Envelope,
        events: Sequence[Envelope],
        before: Versioned,
        value: dict[str, Any],
    ) -> None:
        """
        Store what a command has led to: its events, the new state, and that it is handled.

        Raises:
            Conflict: The state is not what it was *before*.
        """

    def append(self, event: Envelope, before: Versioned, value: dict[str, Any]) -> None:
        """
        Store an event that was decided elsewhere, and the new state, all or nothing.

        Nothing happens when the event is there already.

        Raises:
            Conflict: The state is not what it was *before*.
        """

    def events_of(self, command: Envelope) -> list[Envelope] | None:
        """What a command has led to; None while it was not handled."""


class Broker(Protocol):
    """What carries envelopes to whom they concern: at least once, in order per key."""

    def publish(self, channel: str, messages: Sequence[Keyed]) -> None:
        """
        Send messages; returns when the broker has all of them.

        When it raises, some may have arrived; the others will not, unless they are sent again.

        Raises:
            Unavailable: It does not answer, or not for all of them.
            Refused: It does not take one of them.
        """

    def consume(
        self,
        channels: Sequence[str],
        handle: Callable[[bytes], None],
        hopeless: tuple[type[Exception], ...] = (),
    ) -> None:
        """
        Hand over message after message until the process is asked to end.

        A message is acknowledged when it was handled, or when its handling raised what is
        *hopeless*: trying again would not help. Any other exception ends the process, and the
        message comes again.
        """


class Log(Protocol):
    """A broker that keeps what was said."""

    def replay(self, channels: Sequence[str]) -> list[bytes]:
        """All that was published to these channels until now, each key's in order."""


class Peer(Protocol):
    """Another service, over HTTP."""

    def post(self, envelope: Envelope) -> Answer:
        """
        Hand over an envelope; any other answer than that it was taken raises.

        Raises:
            Unavailable: It does not answer, or failed.
        """
