"""Whose a callback is, and what it is."""

from __future__ import annotations

import functools
import inspect

from collections.abc import Callable
from types import CellType, FunctionType
from typing import Any


def held_in(callback: Any, name: str) -> CellType | None:
    """
    Where another instrumentation's function, which stands for a callback, holds the callback.

    Outside of that function it is too late: contrib's for aio-pika (0.62 to 0.66) begins its own
    handling in a context that has nothing of ours, and stands before the library's own callbacks.
    """
    if not isinstance(callback, FunctionType) or root_of(callback) != "opentelemetry":
        return None
    cells = zip(callback.__code__.co_freevars, callback.__closure__ or (), strict=True)
    return dict(cells).get(name)


def root_of(callback: Callable[..., Any]) -> str:
    """The package that a callback was written in; empty where it does not say."""
    while isinstance(callback, functools.partial):
        callback = callback.func
    return (getattr(callback, "__module__", None) or "").partition(".")[0]


def is_asynchronous(callback: Callable[..., Any]) -> bool:
    """Whether calling it makes a coroutine."""
    while isinstance(callback, functools.partial):
        callback = callback.func
    return inspect.iscoroutinefunction(callback) or inspect.iscoroutinefunction(
        getattr(callback, "__call__", None)  # noqa: B004 - asks whether it is async, not whether it is callable
    )
