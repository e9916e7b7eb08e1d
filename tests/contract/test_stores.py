"""What database libraries write is told of when it is committed, on the real library."""

from __future__ import annotations

import asyncio
import copy
import gc
import importlib
import json
import secrets
import string

import pytest

from opentelemetry.instrumentation.utils import suppress_instrumentation

import otelope

from otelope import instrumentor
from otelope.adapters.table import TABLE
from otelope.core.adapter import Adapter
from otelope.core.carriers import PAIRS
from otelope.core.guard import guard
from otelope.core.message import Message
from otelope.model.identity import identify
from otelope.testing.spans import parent, span_spot
from tests.contract.stores import event, whole


KAFKA = Adapter(system="kafka", carrier=PAIRS, sites=())
MARKS = {"postgresql_server": pytest.mark.postgresql}
COLUMNS = (
    "id VARCHAR(80) PRIMARY KEY, type TEXT, parent_id TEXT, timestamp BIGINT, source TEXT, "
    "body TEXT"
)


class FailedError(Exception):
    """The application's own."""


def cases(applies=lambda _: True):
    for row in TABLE:
        if row.name.startswith("databases."):
            library = row.name.rpartition(".")[2]
            driver = importlib.import_module(f"tests.contract.drivers.{library}")
            for style, features in driver.STYLES.items():
                if applies(features):
                    marks = MARKS.get(features.server, ())
                    made = (driver.Driver, style, features)
                    yield pytest.param(made, id=f"{library} {style}", marks=marks)


def pytest_generate_tests(metafunc):
    if "driver" in metafunc.fixturenames:
        applies = getattr(metafunc.function, "applies", lambda _: True)
        metafunc.parametrize("driver", list(cases(applies)), indirect=True)


def where(applies):
    def mark(test):
        test.applies = applies
        return test

    return mark


@pytest.fixture
def sqlite_file(tmp_path):
    return f"sqlite:///{tmp_path}/orders.db"


@pytest.fixture
def driver(request):
    made, style, features = request.param
    driver = made(style, request.getfixturevalue(features.server))
    driver.features = features
    return driver


class Opened:
    """A connection and a table of the test's own."""

    def __init__(self, driver, connection, table):
        self._driver = driver
        self.connection = connection
        self.table = table

    async def insert(self, *rows, ending=""):
        await self._driver.insert(self.connection, self.table, *rows, ending=ending)

    def __getattr__(self, name):
        return lambda *args: getattr(self._driver, name)(self.connection, *args)


def on(driver, scenario, *, autocommit=False):
    """Run a scenario on a fresh table."""

    async def run():
        table = "messages_" + "".join(secrets.choice(string.ascii_lowercase) for _ in range(8))
        creator = await driver.connect(autocommit=True)
        await driver.execute(creator, f"CREATE TABLE {table} ({COLUMNS})")
        await driver.close(creator)
        connection = await driver.connect(autocommit=autocommit)
        try:
            return await scenario(Opened(driver, connection, table))
        finally:
            await driver.close(connection)

    return asyncio.run(run())


def send(envelope):
    instrumenter = instrumentor.active().parts.instrumenter
    with instrumenter.send(Message("orders", envelope.to_json()), KAFKA):
        pass


def told(service):
    return [
        (each.operation, each.envelope.id, each.channel, each.outcome, each.error_type)
        for each in service.done()
    ]


def stored(driver, envelope):
    return ("store", envelope.id, driver.name, "ok", None)


def rolled_back(driver, envelope, error_type="rolled back"):
    return ("store", envelope.id, driver.name, "error", error_type)


