"""One call of a wrapped function, its arguments by name."""

from __future__ import annotations

import inspect

from collections.abc import Callable, Mapping
from types import EllipsisType
from typing import Any


Parameters = Mapping[str, int | slice | EllipsisType | None]


def parameters_of(function: Callable[..., Any], declared: str = "") -> Parameters:
    """
    The parameters of a function by name, each with its position; None for keyword-only ones.

    ``*args`` has a slice, ``**kwargs`` an ellipsis.

    Args:
        function: As found in its module, or on its class with the instance as first parameter.
        declared: For functions without a signature (written in C), the names in their order
            without the instance.

    Raises:
        ValueError: The function has no signature and nothing is declared.
    """
    if declared:
        return {name: position for position, name in enumerate(declared.split())}
    found: dict[str, int | slice | EllipsisType | None] = {}
    listed = list(inspect.signature(function).parameters.values())
    if _is_method(function):
        del listed[0]
    for position, parameter in enumerate(listed):
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            found[parameter.name] = position
        elif parameter.kind is parameter.KEYWORD_ONLY:
            found[parameter.name] = None
        elif parameter.kind is parameter.VAR_POSITIONAL:
            found[parameter.name] = slice(position, None)
        else:
            found[parameter.name] = ...
    return found


def _is_method(function: Callable[..., Any]) -> bool:
    owner = getattr(function, "__qualname__", ".").rpartition(".")[0]
    return bool(owner) and not owner.endswith("<locals>")


class Call:
    """
    The arguments of one call, read by name and replaced without touching the caller's objects.

    Attributes:
        instance: What the method is called on.
        args, kwargs: What to call the library with.
    """

    __slots__ = ("_parameters", "args", "instance", "kwargs")

    def __init__(
        self, parameters: Parameters, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self._parameters = parameters
        self.instance = instance
        self.args = args
        self.kwargs = kwargs

    def __getitem__(self, name: str) -> Any:
        """The argument, None when the caller left it out; all of ``*args`` or ``**kwargs``."""
        position = self._parameters.get(name)
        if type(position) is int:
            return self.args[position] if position < len(self.args) else self.kwargs.get(name)
        if position is None:
            return self.kwargs.get(name)
        if type(position) is slice:
            return self.args[position]
        return {key: self.kwargs[key] for key in self.kwargs if key not in self._parameters}

    def __setitem__(self, name: str, value: Any) -> None:
        """Replace the argument for this call alone; of ``**kwargs``, those that are given."""
        position = self._parameters.get(name)
        if name not in self.kwargs and type(position) is int and position < len(self.args):
            self.args = (*self.args[:position], value, *self.args[position + 1 :])
        elif type(position) is slice:
            self.args = (*self.args[: position.start], *value)
        elif position is ...:
            self.kwargs = {**self.kwargs, **value}
        else:
            self.kwargs = {**self.kwargs, name: value}

    def on(self, wrapped: Callable[..., Any], instance: Any) -> Callable[..., Any]:
        """The library's method, bound to *instance*, of the instance that the call has now."""
        if self.instance is instance:
            return wrapped
        method: Callable[..., Any] = wrapped.__func__.__get__(self.instance)  # type: ignore[attr-defined]  # bound
        return method
