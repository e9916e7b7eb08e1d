"""The database port, by its adapter: SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from examples.flows.adapters.database import SqlDatabase
from examples.flows.messages import Unreadable
from examples.flows.ports import Unavailable, Versioned
from tests.e2e.flows.shop import order_of


pytestmark = pytest.mark.slow

DATABASES = [
    pytest.param(None, id="sqlite"),
    pytest.param("database", marks=pytest.mark.postgresql, id="postgresql"),
]


@pytest.fixture(params=DATABASES)
def orders(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlDatabase]:
    url = request.getfixturevalue(request.param) if request.param else f"sqlite:///{tmp_path}/db"
    found = SqlDatabase(url, "orders")
    found.create()
    yield found
    found.engine.dispose()


def test_of_the_commands_of_a_key_there_is_one(orders: SqlDatabase):
    commands = [order_of("customer") for _ in range(20)]
    with ThreadPoolExecutor(8) as pool:
        stored = list(pool.map(lambda command: orders.store(command, "event"), commands))
    (first,) = {command.id for command in stored}
    (winner,) = (command for command in commands if command.id == first)
    assert all(command == winner for command in stored)
    with orders.engine.connect() as connection:
        assert connection.scalars(sa.select(orders.tables.messages.c.id)).all() == [first]
    other = order_of("customer")
    assert orders.store(other, "another event") == other


def test_what_a_command_has_led_to_is_known_once_it_is_complete(orders: SqlDatabase):
    command, event = order_of("customer"), order_of("customer")
    event = event._replace(type="OrderPlaced", kind="event", parent_id=command.id)
    orders.store(command, command.id)
    assert orders.events_of(command) is None
    orders.complete(command, [event], orders.state("customer"), {"orders": 1})
    assert orders.events_of(command) == [event]
    assert orders.state("customer") == Versioned("customer", {"orders": 1}, 1)


@pytest.mark.parametrize(
    "url", ["sqlite:////nowhere/orders.db", "postgresql+psycopg://127.0.0.1:1/orders"]
)
def test_a_database_that_does_not_answer_is_unavailable(url: str):
    database, command = SqlDatabase(url, "orders"), order_of("customer")
    with pytest.raises(Unavailable, match="orders-db"):
        database.store(command, command.id)
    with pytest.raises(Unavailable, match="orders-db"):
        database.state("customer")
    with pytest.raises(Unavailable, match="orders-db"):
        database.complete(command, [], Versioned("customer", None, 0), {})


@pytest.mark.postgresql
@pytest.mark.parametrize("orders", ["database"], indirect=True)
def test_what_it_cannot_hold_is_unreadable(orders: SqlDatabase):
    with pytest.raises(Unreadable):
        orders.store(order_of("customer"), "a\0b")
