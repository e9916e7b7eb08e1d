from __future__ import annotations

import pytest

from tests.collector.running import Running, running


@pytest.fixture(scope="module")
def up(tmp_path_factory) -> Running:
    """`otelope up`, a process of its own, on a fresh directory."""
    with running(tmp_path_factory.mktemp("up")) as daemon:
        yield daemon
        assert daemon.stop() == (0, "")