class TestTransaction:
    def test_what_is_committed_is_told_then(self, service, driver):
        placed = event(order=7)

        async def scenario(database):
            await database.begin()
            await database.insert(whole(placed))
            assert (service.records, service.all_spans()) == ([], ())
            await database.commit()
            return told(service)

        assert on(driver, scenario) == [stored(driver, placed)]
        (record,) = service.envelopes()
        assert json.loads(record.envelope.text) == json.loads(placed.to_json())
        (span,) = service.all_spans()
        assert (span.name, span.kind.name) == (f"store {driver.name}", "INTERNAL")
        assert span.attributes["otelope.store.name"] == driver.name
        assert span.attributes["otelope.envelope.id"] == placed.id
        assert len(service.records) == 2

    def test_what_is_rolled_back_did_not_happen(self, service, driver):
        placed = event()

        async def scenario(database):
            await database.begin()
            await database.insert(whole(placed))
            await database.rollback()

        on(driver, scenario)
        assert told(service) == [rolled_back(driver, placed)]
        assert service.envelopes() == []
        (span,) = service.all_spans()
        assert span.status.status_code.name == "ERROR"

    def test_an_exception_in_a_block_rolls_back_and_arrives_as_it_is(self, service, driver):
        placed, failure = event(), FailedError()

        async def scenario(database):
            async def fail():
                async with database.transaction():
                    await database.insert(whole(placed))
                    raise failure

            with pytest.raises(FailedError) as raised:
                await fail()
            assert raised.value is failure

        on(driver, scenario)
        (record,) = service.done()
        assert (record.outcome, record.envelope.id) == ("error", placed.id)
        assert service.envelopes() == []

    def test_a_block_commits(self, service, driver):
        placed = event()

        async def scenario(database):
            async with database.transaction():
                await database.insert(whole(placed))
                assert service.records == []

        on(driver, scenario)
        assert told(service) == [stored(driver, placed)]

    def test_by_autocommit_it_is_told_at_once(self, service, driver):
        placed = event()

        async def scenario(database):
            await database.insert(whole(placed))
            return told(service)

        assert on(driver, scenario, autocommit=True) == [stored(driver, placed)]

    def test_only_what_came_after_a_savepoint_is_rolled_back_to_it(self, service, driver):
        before, within, kept, after = (event(n=n) for n in range(4))

        async def scenario(database):
            async def fail():
                async with database.savepoint():
                    await database.insert(whole(within))
                    raise FailedError

            async with database.transaction():
                await database.insert(whole(before))
                with pytest.raises(FailedError):
                    await fail()
                assert [each[1] for each in told(service)] == [within.id]
                async with database.savepoint():
                    await database.insert(whole(kept))
                await database.insert(whole(after))

        on(driver, scenario)
        assert told(service)[0][3] == "error"
        assert told(service)[1:] == [stored(driver, each) for each in (before, kept, after)]
        assert [each.envelope.id for each in service.envelopes()] == [
            each.id for each in (before, kept, after)
        ]

    def test_a_connection_serves_one_transaction_after_another(self, service, driver):
        events = [event(n=n) for n in range(4)]

        async def scenario(database):
            for number, each in enumerate(events):
                await database.begin()
                await database.insert(whole(each))
                await (database.rollback() if number % 2 else database.commit())

        on(driver, scenario)
        assert told(service) == [
            (rolled_back if number % 2 else stored)(driver, each)
            for number, each in enumerate(events)
        ]

    def test_a_close_without_a_word_rolls_back(self, service, driver):
        placed = event()

        async def scenario(database):
            await database.begin()
            await database.insert(whole(placed))
            await database.close()

        on(driver, scenario)
        assert told(service) == [rolled_back(driver, placed)]

    def test_what_the_process_leaves_open_ends_unknown(self, service, driver):
        placed = event()

        async def scenario(database):
            await database.begin()
            await database.insert(whole(placed))
            instrumentor.uninstrument()

        on(driver, scenario)
        assert told(service) == [("store", placed.id, driver.name, "unknown", None)]
        assert service.envelopes() == []


class TestFailing:
    def test_a_refused_insert_raises_what_the_library_raises(self, service, driver):
        first, second = event(n=1), event(n=2)

        async def scenario(database):
            await database.insert(whole(first))
            with pytest.raises(driver.failure):
                await database.insert({**whole(second), "id": whole(first)["id"]})

        on(driver, scenario, autocommit=True)
        assert told(service)[0] == stored(driver, first)
        (_, refused) = service.done()
        assert (refused.envelope.id, refused.outcome) == (second.id, "error")
        assert refused.error_type.endswith(driver.failure.__name__)
        assert [each.envelope.id for each in service.envelopes()] == [first.id]

    def test_a_commit_that_the_database_turns_into_a_rollback_is_none(self, service, driver):
        if driver.name != "postgres":
            pytest.skip("not applicable: SQLite goes on after a failed statement")
        placed = event()

        async def scenario(database):
            await database.begin()
            await database.insert(whole(placed))
            with pytest.raises(driver.failure):
                await database.insert(whole(placed))
            await database.commit()

        on(driver, scenario)
        assert told(service) == [rolled_back(driver, placed)]

    def test_a_fault_of_ours_does_not_reach_the_host(self, service, driver, monkeypatch):
        monkeypatch.setattr(guard, "strict", False)
        instrumenter = instrumentor.active().parts.instrumenter

        def faulty(rows):
            raise RuntimeError

        monkeypatch.setattr(instrumenter, "envelopes_in", faulty)

        async def scenario(database):
            await database.insert(whole(event()))

        on(driver, scenario, autocommit=True)
        assert service.records == []


