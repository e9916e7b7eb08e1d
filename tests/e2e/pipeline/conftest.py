"""What the tests of the production backend share."""

from __future__ import annotations

import pytest

from tests.e2e.servers.jaeger_server import Jaeger


@pytest.fixture(scope="session")
def pipeline_jaeger(jaeger_server: Jaeger) -> str:
    """Where spans go, OTLP over gRPC."""
    return jaeger_server.otlp
