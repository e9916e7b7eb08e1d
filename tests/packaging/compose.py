"""docker-compose.yml, as Compose reads it."""

from __future__ import annotations

import re

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML


ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
TEXT = FILE.read_text(encoding="utf-8")
Service = dict[str, Any]

_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<rest>[^}]*))?\}")


class Variable(NamedTuple):
    """A variable that the file asks for: its default, or what is said where it has no value."""

    name: str
    default: str | None
    complaint: str | None


def variables() -> Iterator[Variable]:
    """All of them, as often as they stand there."""
    for found in _VARIABLE.finditer(TEXT):
        rest = found["rest"]
        yield Variable(
            found["name"],
            rest if found["kind"] == "-" else None,
            rest if found["kind"] == "?" else None,
        )


def services(**values: str) -> dict[str, Service]:
    """The services, with these values of variables."""

    def value(found: re.Match[str]) -> str:
        return values.get(found["name"], found["rest"] if found["kind"] == "-" else "filled-in")

    loaded = YAML(typ="safe").load(_VARIABLE.sub(value, TEXT))
    return dict(loaded["services"])


def volumes() -> dict[str, Any]:
    return dict(YAML(typ="safe").load(TEXT)["volumes"])


def one_shot(service: Service) -> bool:
    """Whether it does something and ends."""
    return service["restart"] == "no"


def configuration(service: Service) -> list[Path]:
    """The files of this project that a service's ``--config=`` options name."""
    return [
        mounted(service, word.partition("=")[2])
        for word in service["command"]
        if word.startswith("--config=")
    ]


def mounted(service: Service, path: str) -> Path:
    """What of this project a service finds at a path."""
    for mount in binds(service):
        if path == mount["target"] or path.startswith(f"{mount['target']}/"):
            return ROOT / mount["source"] / path[len(mount["target"]) :].lstrip("/")
    raise AssertionError(f"{path} is not mounted")


def binds(service: Service) -> list[Mapping[str, Any]]:
    return [mount for mount in service.get("volumes", ()) if not isinstance(mount, str)]
