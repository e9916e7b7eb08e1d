"""The service that the tests of the whole in-process half look at."""

from __future__ import annotations

from tests.service import service


__all__ = ["service"]
