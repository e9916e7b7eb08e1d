"""Contracts: which fields of a type's payload may leave."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


# The process's, whether it is instrumented or not. One assignment declares: no lock.
_declared: dict[str, frozenset[str]] = {}


def declare(type: str, outside: frozenset[str]) -> None:  # noqa: A002 - the envelope's own word
    """Let these fields out of the payload of every envelope of this type, from now on."""
    _declared[type] = outside


def declared(type: str) -> frozenset[str] | None:  # noqa: A002 - as above
    """The fields that a type lets out; None when nobody declared them."""
    return _declared.get(type)


def any_declared() -> bool:
    """Whether anybody declared anything."""
    return bool(_declared)


class ContractError(Exception):
    """
    An envelope was to be sent with fields beyond its contract (``OTELOPE_CONTRACTS=strict``).

    Nothing was sent. Names fields only, never their values.

    Attributes:
        type: The envelope's type.
        leaked: The names of the fields, sorted.
    """

    def __init__(self, type: str, leaked: Iterable[str]) -> None:  # noqa: A002 - the envelope's own word
        super().__init__(type, leaked)
        self.type = type
        self.leaked = sorted(leaked)

    def __str__(self) -> str:
        return f"{self.type} would leave with {', '.join(self.leaked)}: not in its contract"


def fields_of(outside: Any) -> frozenset[str]:
    """
    The names that a contract declares, as they stand at the top of the payload on the wire.

    Args:
        outside: A Pydantic model (its aliases count), a dataclass or a TypedDict, each as a
            class; a JSON Schema with ``properties``; or names. An empty one lets nothing out.

    Raises:
        TypeError: It is none of these.
    """
    if isinstance(outside, type):
        return frozenset(_of_class(outside))
    names = outside
    if isinstance(outside, Mapping):
        names = outside.get("properties")
        if not isinstance(names, Mapping):
            raise TypeError("a contract as JSON Schema has its fields under `properties`")
    if isinstance(names, str | bytes) or not isinstance(names, Iterable):
        raise TypeError(
            f"{type(outside).__qualname__} is no contract: give a Pydantic model, a dataclass or "
            "a TypedDict (the class), a JSON Schema, or a set of field names"
        )
    found = frozenset(names)
    if not all(isinstance(name, str) for name in found):
        raise TypeError("the fields of a contract are named by text")
    return found


def _of_class(outside: Any) -> Iterable[str]:
    if hasattr(outside, "model_fields"):
        # What Pydantic writes: computed fields too, but none that is excluded.
        written = {**outside.model_fields, **getattr(outside, "model_computed_fields", {})}
        return [
            getattr(field, "serialization_alias", None) or field.alias or name
            for name, field in written.items()
            if not getattr(field, "exclude", None)
        ]
    if hasattr(outside, "__dataclass_fields__"):
        from dataclasses import fields  # noqa: PLC0415 - 2 ms of start-up; here it is loaded already

        return [field.name for field in fields(outside)]
    if issubclass(outside, dict) and hasattr(outside, "__total__"):
        return [*outside.__required_keys__, *outside.__optional_keys__]
    raise TypeError(
        f"{outside.__qualname__} is no contract: a class is a Pydantic model, a dataclass or a "
        "TypedDict"
    )
