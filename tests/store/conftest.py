from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from otelope.store import Store, open_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(str(tmp_path / "data")) as opened:
        yield opened
