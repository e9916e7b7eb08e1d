"""The HTTP server that the contract talks to."""

from __future__ import annotations

from tests.contract.web import web_server


__all__ = ["web_server"]
