"""What every scenario stands on: a service under instrumentation and one style of a library."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from otelope import instrumentor
from otelope.core.guard import guard
from otelope.testing.driver import Driver, Got, Handler, Start
from otelope.testing.messages import Sent, new_channel
from otelope.testing.spans import Service


async def ignore(_: Got) -> None:
    """Handle a message by doing nothing."""


class Scenarios:
    """Fixtures and verbs of the scenarios, which `otelope.testing.Contract` gives their driver."""

    @pytest.fixture
    def service(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
        """A process that otelope instruments, whose own faults fail the test."""
        monkeypatch.setattr(guard, "strict", True)
        instrumentor.uninstrument()
        service = Service()
        service.instrument()
        yield service
        instrumentor.uninstrument()

    @pytest.fixture
    def channel(self) -> str:
        """A channel of this test's own."""
        return new_channel()

    def exchange(
        self,
        driver: Driver,
        start: Start,
        handlers: dict[str, Handler],
        count: int = 1,
    ) -> None:
        """Send, and handle ``count`` messages."""
        driver.run(driver.drive(handlers, start, count))

    def emit(self, driver: Driver, channel: str, *sent: Sent, **options: Any) -> None:
        """Send, and handle nothing that need not be."""

        async def start() -> None:
            for each in sent:
                await driver.send(driver.call(channel, each.body, {}), **options)

        self.exchange(driver, start, {channel: ignore}, 0)

    def pass_on(
        self, driver: Driver, channel: str, handler: Handler, *sent: Sent, bare: bool = False
    ) -> None:
        """Send, and hand each to the handler."""

        async def start() -> None:
            if not bare:
                await driver.send(*(driver.call(channel, each.body, {}) for each in sent))
            for each in sent if bare else ():
                await driver.send_bare(channel, each.body)

        self.exchange(driver, start, {channel: handler}, len(sent))
