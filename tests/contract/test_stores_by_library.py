"""What only one database library has: its own ways to write, and to speak of transactions."""

from __future__ import annotations

import asyncio
import uuid

from datetime import datetime, timezone

import asyncpg
import psycopg
import pytest
import sqlalchemy as sa

from psycopg.sql import SQL, Identifier
from psycopg.types.json import Jsonb
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

import otelope

from tests.contract.stores import event, outcomes, whole


class Base(DeclarativeBase):
    pass


class Stored(Base):
    __tablename__ = "stored"

    id: Mapped[str] = mapped_column(primary_key=True)
    body: Mapped[dict] = mapped_column(sa.JSON)


class Columns(Base):
    __tablename__ = "columns"

    id: Mapped[uuid.UUID] = mapped_column(sa.Uuid, primary_key=True)
    type: Mapped[str]
    timestamp: Mapped[datetime] = mapped_column(sa.DateTime(timezone=True))
    parent_id: Mapped[uuid.UUID | None] = mapped_column(sa.Uuid)
    source_name: Mapped[str]
    payload: Mapped[dict] = mapped_column(sa.JSON)


class TestSqlalchemy:
    @pytest.fixture
    def engine(self, tmp_path):
        engine = sa.create_engine(f"sqlite:///{tmp_path}/orders.db", poolclass=sa.NullPool)
        Base.metadata.create_all(engine)
        return engine

    def row(self, envelope):
        return {"id": envelope.id, "body": envelope.to_dict()}

    def test_a_session_tells_at_its_commit(self, service, engine):
        events = [event(n=n) for n in range(3)]
        with Session(engine) as session:
            session.add_all(Stored(**self.row(each)) for each in events)
            session.flush()
            assert service.records == []
            session.commit()
        assert sorted(outcomes(service)) == sorted((each.id, "ok") for each in events)

    def test_a_session_that_is_left_by_an_exception_rolls_back(self, service, engine):
        placed = event()

        def fail():
            with Session(engine) as session, session.begin():
                session.add(Stored(**self.row(placed)))
                session.flush()
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        assert outcomes(service) == [(placed.id, "error")]
        assert service.done()[0].error_type == "ZeroDivisionError"

    def test_rows_that_are_returned_are_stored(self, service, engine):
        placed = event()
        insert = sa.insert(Stored).values(**self.row(placed)).returning(Stored.id)
        with engine.begin() as connection:
            assert connection.execute(insert).scalar_one() == placed.id
        assert outcomes(service) == [(placed.id, "ok")]

    def test_a_column_may_be_named_as_a_clause(self, service, engine):
        table = sa.Table(
            "ignored", sa.MetaData(), sa.Column("body", sa.JSON), sa.Column("is_ignored", sa.Text)
        )
        table.create(engine)
        placed = event()
        insert = table.insert().returning(table.c.is_ignored)
        with engine.begin() as connection:
            connection.execute(insert, [{"body": placed.to_dict(), "is_ignored": "no"}])
        assert outcomes(service) == [(placed.id, "ok")]

    def test_a_nested_session_rolls_back_its_own(self, service, engine):
        kept, lost = event(n=1), event(n=2)
        with Session(engine) as session, session.begin():
            session.add(Stored(**self.row(kept)))
            with session.begin_nested() as nested:
                session.add(Stored(**self.row(lost)))
                session.flush()
                nested.rollback()
        assert outcomes(service) == [(lost.id, "error"), (kept.id, "ok")]

    def test_many_rows_that_return_values(self, service, engine):
        events = [event(n=n) for n in range(3)]
        insert = sa.insert(Stored).returning(Stored.id)
        with engine.begin() as connection:
            got = connection.execute(insert, [self.row(each) for each in events]).all()
        assert {id_ for (id_,) in got} == {each.id for each in events}
        assert outcomes(service) == [(each.id, "ok") for each in events]

    @pytest.mark.parametrize("how", ["values", "driver"])
    def test_values_in_the_statement_and_in_the_drivers_own(self, service, engine, how):
        placed = event()
        with engine.begin() as connection:
            if how == "values":
                connection.execute(sa.insert(Stored).values(**self.row(placed)))
            else:
                connection.exec_driver_sql(
                    "INSERT INTO stored VALUES (?, ?)", ("1", placed.to_json().decode())
                )
        assert outcomes(service) == [(placed.id, "ok")]

    def test_columns_with_types_of_their_own(self, service, engine):
        command = event("PlaceOrder")
        placed = event(order=7)
        row = Columns(
            id=uuid.UUID(placed.id),
            type=placed.type,
            timestamp=datetime.fromtimestamp(placed.timestamp / 1000, tz=timezone.utc),
            parent_id=uuid.UUID(command.id),
            source_name="orders",
            payload=placed.payload,
        )
        with Session(engine) as session, session.begin():
            session.add(row)
        (record,) = service.envelopes()
        assert record.envelope[:3] == placed[:3]
        assert (record.envelope.parent_id, record.envelope.source.name) == (command.id, "orders")
        payload_of = otelope.instrumentor.active().parts.codecs.payload_of
        assert payload_of(record.envelope) == placed.payload

    def test_a_connection_without_transactions_of_its_own(self, service, engine):
        first, second = event(n=1), event(n=2)
        with engine.connect() as connection:
            autocommit = connection.execution_options(isolation_level="AUTOCOMMIT")
            autocommit.execute(sa.insert(Stored), [self.row(first)])
            autocommit.execute(sa.insert(Stored), [self.row(second)])
            autocommit.rollback()
        assert outcomes(service) == [(first.id, "ok"), (second.id, "ok")]

    def test_a_failed_statement_leaves_sqlite_able_to_commit(self, service, engine):
        placed = event()
        with engine.begin() as connection:
            connection.execute(sa.insert(Stored), [self.row(placed)])
            with pytest.raises(sa.exc.IntegrityError):
                connection.execute(sa.insert(Stored), [self.row(placed)])
        assert outcomes(service) == [(placed.id, "ok")]

    @pytest.mark.postgresql
    @pytest.mark.parametrize("word", ["commit", "rollback"])
    def test_two_phases(self, service, postgresql_server, word):
        placed = event()
        url = sa.make_url(postgresql_server).set(drivername="postgresql+psycopg")
        with sa.create_engine(url, poolclass=sa.NullPool).connect() as connection:
            transaction = connection.begin_twophase()
            connection.execute(sa.text("CREATE TEMPORARY TABLE stored (id TEXT, body TEXT)"))
            connection.execute(sa.text("INSERT INTO stored VALUES (:id, :body)"), whole(placed))
            getattr(transaction, word)()
        assert outcomes(service) == [(placed.id, "ok" if word == "commit" else "error")]

    def test_a_database_in_memory_is_called_by_its_kind(self, service):
        engine = sa.create_engine("sqlite://")
        Base.metadata.create_all(engine)
        with engine.begin() as connection:
            connection.execute(sa.insert(Stored), [self.row(event())])
        engine.dispose()
        assert service.done()[0].channel == "sqlite"


