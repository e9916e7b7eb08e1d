"""`otelope contracts`, asking a real `otelope up` and a real data directory."""

from __future__ import annotations

import json
import time

import pytest

from otelope.cli.contracts import contract_lines
from otelope.cli.style import Style
from otelope.model import semconv
from tests.cli.conftest import running_up
from tests.store.made import EPOCH_MS, envelope_record, request


SINCE = ["--since", str(EPOCH_MS)]
CHARGE = {
    "type": "ChargeCard", "envelopes": 1, "declared": None, "left": {"card": 1}, "leaked": {},
}  # fmt: skip
PLACED = {
    "type": "OrderPlaced",
    "envelopes": 2,
    "declared": ["orderId", "coupon"],
    "left": {"orderId": 2, "em\x1bail": 1},
    "leaked": {"em\x1bail": 1},
}


def sent():
    """Two types: one leaks, one has no contract."""

    def told(left):
        return {
            semconv.CONTRACT_DECLARED: json.dumps(["coupon", "orderId"]),
            semconv.CONTRACT_LEFT: json.dumps(left),
        }

    return request(
        envelope_record("1", **told(["orderId"])),
        envelope_record("2", **told(["em\x1bail", "orderId"])),
        envelope_record("3", type="ChargeCard", card="4711"),
    ).SerializeToString()


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with running_up(tmp_path_factory.mktemp("contracts") / "data") as up:
        up.send(sent())
        yield up


def test_types_with_their_fields(running, otelope):
    done = otelope("contracts", *SINCE, "--json", "--store", running.url)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [CHARGE, PLACED]
    done = otelope("contracts", *SINCE, "--store", running.url)
    assert done.returncode == 0
    assert done.stdout.splitlines() == list(contract_lines([CHARGE, PLACED], Style()))
    assert "4711" not in done.stdout


def test_lines():
    assert list(contract_lines([CHARGE, PLACED], Style())) == [
        "ChargeCard  1 envelope  no contract",
        "  ? card  1",
        "OrderPlaced  2 envelopes",
        "  ✓ orderId    2",
        "  ✓ coupon     never",
        "  ✗ em\\x1bail  1  leaked",
        "2 types, 1 without a contract, 1 field leaked",
    ]
    widened = {**PLACED, "declared": ["a"], "left": {"a": 1_234}, "leaked": {"a": 34}}
    assert list(contract_lines([widened], Style())) == [
        "OrderPlaced  2 envelopes",
        "  ✗ a  1,234  leaked 34",
        "1 type, 1 field leaked",
    ]
    empty = {**PLACED, "declared": [], "left": {}, "leaked": {}}
    assert list(contract_lines([empty], Style())) == [
        "OrderPlaced  2 envelopes",
        "1 type, nothing leaked",
    ]


@pytest.mark.parametrize(("name", "status"), [("OrderPlaced", 1), ("ChargeCard", 0)])
def test_check_fails_where_something_leaked(running, otelope, name, status):
    done = otelope(
        "contracts", *SINCE, "--check", "--type", name, "--json", "--store", running.url
    )
    assert done.returncode == status
    assert [each["type"] for each in json.loads(done.stdout)] == [name]


@pytest.mark.parametrize("filters", [[], ["--type", "NoSuchType", *SINCE]])
def test_nothing_was_sent(running, otelope, filters):
    assert time.time() * 1000 - EPOCH_MS > 7 * 86_400_000  # what the default leaves out
    done = otelope("contracts", *filters, "--store", running.url)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"no envelope at {running.url} satisfies all of this" in done.stderr


def test_the_data_directory_answers_the_same(otelope, tmp_path):
    with running_up(tmp_path / "data") as up:
        up.send(sent())
        up.stop()
    done = otelope("contracts", *SINCE, "--json", "--store", str(tmp_path / "data"))
    assert json.loads(done.stdout) == [CHARGE, PLACED]


def test_a_time_that_makes_no_sense(otelope):
    done = otelope("contracts", "--since", "yesterday")
    assert done.returncode == 2
    assert "'yesterday' is no time" in done.stderr
