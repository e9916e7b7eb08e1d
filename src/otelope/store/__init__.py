"""Where records are kept and questions are answered: ClickHouse, embedded or a server."""

from otelope.store.clickhouse import Store, open_store
from otelope.store.errors import CannotOpenError, StoreError
from otelope.store.server import Server


__all__ = ["CannotOpenError", "Server", "Store", "StoreError", "open_store"]
