"""The HTTP server that the contract talks to, and the service that the tests of stores look at."""

from __future__ import annotations

from tests.contract.web import web_server
from tests.service import service


__all__ = ["service", "web_server"]
