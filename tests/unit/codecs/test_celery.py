"""Celery's task messages: who they are, and what among their arguments."""

from __future__ import annotations

import json

from typing import Any

import pytest

from otelope.core.carriers import MAPPING
from otelope.model.envelope import Envelope, Source
from tests.unit.codecs.messages import (
    ID,
    METADATA,
    PARENT,
    PAYLOAD,
    encoded,
    json_envelope,
    recognised,
)


HEADERS = {
    "lang": "py",
    "task": "shop.bill",
    "id": ID,
    "root_id": PARENT,
    "parent_id": PARENT,
    "origin": "gen42@shop",
    "timelimit": [None, None],
}
ENVELOPE = {**METADATA, "payload": PAYLOAD}


def task(*args: Any, headers: dict[str, Any] = HEADERS, **kwargs: Any) -> Envelope | None:
    return recognised(encoded([args, kwargs, {"chain": None}]), headers, carrier=MAPPING)


def test_task_is_a_command_by_its_headers() -> None:
    assert task(7, note="é") == Envelope(
        ID,
        "shop.bill",
        None,
        Source("shop"),
        PARENT,
        kind="command",
        payload='{"args":[7],"kwargs":{"note":"é"}}'.encode(),
    )


@pytest.mark.parametrize(
    ("headers", "parent"),
    [
        ({"parent_id": None}, PARENT),
        ({"parent_id": None, "root_id": ID}, None),
        ({"parent_id": ID, "root_id": PARENT}, None),
    ],
    ids=["only a root", "a root itself", "its own"],
)
def test_parent_is_the_root_where_no_other_is_known(
    headers: dict[str, Any], parent: str | None
) -> None:
    found = task(headers={**HEADERS, **headers})
    assert found is not None
    assert found.parent_id == parent


@pytest.mark.parametrize(
    ("origin", "source"), [("celery@shop", "celery@shop"), (None, ""), (7, "7")], ids=repr
)
def test_source_is_where_it_comes_from(origin: Any, source: str) -> None:
    found = task(headers={**HEADERS, "origin": origin})
    assert found is not None
    assert found.source == Source(source)


def test_an_argument_that_is_an_envelope_is_the_message() -> None:
    text = json.dumps(ENVELOPE, ensure_ascii=False)
    whole = json_envelope(text.encode())
    assert task(7, ENVELOPE) == whole
    assert task("{", text) == whole
    assert task({"order": 7}, body=ENVELOPE) == whole


@pytest.mark.parametrize("body", [([7], {}, None), ((), {"n": {1, 2}}, {})], ids=repr)
def test_arguments_that_are_not_serialized_yet_are_read(body: Any) -> None:
    found = recognised(body, HEADERS, carrier=MAPPING)
    assert found is not None
    assert found.id == ID


def test_arguments_that_have_no_json_leave_the_task_without_a_payload() -> None:
    endless: list[Any] = []
    endless.append(endless)
    found = recognised((endless, {}, None), HEADERS, carrier=MAPPING)
    assert found is not None
    assert (found.id, found.payload) == (ID, None)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[",
        b"[[],{}]",
        b"[[],[],{}]",
        b"[7,{},{}]",
        b'[["{\xff"],{},{}]',
        b'[["{\\ud800"],[],{}]',
        b'{"order": 7}',
        b"[" * 4000,
    ],
    ids=lambda body: repr(body[:12]),
)
def test_what_is_no_task_is_none(body: bytes) -> None:
    assert recognised(body, HEADERS, carrier=MAPPING) is None


@pytest.mark.parametrize("missing", ["task", "root_id", "id"])
def test_what_does_not_say_that_it_is_a_task_is_none(missing: str) -> None:
    assert task(7, headers={**HEADERS, missing: None}) is None
