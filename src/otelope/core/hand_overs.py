"""Deliveries by poll: they begin when a consumer hands over, and end at its next word."""

from __future__ import annotations

import sys
import threading
import weakref

from typing import Any

from otelope.core.guard import guard
from otelope.core.message import Message
from otelope.core.operation import Delivery


class HandOvers:
    """The deliveries that last until a consumer's next word, by consumer."""

    def __init__(self) -> None:
        self._open: weakref.WeakKeyDictionary[Any, _HandedOver] = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()

    def begin(self, consumer: Any, delivery: Delivery | None) -> None:
        """Make the delivery this consumer's current one, here and now; None when it has none."""
        if delivery is None:
            return
        with self._lock:
            handed_over = self._open.get(consumer)
            if handed_over is None:
                handed_over = self._open[consumer] = _HandedOver()
                weakref.finalize(consumer, handed_over.end, abandoned=True)
        handed_over.delivery = delivery
        handed_over.handled_error = sys.exc_info()[1]
        delivery.attach()

    def current(self, consumer: Any) -> Delivery | None:
        """The delivery that lasts; None between two, and where there is no consumer."""
        handed_over = self._open.get(consumer) if consumer is not None else None
        return handed_over.delivery if handed_over else None

    def consumer_of(self, message: Message) -> Any:
        """The consumer that handed this message over and waits for its end; None without one."""
        for consumer, handed_over in list(self._open.items()):
            delivery = handed_over.delivery
            if delivery is not None and delivery.delivers(message):
                return consumer
        return None

    def hand_on(self, envelope_id: str) -> Delivery | None:
        """
        Take an envelope away from the consumer that received it: another place handles it.

        Returns:
            The delivery that goes on; None when there is none or it needs one of its own.
        """
        for handed_over in list(self._open.values()):
            delivery = handed_over.delivery
            if delivery is not None and delivery.handles(envelope_id):
                if delivery.envelope is not None:
                    handed_over.delivery = None
                return delivery.hand_on(envelope_id)
        return None

    def end(self, consumer: Any, *, abandoned: bool = False) -> None:
        """End the consumer's current delivery, if it has one. Never raises."""
        handed_over = self._open.get(consumer)
        if handed_over is not None:
            handed_over.end(abandoned=abandoned)

    def end_all(self) -> None:
        """End what still lasts, when the process ends."""
        for handed_over in list(self._open.values()):
            handed_over.end(abandoned=True)

    def forget(self) -> None:
        """Leave what lasts to the process that this one was forked from, and its lock."""
        self._lock = threading.Lock()
        for handed_over in list(self._open.values()):
            handed_over.delivery = None


class _HandedOver:
    """One consumer's current delivery; knows nothing of the consumer, so that it can be freed."""

    __slots__ = ("delivery", "handled_error")

    def __init__(self) -> None:
        self.delivery: Delivery | None = None
        self.handled_error: BaseException | None = None

    def end(self, *, abandoned: bool) -> None:
        delivery, self.delivery = self.delivery, None
        if delivery is None:
            return
        # In a poll loop the library sees no exception of the handler; but what follows in the
        # application's `except` or `finally` block (a commit, a close) stands inside it.
        error = sys.exc_info()[1]
        if error is self.handled_error:
            error = None
        elif isinstance(error, GeneratorExit):
            # `yield from consumer` closes the consumer when its generator is left: anyhow.
            error, abandoned = None, True
        self.handled_error = None
        with guard:
            delivery.end(error, abandoned=abandoned)
