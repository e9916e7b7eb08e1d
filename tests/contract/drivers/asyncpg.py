"""asyncpg against PostgreSQL."""

from __future__ import annotations

from contextlib import asynccontextmanager

import asyncpg

from tests.contract.stores import Style, insertion


STYLES = {"async": Style("postgresql", "postgresql_server", columns=False)}


class Driver:
    failure = asyncpg.UniqueViolationError

    def __init__(self, style, address):
        self.address = address
        self.name = "postgres"
        self._begun = None

    async def connect(self, *, autocommit=False):
        # Outside of its transactions, each statement is committed.
        return await asyncpg.connect(self.address)

    async def close(self, connection):
        await connection.close()

    async def execute(self, connection, statement):
        await connection.execute(statement)

    async def insert(self, connection, table, *rows, ending=""):
        statement = insertion(table, rows[0], lambda _, number: f"${number}", ending)
        if len(rows) == 1:
            await connection.execute(statement, *rows[0].values())
        else:
            await connection.executemany(statement, [tuple(row.values()) for row in rows])

    async def begin(self, connection):
        self._begun = connection.transaction()
        await self._begun.start()

    async def commit(self, connection):
        await self._begun.commit()

    async def rollback(self, connection):
        await self._begun.rollback()

    @asynccontextmanager
    async def transaction(self, connection):
        async with connection.transaction():
            yield

    savepoint = transaction
