"""SQLAlchemy Core: SQLite, and PostgreSQL by psycopg and, asynchronously, by asyncpg."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import PurePath

import sqlalchemy as sa

from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.ext.asyncio import create_async_engine

from tests.contract.stores import Style, awaited, insertion


# psycopg forgets the count when its cursor is closed; newer versions of SQLAlchemy read it before,
# at least for statements in text.
_COUNTS = hasattr(DefaultExecutionContext, "_rowcount")
STYLES = {
    "sqlite": Style("other_sql", "sqlite_file"),
    "psycopg": Style("other_sql", "postgresql_server", counts=_COUNTS),
    "asyncpg": Style("other_sql", "postgresql_server"),
}
_SCHEMES = {
    "sqlite": "sqlite",
    "psycopg": "postgresql+psycopg",
    "asyncpg": "postgresql+asyncpg",
}


class Driver:
    failure = sa.exc.IntegrityError

    def __init__(self, style, address):
        self.style = style
        self.url = sa.make_url(address).set(drivername=_SCHEMES[style])
        self.name = PurePath(self.url.database).name

    async def connect(self, *, autocommit=False):
        make = create_async_engine if self.style == "asyncpg" else sa.create_engine
        level = {"isolation_level": "AUTOCOMMIT"} if autocommit else {}
        return await awaited(make(self.url, poolclass=sa.NullPool, **level).connect())

    async def close(self, connection):
        await awaited(connection.close())

    async def execute(self, connection, statement):
        await awaited(connection.execute(sa.text(statement)))

    async def insert(self, connection, table, *rows, ending=""):
        statement = sa.text(insertion(table, rows[0], lambda name, _: f":{name}", ending))
        await awaited(connection.execute(statement, rows[0] if len(rows) == 1 else list(rows)))

    async def begin(self, connection):
        """It begins by itself."""

    async def commit(self, connection):
        await awaited(connection.commit())

    async def rollback(self, connection):
        await awaited(connection.rollback())

    def transaction(self, connection):
        return self._block(connection.begin())

    def savepoint(self, connection):
        return self._block(connection.begin_nested())

    @asynccontextmanager
    async def _block(self, transaction):
        if self.style == "asyncpg":
            async with transaction:
                yield
        else:
            with transaction:
                yield
