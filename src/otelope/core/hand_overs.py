"""Deliveries by poll: they begin when a consumer hands over, and end at its next word."""

from __future__ import annotations

import threading
import weakref

from collections.abc import Collection
from typing import Any

from otelope.core.guard import guard
from otelope.core.operation import Delivery, ambient_delivery, place


class HandOvers:
    """
    The deliveries that last until a consumer's next word, by consumer.

    A consumer that is shared, as a client with connections of its own for each call, has one for
    each thread or task that receives by it.

    Attributes:
        inner: Consumers that another one receives through: what they hand over is not yet the
            application's.
    """

    def __init__(self) -> None:
        self.inner: weakref.WeakSet[Any] = weakref.WeakSet()
        self._open: weakref.WeakKeyDictionary[Any, _HandedOver] = weakref.WeakKeyDictionary()
        self._seats: weakref.WeakKeyDictionary[Any, _Seats] = weakref.WeakKeyDictionary()
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
        delivery.attach()

    def begin_here(self, consumer: Any, delivery: Delivery | None, source: Any = None) -> None:
        """Make it a shared consumer's current one in this thread or task, in another's stead."""
        if delivery is None:
            return
        with self._lock:
            seats = self._seats.setdefault(consumer, weakref.WeakKeyDictionary())
            seat = seats.setdefault(place(), _Seat())
        self.end(seat)
        seat.source = source
        self.begin(seat, delivery)

    def current(self, consumer: Any) -> Delivery | None:
        """The delivery that lasts; None between two."""
        handed_over = self._open.get(consumer)
        delivery = handed_over.delivery if handed_over else None
        return delivery if delivery is not None and delivery.open else None

    def hand_on(self, envelope_id: str) -> Delivery | None:
        """
        Take an envelope away from the consumer that received it: another place handles it.

        Returns:
            The delivery that goes on; None when there is none or it needs one of its own.
        """
        for handed_over in list(self._open.values()):
            delivery = handed_over.delivery
            if delivery is not None and delivery.handles(envelope_id):
                if delivery.envelope is None:
                    delivery.leave(envelope_id)
                    return None
                handed_over.delivery = None
                return delivery.hand_on()
        return None

    def settle(self, receipts: Collection[Any], refusal: str | None = None) -> None:
        """
        Note which messages are settled, whoever received them; a delivery without others ends.

        Where a callback handles it, it ends with that. Never raises.
        """
        with guard:
            ambient = ambient_delivery()
            if ambient is not None:
                ambient.settle(receipts, refusal)
        for handed_over in list(self._open.values()):
            handed_over.settle(receipts, refusal)

    def end(self, consumer: Any, *, abandoned: bool = False) -> None:
        """End the consumer's current delivery, if it has one; a shared one's all. Never raises."""
        handed_over = self._open.get(consumer)
        if handed_over is not None:
            handed_over.end(abandoned=abandoned)
        seats = self._seats.get(consumer)
        if seats:
            here = place()
            for where, seat in list(seats.items()):
                handed_over = self._open.get(seat)
                if handed_over is not None:
                    elsewhere = where is not here
                    handed_over.end(abandoned=abandoned or elsewhere, elsewhere=elsewhere)

    def end_here(self, consumer: Any, source: Any = None) -> None:
        """End what a shared consumer has in this thread or task from there. Never raises."""
        seats = self._seats.get(consumer)
        seat = seats.get(place()) if seats else None
        if seat is not None and seat.source == source:
            self.end(seat)

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

    __slots__ = ("delivery",)

    def __init__(self) -> None:
        self.delivery: Delivery | None = None

    def settle(self, receipts: Collection[Any], refusal: str | None) -> None:
        delivery = self.delivery
        if delivery is None:
            return
        complete = False
        with guard:
            complete = delivery.settle(receipts, refusal)
        if complete:
            self.end()

    def end(self, *, abandoned: bool = False, elsewhere: bool = False) -> None:
        delivery, self.delivery = self.delivery, None
        if delivery is None:
            return
        error = None if elsewhere else delivery.fresh_error()
        if isinstance(error, GeneratorExit):
            # `yield from consumer` closes the consumer when its generator is left: anyhow.
            error, abandoned = None, True
        with guard:
            delivery.end(error, abandoned=abandoned)


class _Seat:
    """
    A shared consumer in one thread or task; goes when either does.

    Attributes:
        source: Where what it has came from.
    """

    __slots__ = ("__weakref__", "source")

    def __init__(self) -> None:
        self.source: Any = None


_Seats = weakref.WeakKeyDictionary[Any, _Seat]
