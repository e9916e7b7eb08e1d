"""Turns messages into spans and records: the same for every adapter."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from otelope.core.carriers import Carrier
from otelope.core.contracts import Contracts
from otelope.core.memory import Memory
from otelope.core.message import Message
from otelope.core.receiver import Receiver
from otelope.core.records import Recorder
from otelope.core.sender import Sender
from otelope.core.sent import Sent
from otelope.core.settings import Settings
from otelope.core.shared import Shared
from otelope.core.storer import Storer
from otelope.core.tracing import Tracing
from otelope.core.transactions import Transactions
from otelope.model.envelope import Envelope, Kind
from otelope.model.identity import hashed, identify


class Instrumenter:
    """
    What sites and the API call: to send, to handle and to store.

    Args:
        settings: The process's settings.
        recognise: Finds the envelope in a message; None when it is none.
        payload_of: The payload of a recognised envelope, decoded.
        kind: The kind of a type, and whether it is inferred.
        record: Takes the records.
        tracing: Makes the spans.
        candidates: What of a database's rows may be an envelope.
    """

    def __init__(
        self,
        settings: Settings,
        recognise: Callable[[Message, Carrier], Envelope | None],
        payload_of: Callable[[Envelope], Any],
        kind: Callable[[str], tuple[Kind | None, bool]],
        record: Recorder,
        tracing: Tracing,
        candidates: Callable[[Any], Iterable[Any]] = lambda _: (),
    ) -> None:
        self.max_body_bytes = settings.max_body_bytes
        self.recognise = recognise
        self.memory = Memory()
        self.contracts = Contracts(payload_of, strict=settings.contracts == "strict")
        shared = Shared(
            settings.traces,
            hashed if settings.traces == "links" else identify,
            kind,
            record,
            tracing,
            self.memory,
            self.contracts,
        )
        sender, receiver = Sender(shared, recognise), Receiver(shared, recognise)
        self.send = sender.send
        self.create = sender.create
        self.ahead = sender.ahead
        self.send_ahead = sender.send_ahead
        self.sent = Sent()
        self.deliver = receiver.deliver
        self.handle = receiver.handle
        storer = Storer(shared, recognise, candidates)
        self.store = storer.store
        self.envelopes_in = storer.envelopes_in
        self.transactions = Transactions()
