"""What a process knows of its contracts, and of the envelopes it made under them."""

from __future__ import annotations

import threading

import pytest

from otelope.core.contracts import (
    KEPT,
    KEPT_BYTES,
    LONGEST,
    Contracts,
    Leaving,
    declared,
)
from otelope.model import contracts
from otelope.model.contracts import ContractError, declare
from otelope.model.envelope import Envelope


@pytest.fixture(autouse=True)
def _no_contracts(monkeypatch):
    monkeypatch.setattr(contracts, "_declared", {})


def watching(*, strict=False):
    return Contracts(lambda envelope: envelope.payload, strict=strict)


def made(number=1, payload=None, outside=None):
    return Envelope(str(number), "OrderPlaced", payload=payload, outside=outside)


def test_without_a_contract_nobody_looks_at_a_payload():
    asked = []
    watching = Contracts(asked.append)
    declare("Another", frozenset())

    assert watching.leaving(made()) is None
    assert asked == []


def test_declaring_again_replaces():
    declare("OrderPlaced", frozenset({"a"}))
    declare("OrderPlaced", frozenset({"b"}))

    assert declared("OrderPlaced") == {"b"}
    assert declared("PlaceOrder") is None
    assert watching().leaving(made(payload={"a": 1})) == Leaving({"b"}, {"a"})


def test_what_an_envelope_was_made_with_goes_before_its_types():
    declare("OrderPlaced", frozenset({"a"}))
    here = watching()
    here.keep(made(outside=frozenset({"b"})), b"{}")

    assert here.leaving(made(payload={"a": 1})).declared == {"b"}
    assert here.leaving(made(2, payload={"a": 1})).declared == {"a"}


@pytest.mark.parametrize(
    ("payload", "left"),
    [(None, set()), (b"", set()), ({}, set()), ([], {"$"}), (b"\xff", {"$"}), (7, {"$"})],
    ids=repr,
)
def test_a_payload_without_fields_leaves_whole_or_not_at_all(payload, left):
    declare("OrderPlaced", frozenset())

    assert watching().leaving(made(payload=payload)).left == left


def test_strict_refuses_what_is_beyond_and_nothing_else():
    declare("OrderPlaced", frozenset({"orderId"}))
    here = watching(strict=True)

    assert here.leaving(made(payload={"orderId": 1})) == Leaving({"orderId"}, {"orderId"})
    with pytest.raises(ContractError) as refused:
        here.leaving(made(payload={"orderId": "secret", "email": "secret"}))
    assert refused.value.leaked == ["email"]
    assert "secret" not in str(refused.value)


def test_the_whole_of_an_envelope_is_what_it_was_made_with():
    here = watching()
    here.keep(made(outside=frozenset()), b'{"payload":{"a":1}}')
    sent = made(payload=b"{}")._replace(parent_id="4")

    assert here.whole(sent) == sent._replace(payload=None, text=b'{"payload":{"a":1}}')
    assert here.whole(made(2, payload=b"{}")) == made(2, payload=b"{}")


def test_an_id_may_be_spelt_in_another_way_than_on_the_wire():
    here = watching()
    spelt = "8F19AA8E0A938A5F913160AF3E17183A"
    here.keep(made(spelt, outside=frozenset()), b"{}")

    assert here.whole(made("8f19aa8e-0a93-8a5f-9131-60af3e17183a")).text == b"{}"


def test_what_leaves_whole_is_not_kept():
    here = watching()
    here.keep(made(), b"{}")

    assert here.whole(made()) == made()


def test_memory_is_bounded_in_number_and_the_oldest_goes_first():
    here = watching()
    for number in range(KEPT + 1):
        here.keep(made(number, outside=frozenset()), b"{}")

    assert here.whole(made(0)).text is None
    assert here.whole(made(1)).text == here.whole(made(KEPT)).text == b"{}"


def test_memory_is_bounded_in_bytes():
    here = watching()
    third = b"x" * (KEPT_BYTES // 3)
    # The same one again takes the place of itself.
    for number in (0, 0, 1, 2):
        here.keep(made(number, outside=frozenset()), third)
    assert here.whole(made(0)).text == third

    here.keep(made(3, outside=frozenset()), third)
    here.keep(made(4, outside=frozenset()), b"x" * (LONGEST + 1))

    assert [here.whole(made(number)).text for number in range(5)] == [
        None, third, third, third, None,
    ]  # fmt: skip


def test_a_fork_while_another_thread_keeps_one_does_not_hang_the_child():
    here = watching()
    held, done = threading.Event(), threading.Event()

    def hold():
        with here._lock:
            held.set()
            done.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert held.wait(10)
        here.after_fork_in_child()
        here.keep(made(outside=frozenset()), b"{}")
    finally:
        done.set()
        thread.join()
    assert here.whole(made()).text == b"{}"
