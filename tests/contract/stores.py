"""What the tests of database libraries and their drivers have in common."""

from __future__ import annotations

import inspect

from typing import Any, NamedTuple

import otelope


class Style(NamedTuple):
    """
    One style of use.

    Args:
        system: What the adapter says.
        server: The fixture with the database's address.
        columns: Whether the library knows the names of the columns, not only their order.
        counts: Whether it says how many rows were written.
    """

    system: str
    server: str
    columns: bool = True
    counts: bool = True


async def awaited(answer: Any) -> Any:
    """The answer of a library's sync or async call."""
    return await answer if inspect.isawaitable(answer) else answer


def insertion(table: str, row: dict[str, Any], place: Any, ending: str) -> str:
    """An INSERT of these columns, the parameters written as the library wants them."""
    places = (place(name, number) for number, name in enumerate(row, 1))
    return f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join(places)}) {ending}"  # noqa: S608 - its own names


def event(type_="OrderPlaced", **payload):
    return otelope.envelope(type_, payload)


def whole(envelope):
    """A row with the envelope in one of its values."""
    return {"id": f"row of {envelope.id}", "body": envelope.to_json().decode()}


def outcomes(service):
    return [(each.envelope.id, each.outcome) for each in service.done()]
