"""otelope: what caused what, across brokers, web frameworks and databases."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from otelope.api import contract, current, envelope, handling, new_id, stored
    from otelope.instrumentor import instrument, uninstrument
    from otelope.model.contracts import ContractError
    from otelope.model.envelope import Envelope, Source


_PUBLIC = {
    "ContractError": "otelope.model.contracts",
    "Envelope": "otelope.model.envelope",
    "Source": "otelope.model.envelope",
    "contract": "otelope.api",
    "current": "otelope.api",
    "envelope": "otelope.api",
    "handling": "otelope.api",
    "instrument": "otelope.instrumentor",
    "new_id": "otelope.api",
    "stored": "otelope.api",
    "uninstrument": "otelope.instrumentor",
}

__all__ = [
    "ContractError",
    "Envelope",
    "Source",
    "contract",
    "current",
    "envelope",
    "handling",
    "instrument",
    "new_id",
    "stored",
    "uninstrument",
]


def __getattr__(name: str) -> Any:
    # On demand: at start-up the entry points need none of it (25 ms less), nor does the server.
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_PUBLIC[name]), name)
    return value
