"""psycopg against PostgreSQL: the sync and the async connection."""

from __future__ import annotations

from contextlib import asynccontextmanager

import psycopg

from tests.contract.stores import Style, awaited, insertion


STYLES = {
    "sync": Style("postgresql", "postgresql_server"),
    "async": Style("postgresql", "postgresql_server"),
}


class Driver:
    failure = psycopg.errors.UniqueViolation

    def __init__(self, style, address):
        self.style = style
        self.address = address
        self.name = "postgres"

    async def connect(self, *, autocommit=False):
        library = psycopg.AsyncConnection if self.style == "async" else psycopg.Connection
        return await awaited(library.connect(self.address, autocommit=autocommit))

    async def close(self, connection):
        await awaited(connection.close())

    async def execute(self, connection, statement):
        await awaited(connection.execute(statement))

    async def insert(self, connection, table, *rows, ending=""):
        statement = insertion(table, rows[0], lambda name, _: f"%({name})s", ending)
        cursor = connection.cursor()
        if len(rows) == 1:
            await awaited(cursor.execute(statement, rows[0]))
        else:
            await awaited(cursor.executemany(statement, rows))

    async def begin(self, connection):
        """It begins by itself."""

    async def commit(self, connection):
        await awaited(connection.commit())

    async def rollback(self, connection):
        await awaited(connection.rollback())

    @asynccontextmanager
    async def transaction(self, connection):
        if self.style == "async":
            async with connection.transaction():
                yield
        else:
            with connection.transaction():
                yield

    savepoint = transaction
