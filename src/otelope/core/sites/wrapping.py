"""What a site wraps a function with."""

from __future__ import annotations

from dataclasses import dataclass

from otelope.core.adapter import Adapter
from otelope.core.call import Parameters
from otelope.core.hand_overs import HandOvers
from otelope.core.instrumenter import Instrumenter


@dataclass(frozen=True)
class Wrapping:
    """What a site's wrapper works with."""

    adapter: Adapter
    instrumenter: Instrumenter
    parameters: Parameters
    hand_overs: HandOvers
    asynchronous: bool
    generator: bool = False
