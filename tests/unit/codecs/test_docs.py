"""What docs/envelope.md shows is recognised."""

from __future__ import annotations

import re

from pathlib import Path

import pytest

from otelope.codecs import Codecs
from otelope.core.settings import Settings
from tests.unit.codecs.messages import recognised


TEXT = (Path(__file__).parents[3] / "docs" / "envelope.md").read_text("utf-8")
VALUES = {"id": '"1"', "type": '"T"', "timestamp": "1763900000", "parentId": "null"}


def shown() -> list[str]:
    (block,) = re.findall(r"```jsonc\n(.*?)```", TEXT, re.DOTALL)
    return [line.partition("//")[0].strip() for line in block.splitlines()]


def filled(line: str) -> bytes:
    for name, value in VALUES.items():
        line = line.replace(f'"{name}": …', f'"{name}": {value}')
    metadata = ", ".join(f'"{name}": {value}' for name, value in VALUES.items())
    line = line.replace('"source": …', '"source": "s"')
    line = re.sub(r'"(meta|envelope)": \{…\}', rf'"\1": {{{metadata}}}', line)
    return line.replace(", …", "").replace("…", "").encode()


@pytest.mark.parametrize("line", shown())
def test_the_shapes(line: str) -> None:
    body = filled(line)
    if b'"metadata"' in body:
        body = body.replace(b'"type": "T"', b'"type": "T", "source": "s"')
    envelope = recognised(body)

    assert envelope is not None
    assert (envelope.id, envelope.type) == ("1", "T")
    assert Codecs({}, 1000).payload_of(envelope) == {}


def test_the_examples_of_renaming() -> None:
    examples = re.findall(r"^OTELOPE_FIELDS=(.*)$", TEXT, re.MULTILINE)
    bodies = [
        b'{"messageId": 1, "type": "T", "sentAt": 1763900000, "causationId": null}',
        b'{"meta": {"msg_id": 1, "from": "s"}, "type": "T", "timestamp": 1763900000}',
    ]

    assert len(examples) == len(bodies)
    for example, body in zip(examples, bodies, strict=True):
        settings = Settings.from_environment({"OTELOPE_FIELDS": example})
        envelope = recognised(body, codecs=Codecs(dict(settings.fields), 1000))
        assert envelope is not None
        assert envelope.id == "1"
