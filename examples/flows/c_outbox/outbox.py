"""An outbox, as a relay sees it: rows to publish, in order per key."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any

import sqlalchemy as sa

from examples.flows.adapters.database import SqlDatabase
from examples.flows.ports import Broker, Keyed, Refused
from examples.flows.steps import reached


class Outbox:
    """
    The outbox of a service's database.

    On PostgreSQL several relays share it: a row belongs to whoever has locked it, and the others
    skip it. On SQLite there may be one relay only.

    Args:
        database: Whose.
        batch: So many rows are published at once, at most.
    """

    def __init__(self, database: SqlDatabase, batch: int) -> None:
        self.name = database.name
        self._engine = database.engine
        self._table = database.tables.outbox
        self._batch = batch
        self._set_aside: set[str] = set()

    def relay(self, broker: Broker) -> int:
        """
        Publish the oldest row of each key, then delete these rows; how many.

        It is one transaction, which fails when the broker does: then they are published again, so
        each at least once. When the broker refuses a row, its key is set aside for as long as
        this object lives: its rows stay, in order, and the others go on.

        Raises:
            Unavailable: The broker does not answer.
            sqlalchemy.exc.OperationalError: The database does not.
        """
        try:
            return self._relay(broker)
        except Refused as refused:
            self._set_aside.add(refused.key)
            print(f"{self.name}: set aside until the next start: {refused}", flush=True)
            return 0

    def _relay(self, broker: Broker) -> int:
        with self._engine.begin() as transaction:
            rows = self._claim(transaction)
            if not rows:
                return 0
            reached(f"relay: events of {self.name}")
            for channel, group in groupby(rows, attrgetter("aggregatetype")):
                broker.publish(
                    channel, [Keyed(row.aggregateid, row.payload.encode()) for row in group]
                )
            reached(f"broker: publish(events of {self.name})")
            published = [row.position for row in rows]
            transaction.execute(
                sa.delete(self._table).where(self._table.c.position.in_(published))
            )
        reached(f"db: delete(outbox of {self.name})")
        return len(rows)

    def _claim(self, transaction: sa.Connection) -> Sequence[sa.Row[Any]]:
        table, earlier = self._table, self._table.alias()
        follows = sa.exists().where(
            earlier.c.aggregateid == table.c.aggregateid, earlier.c.position < table.c.position
        )
        # To lock any rows and skip the locked ones would hand a key's next row to another relay
        # while its first is still on its way. SQLite has no FOR UPDATE; SQLAlchemy leaves it out.
        return transaction.execute(
            sa.select(table)
            .where(~follows, table.c.aggregateid.not_in(self._set_aside))
            .order_by(table.c.position)
            .limit(self._batch)
            .with_for_update(skip_locked=True)
        ).all()
