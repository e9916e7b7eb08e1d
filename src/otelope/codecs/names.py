"""Where each field stands in a message: our own names, or those of `OTELOPE_FIELDS`."""

from __future__ import annotations

import logging

from collections.abc import Mapping

from otelope.codecs.wire import FIELDS, PAYLOAD


Path = tuple[str, ...]

_logger = logging.getLogger("otelope")


class Names:
    """
    The place of every field, as a path of JSON names.

    A name that cannot be used is reported and left out: a typing error must not stop the host.

    Args:
        renamed: Other names by our own, such as ``{"id": "messageId"}``; dots go deeper.

    Attributes:
        paths: By field, always all.
        renamed: The fields with another name.
        payload: Where the payload stands; None where it stands as usual.
    """

    def __init__(self, renamed: Mapping[str, str]) -> None:
        paths = {name: tuple(other.split(".")) for name, other in renamed.items()}
        own: dict[str, Path] = {name: (name,) for name in FIELDS}
        wanted = {**own, **{name: path for name, path in paths.items() if name in own}}
        for name, path in list(paths.items()):
            problem = _problem(name, path, wanted)
            if problem:
                _logger.warning(
                    "OTELOPE_FIELDS: %s=%s is ignored: %s", name, renamed[name], problem
                )
                del paths[name]
        self.payload = paths.pop(PAYLOAD, None)
        self.renamed = frozenset(paths)
        self.paths = {**own, **paths}


def _problem(name: str, path: Path, wanted: Mapping[str, Path]) -> str | None:
    if name not in (*FIELDS, PAYLOAD):
        return f"the fields that can be renamed are {', '.join((*FIELDS, PAYLOAD))}"
    if not all(path):
        return "a name between dots is empty"
    if name == PAYLOAD:
        return None
    for other, there in wanted.items():
        if other != name and _nested(path, there):
            return f"a value cannot stand inside another, and {other} is {'.'.join(there)}"
    return None


def _nested(one: Path, other: Path) -> bool:
    shorter = min(len(one), len(other))
    return len(one) != len(other) and one[:shorter] == other[:shorter]
