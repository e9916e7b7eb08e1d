"""Transactions of a broker: what was sent in one that is aborted never went."""

from __future__ import annotations

import logging

from dataclasses import dataclass
from typing import Any, Literal

from otelope.core.adapter import Wrapper
from otelope.core.guard import guard
from otelope.core.sent import MOST
from otelope.core.sites.wrapping import Wrapping


_logger = logging.getLogger("otelope")

Step = Literal["begin", "commit", "abort"]


def transactions_of(producer: str, parameters: str = "") -> tuple[Transact, ...]:
    """The sites of a producer, ``module:Class``, that names them as Kafka's own client does."""
    steps: tuple[Step, ...] = ("begin", "commit", "abort")
    return tuple(Transact(f"{producer}.{step}_transaction", step, parameters) for step in steps)


@dataclass(frozen=True)
class Transact:
    """
    A call that begins or ends the transaction of the producer that it is called on.

    Args:
        target: ``module:Class.method``.
        step: What it does; when it raises, it has not.
        parameters: The parameters' names in order, for a function without a signature.
    """

    target: str
    step: Step
    parameters: str = ""

    def wrapper(self, wrapping: Wrapping) -> Wrapper:
        def transact(wrapped: Wrapper, instance: Any, args: Any, kwargs: Any) -> Any:
            answer = wrapped(*args, **kwargs)
            self._done(wrapping, instance)
            return answer

        async def transact_async(wrapped: Wrapper, instance: Any, args: Any, kwargs: Any) -> Any:
            answer = await wrapped(*args, **kwargs)
            self._done(wrapping, instance)
            return answer

        return transact_async if wrapping.asynchronous else transact

    def _done(self, wrapping: Wrapping, producer: Any) -> None:
        with guard:
            sent = wrapping.instrumenter.sent
            if self.step == "begin":
                sent.begin(producer)
                return
            unnoted = sent.end(producer, aborted=self.step == "abort")
            if unnoted:
                _logger.warning(
                    "otelope tells of %d messages as sent, though their transaction was aborted: "
                    "it notes the last %d of one",
                    unnoted,
                    MOST,
                )
