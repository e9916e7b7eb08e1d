"""How a transaction ends, by what its connection says."""

from __future__ import annotations

import gc

import pytest

import otelope

from otelope import instrumentor
from otelope.core.telling import Telling, is_told


class Connection:
    """A library's; nothing is asked of it."""


@pytest.fixture
def transactions(service):
    return instrumentor.active().parts.instrumenter.transactions


def begin(transactions, connection, type_):
    instrumenter = instrumentor.active().parts.instrumenter
    transactions.begin(connection, instrumenter.store([otelope.envelope(type_)], "orders-db"))


def ends(service):
    """How the storing of each type ended so far."""
    return {
        each.envelope.type: each.error_type if each.outcome == "error" else each.outcome
        for each in service.done()
    }


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["a", "COMMIT"], {"a": "ok"}),
        (["a", "END TRANSACTION;"], {"a": "ok"}),
        (["a", "COMMIT PREPARED 'x'"], {"a": "ok"}),
        (["a", "ROLLBACK"], {"a": "rolled back"}),
        (["a", "ABORT; SELECT 1"], {"a": "rolled back"}),
        (["a", "SELECT 1", "INSERT INTO commits VALUES (1)", ""], {}),
        (["COMMIT", "a"], {}),
        (["a", "COMMIT", "b", "ROLLBACK"], {"a": "ok", "b": "rolled back"}),
        (["a", "SAVEPOINT S", "b", "ROLLBACK TO S"], {"b": "rolled back"}),
        (["a", "SAVE TRANSACTION S", "b", "ROLLBACK TRANSACTION S"], {"b": "rolled back"}),
        (["a", "ROLLBACK TRANSACTION"], {"a": "rolled back"}),
        (["a", "SAVEPOINT S", "b", "ROLLBACK WORK TO SAVEPOINT S"], {"b": "rolled back"}),
        (["a", "SAVEPOINT S", "b", "RELEASE S", "COMMIT"], {"a": "ok", "b": "ok"}),
        (["SAVEPOINT S", "a", "ROLLBACK TO S"], {"a": "rolled back"}),
        (
            ["a", "SAVEPOINT S", "b", "SAVEPOINT T", "c", "ROLLBACK TO S", "COMMIT"],
            {"a": "ok", "b": "rolled back", "c": "rolled back"},
        ),
    ],
)
def test_what_is_said_ends_what_it_is_about(service, transactions, words, expected):
    connection = Connection()
    for word in words:
        if word.islower():
            begin(transactions, connection, word)
        else:
            transactions.hear(connection, word)
    assert ends(service) == expected
    lasting = {word for word in words if word.islower()} - set(expected)
    assert len(transactions.pending(connection)) == len(lasting)
    assert bool(transactions.open) == bool(lasting)


def test_the_cause_of_a_rollback_is_what_is_being_handled(service, transactions):
    connection, failure = Connection(), ValueError()
    try:
        raise failure
    except ValueError:
        begin(transactions, connection, "within")
        transactions.hear(connection, "ROLLBACK")
    begin(transactions, connection, "before")
    try:
        raise failure
    except ValueError:
        transactions.hear(connection, "ROLLBACK")
    assert ends(service) == {"within": "rolled back", "before": "ValueError"}


def test_a_commit_that_is_refused_says_why_and_a_cancelled_one_nothing(service, transactions):
    for type_, error in (("refused", ValueError()), ("cancelled", KeyboardInterrupt())):
        connection = Connection()
        begin(transactions, connection, type_)
        transactions.hear(connection, "COMMIT", error=error)
    assert ends(service) == {"refused": "ValueError", "cancelled": "unknown"}
    assert service.envelopes() == []


def test_a_savepoint_that_is_refused_changes_nothing(service, transactions):
    connection = Connection()
    begin(transactions, connection, "a")
    for statement in ("SAVEPOINT S", "ROLLBACK TO S"):
        transactions.hear(connection, statement, error=ValueError())
    assert ends(service) == {}
    assert len(transactions.pending(connection)) == 1


@pytest.mark.parametrize(
    ("tag", "end"), [("COMMIT", "ok"), ("ROLLBACK", "rolled back"), (None, "unknown")]
)
def test_the_databases_answer_goes_before_what_was_said(service, transactions, tag, end):
    connection = Connection()
    begin(transactions, connection, "a")
    transactions.hear(connection, "COMMIT", tag)
    assert ends(service) == {"a": end}


@pytest.mark.parametrize(
    ("words", "end"), [(["COMMIT"], "rolled back"), (["ROLLBACK TO S", "COMMIT"], "ok")]
)
def test_a_failed_statement_fails_its_transaction_unless_undone(service, transactions, words, end):
    connection = Connection()
    begin(transactions, connection, "a")
    transactions.hear(connection, "SAVEPOINT S")
    transactions.fail(connection)
    for word in words:
        transactions.hear(connection, word)
    assert ends(service) == {"a": end}


def test_a_connection_that_is_collected_leaves_an_unknown_end(service, transactions):
    connection = Connection()
    begin(transactions, connection, "a")
    del connection
    gc.collect()
    assert ends(service) == {"a": "unknown"}
    assert not transactions.open


def test_a_forked_process_leaves_them_to_the_first(service, transactions):
    connection = Connection()
    begin(transactions, connection, "a")
    transactions.forget()
    transactions.hear(connection, "COMMIT")
    transactions.end_all()
    assert ends(service) == {}


def test_a_failure_with_nothing_to_store_fails_no_later_transaction(service, transactions):
    connection = Connection()
    begin(transactions, connection, "A")
    transactions.hear(connection, "COMMIT")
    transactions.fail(connection)
    begin(transactions, connection, "B")
    transactions.hear(connection, "COMMIT")
    assert ends(service) == {"A": "ok", "B": "ok"}


def test_statements_may_end_in_another_order_than_they_began():
    first, second = Telling(["a", "b"]), Telling(["b", "c"])
    first.end()
    assert [is_told(each) for each in "abc"] == [False, False, True]
    second.end()
    assert not is_told("c")
