"""What calls of Google's generated clients say, in whichever of their forms."""

from __future__ import annotations

from typing import Any

from otelope.core.call import Call


def said(call: Call, name: str) -> Any:
    """A field of the request: of a message, a dict, or an argument of its own; None if absent."""
    request = call["request"]
    if request is None:
        return call[name]
    return request.get(name) if isinstance(request, dict) else getattr(request, name, None)


def named(path: str | None) -> str | None:
    """The last part of a resource's path, as of ``projects/PROJECT/topics/NAME``."""
    return path.rpartition("/")[2] if path else None