@pytest.mark.postgresql
class TestPsycopg:
    @pytest.fixture
    def connection(self, postgresql_server):
        with psycopg.connect(postgresql_server, autocommit=True) as connection:
            connection.execute("CREATE TEMPORARY TABLE stored (id TEXT PRIMARY KEY, body JSONB)")
            yield connection

    @pytest.mark.parametrize(
        "query",
        [
            "INSERT INTO stored VALUES (%s, %s)",
            b"  insert into stored values (%s, %s)",
            SQL("INSERT INTO {} VALUES (%s, %s)").format(Identifier("stored")),
        ],
    )
    def test_statements_and_values_of_every_type(self, service, connection, query):
        placed = event()
        connection.execute(query, ("1", Jsonb(placed.to_dict())))
        assert outcomes(service) == [(placed.id, "ok")]

    def test_transactions_by_statements_of_the_applications_own(self, service, connection):
        events = [event(n=n) for n in range(4)]

        def insert(number):
            connection.execute(
                "INSERT INTO stored VALUES (%(id)s, %(body)s)", whole(events[number])
            )

        connection.execute("begin")
        insert(0)
        connection.execute("savepoint one")
        insert(1)
        connection.execute("rollback to savepoint one")
        connection.execute("commit;")
        connection.execute("BEGIN")
        insert(2)
        connection.execute("ROLLBACK")
        connection.execute("BEGIN")
        insert(3)
        connection.execute("SELECT 1; COMMIT")
        assert outcomes(service) == [
            (events[1].id, "error"),
            (events[0].id, "ok"),
            (events[2].id, "error"),
            (events[3].id, "unknown"),
        ]

    def test_the_commit_of_a_pipeline_is_not_known(self, service, connection):
        connection.autocommit = False
        before, within = event(n=1), event(n=2)
        statement = "INSERT INTO stored VALUES (%(id)s, %(body)s)"
        connection.execute(statement, whole(before))
        with connection.pipeline():
            connection.execute(statement, whole(within))
            connection.commit()
        assert outcomes(service) == [(before.id, "unknown")]

    def test_what_is_generated_is_read_by_the_library_alone(self, service, connection):
        rows = (whole(event(n=n)) for n in range(3))
        with connection.cursor() as cursor:
            cursor.executemany("INSERT INTO stored VALUES (%(id)s, %(body)s)", rows)
        assert connection.execute("SELECT count(*) FROM stored").fetchone() == (3,)
        assert service.records == []


