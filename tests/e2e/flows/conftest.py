"""Fixtures of the flows on real servers."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
import sqlalchemy as sa


@pytest.fixture
def database(postgresql_server: str) -> Iterator[str]:
    """The URL of a PostgreSQL database of its own."""
    name = f"flows_{uuid4().hex[:8]}"
    with psycopg.connect(postgresql_server, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
        url = sa.make_url(postgresql_server).set(drivername="postgresql+psycopg", database=name)
        yield url.render_as_string(hide_password=False)
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")
