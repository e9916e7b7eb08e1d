"""A small library under instrumentation, with spans and records in memory."""

from __future__ import annotations

import importlib.util
import sys

from pathlib import Path

import pytest

from msgspec.structs import replace

from otelope.codecs import Codecs
from otelope.core.adapter import Adapter
from otelope.core.carriers import BARE, MAPPING
from otelope.core.guard import guard
from otelope.core.hand_overs import HandOvers
from otelope.core.instrumenter import Instrumenter
from otelope.core.kinds import kind_of
from otelope.core.message import Message
from otelope.core.patching import Patches
from otelope.core.settings import Settings
from otelope.core.sites import (
    Handle,
    Iterate,
    Operations,
    Process,
    Receive,
    Send,
    SendMany,
    Settle,
    Within,
)
from otelope.core.sites.batch import Gather, SendBatch
from otelope.core.sites.transaction import transactions_of
from otelope.core.tracing import Tracing
from otelope.testing.spans import Service


def _letters():
    """The small library under a root of its own, since a library's own callbacks are let be."""
    spec = importlib.util.spec_from_file_location(
        "letters", Path(__file__).with_name("letters.py")
    )
    module = sys.modules["letters"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


letters = _letters()
CLIENT = "letters:Client"


def sent(call):
    return Message(call["channel"], call["body"], call["headers"])


def got(message, _=None):
    if message is None:
        return []
    return [Message("orders", message.body, message.headers, receipt=id(message))]


def handed(call):
    return next(iter(got(call["message"])), None)


def all_sent(call):
    return [
        Message(letter["channel"], letter["body"], letter.get("headers")) if letter else None
        for letter in call["letters"]
    ]


def all_stamped(call, headers):
    call["letters"] = [
        letter if given is None else {**letter, "headers": given}
        for letter, given in zip(call["letters"], headers, strict=True)
    ]


def operations(target):
    """One function by which letters are sent, received and thrown away."""
    return Operations(
        target,
        lambda call: call["operation"],
        {
            "send": Send(
                target,
                lambda call: Message(call["letter"]["channel"], call["letter"]["body"]),
                lambda call, headers: call.__setitem__(
                    "letter", {**call["letter"], "headers": headers}
                ),
            ),
            "get": Receive(target, got),
            "refuse": Settle(target, refuses=True),
        },
    )


def receipts(call):
    return list(map(id, call["messages"]))


def receipt(call):
    return [id(call.instance)]


def sent_at_once(call):
    return [Message(call["channel"], *each) for each in call["letters"]]


def stamped(call, headers):
    letters = zip(call["letters"], headers, strict=True)
    call["letters"] = [(body, given if new is None else new) for (body, given), new in letters]


def refused(answer, _):
    return [None if each == "sent" else each for each in answer]


ADAPTER = Adapter(
    system="letters",
    carrier=MAPPING,
    sites=(
        Send(f"{CLIENT}.send", sent),
        Send(f"{CLIENT}.send_later", sent),
        Send(f"{CLIENT}.promise", sent, future=True),
        Send(
            f"{CLIENT}.send_and_tell",
            lambda call: Message(call["channel"], call["body"], call["properties"]),
            headers="properties",
            told=("callback", lambda refused: refused),
        ),
        Gather(
            "letters:Parcel.add",
            lambda call: Message(None, call["body"], call["headers"]),
            taken=bool,
        ),
        SendBatch(f"{CLIENT}.send_parcel", lambda call: (call["parcel"], call["channel"])),
        *transactions_of(CLIENT),
        Receive(f"{CLIENT}.get", got),
        Receive(f"{CLIENT}.get_later", got),
        Send(f"{CLIENT}.ask", sent),
        Receive(f"{CLIENT}.ask", got, at_once=True),
        Receive(f"{CLIENT}.take_later", got, shared=True),
        Send(f"{CLIENT}.send_soon", sent),
        SendMany(f"{CLIENT}.send_many", sent_at_once, stamped, refused),
        SendMany(f"{CLIENT}.send_many_later", sent_at_once, stamped, refused),
        SendMany(f"{CLIENT}.send_many_soon", sent_at_once, stamped, refused),
        Receive(f"{CLIENT}.take_soon", got, shared=True, source=lambda call: call["place"]),
        Receive(
            "letters:Batches.fetch",
            lambda messages, _: [each for message in messages for each in got(message)],
            through=lambda batches: batches.client,
        ),
        Iterate(f"{CLIENT}.iterate", got),
        Iterate(f"{CLIENT}.iterate_later", got),
        Process(f"{CLIENT}.subscribe_all", lambda message: got(message)[0], "callbacks"),
        Settle(f"{CLIENT}.leave", early=True),
        Settle(f"{CLIENT}.finalize", early=True, abandons=True),
        Process(f"{CLIENT}.subscribe", lambda message: got(message)[0], callback="callback"),
        Process(
            f"{CLIENT}.subscribe_at",
            lambda message: replace(got(message)[0], channel=message.headers.get("channel")),
            "callback",
            lambda call: call["place"],
        ),
        Process(
            f"{CLIENT}.subscribe_by_name",
            lambda **named: replace(got(named["message"])[0], channel=None),
            "callback",
            lambda call: call["place"],
        ),
        Process(
            f"{CLIENT}.subscribe_through", lambda message: got(message)[0], callback="callback"
        ),
        Within(f"{CLIENT}.work", lambda call: call["place"]),
        Within(f"{CLIENT}.work_later", lambda call: call["place"]),
        Handle(f"{CLIENT}.dispatch", handed),
        Handle(f"{CLIENT}.dispatch_later", handed),
        Settle(f"{CLIENT}.acknowledge", receipts=receipts),
        Settle(f"{CLIENT}.refuse", refuses=True, receipts=receipts),
        Settle(f"{CLIENT}.commit"),
        Settle(f"{CLIENT}.reject", refuses=True),
        Settle("letters:Message.done", receipts=receipt),
        Settle("letters:Message.refuse", refuses=True, receipts=receipt),
        SendMany(f"{CLIENT}.send_all", all_sent, all_stamped, lambda answer, _: answer),
        SendMany(f"{CLIENT}.send_all_later", all_sent, all_stamped, lambda answer, _: answer),
        operations(f"{CLIENT}.operate"),
        operations(f"{CLIENT}.operate_later"),
        Settle(f"{CLIENT}.close"),
    ),
    also=(
        Adapter(
            system="letters",
            carrier=MAPPING,
            sites=(
                Send("letters:Courier.send", sent),
                SendMany("letters:Courier.carry", lambda _: [None]),
                Handle("letters:Courier.bring", lambda call: Message(None, call["body"])),
            ),
        ),
        Adapter(
            system="postcards",
            carrier=BARE,
            sites=(SendMany("letters:Postcards.send_all", all_sent, all_stamped),),
        ),
    ),
)


@pytest.fixture(autouse=True)
def _strict(monkeypatch):
    monkeypatch.setattr(guard, "strict", True)


@pytest.fixture
def service():
    return Service()


@pytest.fixture
def patches(service):
    settings = Settings()
    codecs = Codecs({}, settings.max_body_bytes)
    instrumenter = Instrumenter(
        settings,
        codecs.recognise,
        codecs.payload_of,
        kind_of((), ()),
        service.records.append,
        Tracing(service.provider),
    )
    patches = Patches(HandOvers())
    assert patches.put(ADAPTER, instrumenter) == []
    yield patches
    patches.remove()


@pytest.fixture
def client(patches):
    return letters.Client()