@pytest.mark.postgresql
class TestAsyncpg:
    def run(self, address, scenario):
        async def run():
            async with asyncpg.create_pool(address, min_size=1, max_size=1) as pool:
                async with pool.acquire() as connection:
                    await connection.execute("CREATE TEMPORARY TABLE stored (body TEXT)")
                await scenario(pool)

        asyncio.run(run())

    INSERT = "INSERT INTO stored VALUES ($1)"

    @pytest.mark.parametrize("method", ["fetch", "fetchrow", "fetchval"])
    def test_rows_that_return_values(self, service, postgresql_server, method):
        placed = event()

        async def scenario(pool):
            assert await getattr(pool, method)(f"{self.INSERT} RETURNING 1", whole(placed)["body"])

        self.run(postgresql_server, scenario)
        assert outcomes(service) == [(placed.id, "ok")]

    def test_a_connection_that_goes_back_to_its_pool_is_rolled_back(
        self, service, postgresql_server
    ):
        placed = event()

        async def scenario(pool):
            async with pool.acquire() as connection:
                await connection.execute("BEGIN")
                await connection.execute(self.INSERT, whole(placed)["body"])
            assert outcomes(service) == [(placed.id, "error")]

        self.run(postgresql_server, scenario)

    def test_a_cancelled_transaction_is_rolled_back(self, service, postgresql_server):
        placed = event()

        async def wait(pool, began):
            async with pool.acquire() as connection, connection.transaction():
                await connection.execute(self.INSERT, whole(placed)["body"])
                began.set()
                await connection.execute("SELECT pg_sleep(60)")

        async def scenario(pool):
            began = asyncio.Event()
            waiting = asyncio.create_task(wait(pool, began))
            await began.wait()
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting

        self.run(postgresql_server, scenario)
        (record,) = service.done()
        assert (record.outcome, record.error_type) == (
            "error",
            "asyncio.exceptions.CancelledError",
        )

    def test_two_transactions_at_once_do_not_mix(self, service, postgresql_server):
        kept, lost = event(n=1), event(n=2)

        async def run():
            connections = [await asyncpg.connect(postgresql_server) for _ in range(2)]
            async with connections[0].transaction():
                for connection, envelope in zip(connections, (kept, lost), strict=True):
                    await connection.execute("CREATE TEMPORARY TABLE stored (body TEXT)")
                    if envelope is lost:
                        undone = connection.transaction()
                        await undone.start()
                    await connection.execute(self.INSERT, whole(envelope)["body"])
                await undone.rollback()
            for connection in connections:
                await connection.close()

        asyncio.run(run())
        assert outcomes(service) == [(lost.id, "error"), (kept.id, "ok")]
