"""asyncpg: PostgreSQL for asyncio."""

from __future__ import annotations

from typing import Any

from otelope.core.adapter import Adapter
from otelope.core.call import Call
from otelope.core.carriers import MAPPING
from otelope.core.sites.store import Database, Execute


_CONNECTION = "asyncpg.connection:Connection"


def executed(call: Call) -> Any:
    return call["query"] or call["command"]


def bound(call: Call) -> Any:
    return [call.args[1:]]


DATABASE = Database(
    lambda connection: str(connection._params.database),  # noqa: SLF001 - nothing public says it
    lambda connection: bool(connection.is_in_transaction()),
)

# Transactions and savepoints are statements that go through `execute`.
ADAPTER = Adapter(
    system="postgresql",
    carrier=MAPPING,
    sites=(
        Execute(
            f"{_CONNECTION}.execute",
            DATABASE,
            executed,
            rows=bound,
            written=lambda status, _: int(status.rpartition(" ")[2]),
            tag=lambda status, _: status,
        ),
        Execute(f"{_CONNECTION}.executemany", DATABASE, executed, rows=lambda call: call["args"]),
        Execute(f"{_CONNECTION}.fetch", DATABASE, executed, rows=bound),
        Execute(f"{_CONNECTION}.fetchrow", DATABASE, executed, rows=bound),
        Execute(f"{_CONNECTION}.fetchval", DATABASE, executed, rows=bound),
        Execute(f"{_CONNECTION}.close", DATABASE, "ROLLBACK"),
        Execute(f"{_CONNECTION}.terminate", DATABASE, "ROLLBACK"),
    ),
)