class TestRows:
    def test_several_rows_at_once_are_told_each(self, service, driver):
        events = [event(n=n) for n in range(3)]

        async def scenario(database):
            async with database.transaction():
                await database.insert(*map(whole, events), {"id": "other", "body": "{}"})

        on(driver, scenario)
        assert told(service) == [stored(driver, each) for each in events]

    def test_an_envelope_in_two_rows_of_a_transaction_is_told_once(self, service, driver):
        placed = event()

        async def scenario(database):
            async with database.transaction():
                await database.insert(whole(placed))
                await database.insert({**whole(placed), "id": "in the outbox"})

        on(driver, scenario)
        assert told(service) == [stored(driver, placed)]

    @where(lambda style: style.columns)
    def test_columns_named_as_its_fields_are_an_envelope(self, service, driver):
        command = event("PlaceOrder")
        placed = otelope.envelope("OrderPlaced", parent=command)
        row = {
            "id": placed.id,
            "type": placed.type,
            "parent_id": command.id,
            "timestamp": placed.timestamp,
            "source": "orders",
            "body": '{"orderId": 7}',
        }

        async def scenario(database):
            await database.insert(row)

        on(driver, scenario, autocommit=True)
        assert told(service) == [stored(driver, placed)]
        (record,) = service.envelopes()
        assert record.envelope[:3] == placed[:3]
        assert record.envelope.parent_id == command.id
        assert json.loads(record.envelope.text)["body"] == {"orderId": 7}

    @pytest.mark.parametrize(
        "row",
        [
            {"id": "7", "body": "text"},
            {"id": "7", "body": '{"type": "OrderPlaced", "id": "7"}'},
            {"id": "7", "type": "folder", "parent_id": "6"},
            {"id": "7", "type": "OrderPlaced", "timestamp": 1_800_000_000_000},
        ],
    )
    def test_what_is_no_envelope_leaves_no_trace(self, service, driver, row):
        async def scenario(database):
            async with database.transaction():
                await database.insert(row)
                await database.insert({"id": "1"}, {"id": "2"})

        on(driver, scenario)
        assert (service.records, service.all_spans()) == ([], ())

    def test_the_hosts_parameters_are_unchanged(self, service, driver):
        row = whole(event())
        before = copy.deepcopy(row)

        async def scenario(database):
            await database.insert(row)

        on(driver, scenario, autocommit=True)
        assert row == before

    def test_what_a_conflict_leaves_out_is_not_stored(self, service, driver):
        placed = event()

        async def scenario(database):
            for _ in range(2):
                await database.insert(whole(placed), ending="ON CONFLICT DO NOTHING")

        on(driver, scenario, autocommit=True)
        assert told(service) == ([stored(driver, placed)] if driver.features.counts else [])


class TestAround:
    def test_within_otelope_stored_nothing_is_told_twice(self, service, driver):
        placed, other = event(n=1), event(n=2)

        async def scenario(database):
            with otelope.stored(placed, to="orders-db", outbox=True):
                async with database.transaction():
                    await database.insert(whole(placed))
                    await database.insert(whole(other))

        on(driver, scenario)
        assert told(service) == [
            stored(driver, other),
            ("outbox", placed.id, "orders-db", "ok", None),
        ]

    def test_it_stands_below_what_is_handled(self, service, driver):
        command = event("PlaceOrder")

        async def scenario(database):
            with otelope.handling(command):
                placed = event()
                async with database.transaction():
                    await database.insert(whole(placed))
                return placed

        placed = on(driver, scenario)
        spans = {span.name: span for span in service.all_spans()}
        handled = next(span for name, span in spans.items() if name.startswith("process"))
        assert parent(spans[f"store {driver.name}"]) == span_spot(handled)
        assert [each.envelope.parent_id for each in service.envelopes()][-1] == command.id
        assert placed.parent_id == command.id
        assert service.orphans() == []

    @pytest.mark.parametrize("relayed", [False, True])
    def test_whoever_publishes_it_then_makes_its_own_span(self, service, driver, relayed):
        async def scenario(database):
            with otelope.handling(event("PlaceOrder")):
                placed = event()
                async with database.transaction():
                    await database.insert(whole(placed))
                if not relayed:
                    send(placed)
            if relayed:
                service.forget()  # as the relay is another process
                send(placed)
            return placed

        placed = on(driver, scenario)
        (sent,) = service.spans("send")
        assert span_spot(sent) == identify(placed.id)[:2]
        spots = [span_spot(span) for span in service.all_spans()]
        assert len(set(spots)) == len(spots)
        maker, sender = (each for each in service.envelopes() if each.envelope.id == placed.id)
        assert (maker.recorded_by, sender.recorded_by) == ("maker", "sender")
        assert (maker.trace_id, maker.span_id) == span_spot(sent)
        assert service.orphans() == []

    def test_suppressed_it_is_silent(self, service, driver):
        async def scenario(database):
            with suppress_instrumentation():
                await database.insert(whole(event()))

        on(driver, scenario, autocommit=True)
        assert service.records == []

    def test_no_connection_is_kept_alive(self, service, driver):
        transactions = instrumentor.active().parts.instrumenter.transactions

        async def scenario(database):
            await database.insert(whole(event()))
            assert len(transactions._of) == 1

        on(driver, scenario, autocommit=True)
        gc.collect()
        assert len(transactions._of) == 0
