"""The contract that every adapter passes, for adapters inside and outside of this package."""

from __future__ import annotations

import pytest


# Before they are imported, so that a failed scenario shows what it compared.
for _scenarios in ("sending", "delivering", "chaining"):
    pytest.register_assert_rewrite(f"otelope.testing.{_scenarios}")

from otelope.testing.contract import Contract  # noqa: E402 - as above
from otelope.testing.driver import (  # noqa: E402 - as above
    Case,
    Driver,
    Features,
    Got,
    Handler,
    run_inline,
)


__all__ = ["Case", "Contract", "Driver", "Features", "Got", "Handler", "run_inline"]
