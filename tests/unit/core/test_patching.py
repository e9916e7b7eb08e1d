"""What stands where wrappers are put in place."""

from __future__ import annotations

import datetime as dt
import gc
import sys

from itertools import count
from types import ModuleType

import pytest

from otelope.core.adapter import Adapter
from otelope.core.carriers import BARE
from otelope.core.hand_overs import HandOvers
from otelope.core.message import Message
from otelope.core.patching import Patches
from otelope.core.sites import Send


@pytest.fixture
def imports_while_collected():
    """Modules are imported whenever the garbage collector runs, which it does all the time."""
    numbers = count()
    before = gc.get_threshold()

    def imported(phase, info):
        name = f"imported_meanwhile_{next(numbers)}"
        sys.modules[name] = ModuleType(name)

    gc.callbacks.append(imported)
    gc.set_threshold(1)
    yield numbers
    gc.set_threshold(*before)
    gc.callbacks.remove(imported)
    for name in [name for name in sys.modules if name.startswith("imported_meanwhile_")]:
        del sys.modules[name]


def test_class_in_c_is_replaced_while_modules_are_imported(imports_while_collected):
    original = dt.time
    patches = Patches(HandOvers())
    site = Send("datetime:time.replace", lambda _: Message(None, None), parameters="hour")
    problems = patches.put(Adapter("queue", BARE, (site,)), None)
    assert problems == []
    assert dt.time is not original
    patches.remove()
    assert dt.time is original
    assert next(imports_while_collected) > 0
