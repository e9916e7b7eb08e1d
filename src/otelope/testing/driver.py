"""What a client library's driver does for the contract, and in what libraries differ, as data."""

from __future__ import annotations

import asyncio

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar

from opentelemetry.instrumentation.utils import suppress_instrumentation


T = TypeVar("T")


class Got(NamedTuple):
    """
    What the library handed over.

    Args:
        native: The library's own object, as `otelope.handling` takes it.
        body: The message's body.
        headers: Its headers as text, by name.
    """

    native: Any
    body: bytes
    headers: Mapping[str, str]


Handler = Callable[[Got], Awaitable[None]]
Start = Callable[[], Awaitable[Any]]


@dataclass(frozen=True)
class Features:
    """
    In what a library and a style of its use differ from others.

    Args:
        system: What spans say in ``messaging.system``.
        batch: How many messages one hand-over holds at most; 1 for one at a time.
        polled: Whether the application asks for messages, so that a handling lasts until the next
            word of the consumer and the library sees no exception of the handler.
        nested: Whether sending lasts until the message is handled, as a request does.
        in_sender: Whether the handler runs in the sender's thread or task.
        raises: Whether an exception of the handler comes out of `Driver.drive` unchanged.
        asynchronous: Whether the sending call is a coroutine, which can be cancelled.
        answers: Whether an answer of status 500 is the sending's error.
        forgets: Whether what was not handled never comes again, or nobody knows when.
        redelivers: Whether the broker says of a message that it came before.
        headers: Whether messages can have headers.
        ordered: Whether messages are handled one after the other, as they were sent.
        json_only: Whether the broker refuses what is no JSON.
        tasks: Whether a message is the library's own task, and an envelope whatever it carries.
        receiving: What spans of handling say in ``messaging.system``, where messages come out of
            another system than they were sent to.
    """

    system: str
    batch: int = 1
    polled: bool = False
    nested: bool = False
    in_sender: bool = False
    raises: bool = True
    asynchronous: bool = False
    answers: bool = False
    forgets: bool = False
    redelivers: bool = False
    headers: bool = True
    ordered: bool = True
    json_only: bool = False
    tasks: bool = False
    receiving: str = ""


class Driver(Protocol):
    """
    One style of use of one client library.

    Attributes:
        features: What the contract has to know of it.
        between: Called when a message has left its sender and has not arrived yet.
    """

    features: Features
    between: Callable[[], None]

    def run(self, scenario: Coroutine[Any, Any, T]) -> T:
        """Run a scenario: in an event loop, or for a library without one, `run_inline`."""
        ...

    def destination(self, channel: str) -> str:
        """What spans call the channel."""
        ...

    def call(self, channel: str, body: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
        """The arguments, by name, with which the library is called to send this."""
        ...

    async def send(self, *calls: dict[str, Any], positional: bool = False) -> None:
        """Send these, with arguments by name or by position, and see them off."""
        ...

    async def send_bare(self, channel: str, body: bytes) -> None:
        """Send as `send` does, through a transport that loses the headers on the way."""
        ...

    async def send_in_vain(self, call: dict[str, Any]) -> None:
        """Send to where nobody is, or what the library refuses; raises what the library raises."""
        ...

    async def drive(self, handlers: Mapping[str, Handler], start: Start, count: int) -> None:
        """
        Run ``start``, and hand the messages of each channel to its handler, ``count`` in all.

        What a handler raises ends it. The channels are closed afterwards.

        Raises:
            TimeoutError: The messages did not come.
        """
        ...


class Case(NamedTuple):
    """
    One style of use to be proved.

    Args:
        name: The test id.
        features: What the driver will have; known before there is a server to make it with.
        make: Makes the driver, with pytest's fixtures at hand.
        marks: Of pytest, such as one that says which server it needs.
    """

    name: str
    features: Features
    make: Callable[[Any], Driver]
    marks: Sequence[Any] = ()


Scenario = TypeVar("Scenario", bound=Callable[..., None])


def where(applies: Callable[[Features], bool]) -> Callable[[Scenario], Scenario]:
    """Mark a scenario that says something about libraries with such features only."""

    def mark(scenario: Scenario) -> Scenario:
        scenario.applies = applies  # type: ignore[attr-defined]  # read by `Contract`
        return scenario

    return mark


def run_inline(scenario: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never waits: its calls are all synchronous ones."""
    try:
        scenario.send(None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]  # a coroutine's StopIteration holds its result
    scenario.close()
    raise RuntimeError("the driver of a synchronous library must not wait")


def run_in_loop(scenario: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in an event loop of its own."""
    return asyncio.run(scenario)


async def nothing() -> None:
    """Start nothing."""


async def bridge(driver: Driver, source: str, channel: str) -> None:
    """Forward one message without its headers, as a bridge between two brokers may."""

    async def forward(got: Got) -> None:
        await driver.send(driver.call(channel, got.body, {}))

    with suppress_instrumentation():
        await driver.drive({source: forward}, nothing, 1)
